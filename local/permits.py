"""`python -m local.permits` writes the table of docs/people.md from the one that the doors are guarded by."""

from pathlib import Path

from chalicelib.domain.people import Permit, Role
from chalicelib.web.permissions import PERMITS

DOCUMENT = Path(__file__).parent.parent / "docs" / "people.md"
BEGIN, END = "<!-- the table -->\n", "<!-- end of the table -->\n"


def table() -> str:
    """The table as Markdown: door, scope of a key, and which people."""
    rows = [f"| `{name}` | {permit.scope.value} | {_people(permit)} |" for name, permit in PERMITS.items()]
    return "\n".join(["| door | a key needs | people |", "|---|---|---|", *rows]) + "\n"


def _people(permit: Permit) -> str:
    roles = [f"{role.value}s" for role in Role if role in permit.roles]
    return ", ".join([*roles, *(["authorized users"] if permit.users else [])]) or "nobody"


def main() -> None:
    """Put the table where the document has it."""
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(BEGIN)
    DOCUMENT.write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
