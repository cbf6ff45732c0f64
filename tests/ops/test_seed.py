"""`python -m ops seed`: a stage full of clients and calls, through the product's own flows."""

from typing import Any

import pytest

from chalicelib.flows.post_usage import post_usage
from chalicelib.settings import _parameter_store, settings
from chalicelib.storage import tables
from local import seed as seeding
from tests.aws import aws
from tests.ops.commands import done, ops, refused, told
from tests.world import World

SMALL = ("seed", "--workspaces", "2", "--sub-accounts", "5", "--entries", "60")


def _kept() -> dict[str, int]:
    """How many items there are of what seeding makes."""
    kinds = (tables.WalletItem, tables.EntryItem)
    return {kind.Meta.table_name: sum(1 for _ in kind.scan()) for kind in kinds}


def _everything(owner_ids: list[str]) -> dict[str, Any]:
    """What a plan made, but for the moments at which it was written."""
    wallets = {item.owner_id: int(item.balance_micros) for item in tables.WalletItem.scan()}
    entries = sorted((item.pk, str(item.workspace_leg), str(item.sub_account_leg)) for item in tables.EntryItem.scan())
    return {"wallets": {owner: wallets[owner] for owner in owner_ids}, "entries": entries}


def test_nothing_is_made_before_somebody_says_yes(world: World) -> None:
    said = done(*SMALL)

    assert "Would make 2 workspaces, 5 sub-accounts and 60 calls on stage test" in said
    assert set(_kept().values()) == {0}


def test_so_many_are_made_as_were_asked_for_and_their_balances_and_days_are_those_of_their_entries(
    world: World,
) -> None:
    made = told(*SMALL, "--yes")

    assert [len(each["sub_accounts"]) for each in made] == [3, 2]
    calls = 0
    for each in made:
        for owner in [each["workspace"], *each["sub_accounts"]]:
            legs = [
                leg["amount_micros"]
                for item in tables.EntryItem.scan()
                for wallet, leg in (
                    (item.workspace_wallet, item.workspace_leg),
                    (item.sub_account_wallet, item.sub_account_leg),
                )
                if wallet == owner
            ]
            assert int(tables.WalletItem.get(owner).balance_micros) == sum(legs)
        calls += sum(int(day.calls) for day in tables.DayTotalItem.query(each["workspace"]))
    assert calls == 60


def test_the_same_command_again_changes_nothing_and_another_number_makes_others(world: World) -> None:
    first = told(*SMALL, "--yes")
    before = _kept()
    again = told(*SMALL, "--yes")
    between = _kept()
    other = told(*SMALL, "--seed", "2", "--yes")

    assert again == first
    assert between == before
    assert {each["workspace"] for each in other}.isdisjoint(each["workspace"] for each in first)
    assert _kept() == {name: 2 * count for name, count in before.items()}


def test_what_was_cut_short_goes_on_from_there_to_the_same_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "BATCH", 20)
    batches = 0

    def post_one_batch_only(messages: Any, seconds_left: float) -> list[str]:
        nonlocal batches
        batches += 1
        return post_usage(messages, seconds_left) if batches == 1 else [message.id for message in messages]

    with monkeypatch.context() as cut:
        cut.setattr(seeding, "post_usage", post_one_batch_only)
        said = refused(*SMALL, "--yes")
    posted = sum(item.pk.startswith("usage#") for item in tables.EntryItem.scan())
    made = told(*SMALL, "--yes")
    ends = _everything([owner for each in made for owner in (each["workspace"], *each["sub_accounts"])])
    told(*SMALL, "--yes")

    assert "20 of 20 calls were not posted" in said
    assert posted == 20
    assert sum(key.startswith("usage#") for key, _, _ in ends["entries"]) == 60
    assert _everything(list(ends["wallets"])) == ends


def test_a_stage_that_takes_real_money_is_not_seeded(world: World) -> None:
    for name in ("secret-key", "client-id", "webhook-secret", "connect-webhook-secret"):
        path = f"/rebill/{settings().stage}/stripe/{name}"
        aws("ssm").put_parameter(Name=path, Value=f"sk_live_{name}", Type="SecureString", Overwrite=True)
    _parameter_store().clear_cache()

    try:
        said = refused(*SMALL, "--yes")
    finally:
        _parameter_store().clear_cache()

    assert said == "Stage test takes real money: it is not seeded."
    assert set(_kept().values()) == {0}


@pytest.mark.parametrize("wrong", [("--entries", "5", "--sub-accounts", "0"), ("--workspaces", "9"), ("--days", "90")])
def test_what_cannot_be_is_refused_in_a_sentence(world: World, wrong: tuple[str, ...]) -> None:
    result = ops("seed", "--sub-accounts", "5", *wrong, "--yes")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert set(_kept().values()) == {0}
