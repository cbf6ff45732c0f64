"""New ids: random enough that nobody guesses one, and carrying their workspace's part (see domain/accounts)."""

import secrets

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none that are mistaken for another


def new_workspace_id() -> str:
    """`ws_` and 60 random bits."""
    return f"ws_{_random(12)}"


def new_id_inside(prefix: str, workspace_id: str, letters: int = 10) -> str:
    """An id of something that belongs to a workspace: `sa_` with the workspace's part, then five bits a letter."""
    return f"{prefix}_{workspace_id.removeprefix('ws_')}_{_random(letters)}"


def _random(letters: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))
