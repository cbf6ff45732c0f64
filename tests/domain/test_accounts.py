"""Accounts: an id tells whose it is, so that nobody can name a thing into somebody else's workspace."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.accounts import (
    AccountStatus,
    GatePolicy,
    Provider,
    SubAccount,
    Workspace,
    agent_provider,
    owning_workspace,
)


@pytest.mark.parametrize("account_id", ["sa_abc_def", "whe_abc_def", "sa_abc_d", "sa_abc_def_ghi"])
def test_an_id_tells_which_workspace_it_belongs_to(account_id: str) -> None:
    assert owning_workspace(account_id) == "ws_abc"


@pytest.mark.parametrize(
    "text",
    [
        *("", "_", "__", "___", "sa", "sa_", "sa__", "sa_abc", "sa_abc_", "sa__def", "_abc_def"),
        *("ws_abc", "ws_abc_def", "ent_abc_def", "SA_abc_def", " sa_abc_def", "sa-abc-def", "saabc_def"),
    ],
)
def test_anything_else_belongs_to_nobody(text: str) -> None:
    assert owning_workspace(text) is None


@given(st.text(max_size=30))
def test_no_text_at_all_can_claim_more_than_one_workspace(text: str) -> None:
    owner = owning_workspace(text)

    assert owner is None or text.split("_", 1)[1].startswith(owner.removeprefix("ws_") + "_")


def test_a_new_account_is_active_and_a_new_client_is_not_re_billed() -> None:
    workspace = Workspace("ws_abc", "Acme", "usd", "owner@example.com", 0, ())
    client = SubAccount("sa_abc_def", "ws_abc", "Client", 0)

    assert (workspace.status, client.status) == (AccountStatus.ACTIVE, AccountStatus.ACTIVE)
    assert client.rebilling_cards == ()
    assert workspace.gate == GatePolicy(min_start_seconds=60, max_call_seconds=3600)


def test_an_account_is_changed_by_making_another_one() -> None:
    client = SubAccount("sa_abc_def", "ws_abc", "Client", 0)

    with pytest.raises(dataclasses.FrozenInstanceError):
        client.status = AccountStatus.PAUSED  # type: ignore[misc]  # what must not work


@pytest.mark.parametrize("provider", list(Provider))
def test_the_agents_of_a_known_platform_are_assigned_under_its_own_name(provider: Provider) -> None:
    assert agent_provider(provider.value) is provider


@pytest.mark.parametrize("source", ["", "my-platform", "Vapi", "VAPI", " vapi", "https://voice.example.com"])
def test_the_agents_of_any_other_source_are_assigned_under_cloudevents(source: str) -> None:
    assert agent_provider(source) is Provider.CLOUDEVENTS
