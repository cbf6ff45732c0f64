"""The snapshot for new sub-accounts: what they begin with, and how it comes to those that exist, and goes again."""

from typing import Any

import pytest

from chalicelib.flows import configure
from chalicelib.storage import wallets
from tests.calls import call
from tests.world import Answer, World

OWNER = "owner@acme.example"


def snapshot(price: str = "0.20", **more: Any) -> dict[str, Any]:
    """A snapshot with everything in it."""
    return {
        "rebilling": {"enabled": True, "voice": {"price_type": "fixed", "price_per_minute": price}},
        "refill": {"threshold": "20.00", "target_balance": "100.00"},
        "notice_levels": {"levels": ["25.00", "5.00"]},
        "credit_limit": "5.00",
        **more,
    }


class Agency:
    """An agency with balance, and its snapshot."""

    def __init__(self, world: World) -> None:
        self.world, self.id = world, world.workspace()
        self.path = f"/v1/workspaces/{self.id}/snapshot"
        world.credit(self.id, "1000.00")

    def set(self, **more: Any) -> Any:
        return self.world.put(self.path, snapshot(**more))

    def apply(self, *clients: str, version: int = 1, key: str = "apply-1") -> Answer:
        body = {"sub_accounts": list(clients), "version": version}
        return self.world.call("POST", f"{self.path}/apply", body, headers={"Idempotency-Key": key})

    def applied(self, *clients: str, **more: Any) -> Any:
        answer = self.apply(*clients, **more)
        assert answer.status == 201, answer.text
        return answer.json

    def undone(self, application: Any) -> Any:
        return self.world.post(f"{self.path}/applications/{application['id']}/undo", None, 200)

    def preview(self, *clients: str) -> Any:
        return self.world.post(f"{self.path}/preview", {"sub_accounts": list(clients)}, 200)

    def old_client(self, price: str = "0.15") -> str:
        return self.world.sub_account(self.id, price)

    def has(self, client: str) -> tuple[str | None, str, list[str], str]:
        """Price a minute, refill target, notice levels and credit limit of a client."""
        world, path = self.world, f"/v1/sub-accounts/{client}"
        card = world.get(path)["rebilling"]
        price = card["prices"]["voice"]["price_per_minute"] if card and card["enabled"] else None
        rule = world.get(f"{path}/wallet/refill-rule")
        assert not rule["enabled"]
        levels = world.get(f"{path}/wallet/notice-levels")["levels"]
        return price, rule["target_balance"], levels, world.wallet(client)["credit_limit"]


@pytest.fixture
def agency(world: World) -> Agency:
    """An agency."""
    return Agency(world)


OLD = ("0.15", "50.00", ["20.00", "5.00", "0.00"], "0.00")
NEW = ("0.20", "100.00", ["25.00", "5.00"], "5.00")


def states(application: Any) -> list[str]:
    return [result["state"] for result in application["data"]]


# What new sub-accounts begin with


def test_without_a_snapshot_a_new_client_is_not_re_billed(agency: Agency) -> None:
    shown = agency.world.get(agency.path)

    assert (shown["version"], shown["rebilling"], shown["refill"]) == (0, None, None)
    assert agency.has(agency.world.sub_account(agency.id)) == (None, *OLD[1:])


def test_a_new_client_begins_with_all_that_the_snapshot_says(agency: Agency) -> None:
    agency.set()

    made = configure.create_sub_account(agency.id, "Bright Dental").id

    assert agency.has(made) == NEW


def test_a_credit_limit_that_is_said_goes_before_the_snapshots(agency: Agency) -> None:
    agency.set()

    made = configure.create_sub_account(agency.id, "Bright Dental", 1_000_000)

    assert wallets.get_wallet(made.id).credit_limit_micros == 1_000_000


def test_the_first_call_of_a_new_client_is_rated_by_the_snapshots_price(agency: Agency) -> None:
    agency.set()
    made = agency.world.sub_account(agency.id)
    agency.world.credit(made, "10.00")

    agency.world.report(call(made, "first", seconds=60))
    agency.world.drain()

    assert agency.world.balance(made) == "9.800000"


def test_clients_that_exist_stay_as_they_are_when_the_snapshot_changes(agency: Agency) -> None:
    old = agency.old_client()

    agency.set()

    assert agency.has(old) == OLD


def test_a_suggested_refill_is_never_switched_on_by_itself(agency: Agency) -> None:
    agency.set()

    rule = agency.world.get(f"/v1/sub-accounts/{agency.world.sub_account(agency.id)}/wallet/refill-rule")

    assert (rule["enabled"], rule["threshold"], rule["target_balance"]) == (False, "20.00", "100.00")
    assert rule["refill"]["state"] == "off"


def test_every_change_of_the_snapshot_is_another_version_with_when_and_by_whom(agency: Agency) -> None:
    first, second = agency.set(), agency.set(credit_limit=None)

    assert [first["version"], second["version"]] == [1, 2]
    assert (second["credit_limit"], second["by"]) == (None, "the platform's")
    assert first["set_at"] <= second["set_at"]
    assert agency.world.get(agency.path) == second


def test_who_has_not_seen_the_latest_version_sets_nothing(agency: Agency) -> None:
    agency.set(version=0)

    answer = agency.world.call("PUT", agency.path, snapshot(price="0.30", version=0))

    assert (answer.status, answer.json["code"]) == (409, "snapshot_changed")
    assert agency.world.get(agency.path)["version"] == 1


def test_a_snapshot_below_cost_must_be_wanted(agency: Agency) -> None:
    cheap = snapshot(price="0.05")
    refused = agency.world.call("PUT", agency.path, cheap)
    cheap["rebilling"]["voice"]["accept_below_cost"] = True

    assert (refused.status, refused.json["code"]) == (422, "price_below_cost")
    assert refused.json["param"] == "rebilling.voice.price_per_minute"
    assert agency.world.put(agency.path, cheap)["version"] == 1


def test_a_snapshot_has_no_date(agency: Agency) -> None:
    dated = snapshot()
    dated["rebilling"]["effective_at"] = "2027-01-01T00:00:00Z"

    answer = agency.world.call("PUT", agency.path, dated)

    assert (answer.status, answer.json["param"]) == (422, "rebilling")


# Applied to clients that exist


def test_a_preview_says_from_what_to_what_and_changes_nothing(agency: Agency) -> None:
    old = agency.old_client()
    agency.set(refill=None)
    same = agency.world.sub_account(agency.id, credit_limit="5.00")

    shown = agency.preview(old, same, "sa_nobody_here")

    first, second, third = shown["data"]
    assert shown["version"] == 1
    assert first["changes"] == ["rebilling", "notice_levels", "credit_limit"]
    assert first["before"]["rebilling"]["prices"]["voice"]["price_per_minute"] == "0.15"
    assert first["after"]["rebilling"]["prices"]["voice"]["price_per_minute"] == "0.20"
    assert (first["before"]["credit_limit"], first["after"]["credit_limit"]) == ("0.00", "5.00")
    assert second["changes"] == []
    assert (third["changes"], third["detail"]) == ([], "There is no such sub-account.")
    assert agency.has(old) == OLD


def test_an_application_gives_each_client_the_snapshot_and_says_so(agency: Agency) -> None:
    clients = [agency.old_client(), agency.old_client("0.25")]
    agency.set()

    made = agency.applied(*clients)

    assert made["id"].startswith("sna_")
    assert states(made) == ["applied", "applied"]
    assert [agency.has(client) for client in clients] == [NEW, NEW]
    assert agency.world.get(f"{agency.path}/applications/{made['id']}") == made


def test_the_trouble_of_one_account_is_its_own(agency: Agency, world: World) -> None:
    foreign, old = world.sub_account(world.workspace()), agency.old_client()
    agency.set()
    fresh = configure.create_sub_account(agency.id, "New").id

    made = agency.applied(foreign, fresh, old)

    assert states(made) == ["refused", "unchanged", "applied"]
    assert agency.has(old) == NEW
    assert world.get(f"/v1/sub-accounts/{foreign}")["rebilling"] is None


def test_a_rule_that_a_client_has_switched_on_is_not_touched(agency: Agency, world: World) -> None:
    old = agency.old_client()
    world.credit(old, "100.00")
    path = f"/v1/sub-accounts/{old}/wallet/refill-rule"
    rule = world.put(path, {"enabled": True, "threshold": "10", "target_balance": "50"})
    agency.set()

    made = agency.applied(old)

    assert made["data"][0]["changes"] == ["rebilling", "notice_levels", "credit_limit"]
    assert world.get(path) == rule


def test_only_the_version_that_was_looked_at_is_applied(agency: Agency) -> None:
    old = agency.old_client()
    agency.set()
    agency.set(price="0.30")

    answer = agency.apply(old, version=1)

    assert (answer.status, answer.json["code"]) == (409, "snapshot_changed")
    assert agency.has(old) == OLD


def test_the_same_application_again_changes_nothing_more(agency: Agency, world: World) -> None:
    old = agency.old_client()
    agency.set()
    made = agency.applied(old)
    agency.set(price="0.30")

    assert agency.applied(old) == made
    assert len(world.get(f"/v1/sub-accounts/{old}")["rebilling_cards"]) == 2
    other = agency.apply(agency.old_client())
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


def test_an_application_that_broke_off_goes_on_with_the_same_key(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.flows import apply_snapshot

    clients = [agency.old_client(), agency.old_client()]
    agency.set()
    whole = apply_snapshot._apply
    with monkeypatch.context() as patch:
        patch.setattr(apply_snapshot, "_apply", lambda *known: known[3].sub_account_id == clients[0] and whole(*known))
        assert agency.apply(*clients).status == 503

    assert states(agency.applied(*clients)) == ["applied", "applied"]
    assert [agency.has(client) for client in clients] == [NEW, NEW]


# Undone


def test_undoing_gives_each_client_back_what_it_had(agency: Agency) -> None:
    clients = [agency.old_client(), agency.old_client("0.25")]
    agency.set()
    made = agency.applied(*clients)

    undone = agency.undone(made)

    assert states(undone) == ["undone", "undone"]
    assert [agency.has(client) for client in clients] == [OLD, ("0.25", *OLD[1:])]


def test_a_client_that_was_not_re_billed_is_not_re_billed_again(agency: Agency, world: World) -> None:
    old = world.sub_account(agency.id)
    agency.set()

    agency.undone(agency.applied(old))

    assert agency.has(old) == (None, *OLD[1:])


def test_a_call_between_applying_and_undoing_keeps_its_price(agency: Agency, world: World) -> None:
    old = agency.old_client()
    world.credit(old, "10.00")
    agency.set()
    made = agency.applied(old)
    event = call(old, "between", seconds=60)

    agency.undone(made)
    world.report(event)
    world.drain()

    assert world.usage("my-platform", "between")["charges"]["sub_account"]["price_per_minute"] == "0.20"


def test_what_somebody_has_changed_since_is_left_alone(agency: Agency, world: World) -> None:
    changed, switched_on, other = agency.old_client(), agency.old_client(), agency.old_client()
    agency.set()
    made = agency.applied(changed, switched_on, other)
    world.rebill(changed, "0.40")
    world.credit(switched_on, "100.00")
    rule = {"enabled": True, "threshold": "20", "target_balance": "100"}
    world.put(f"/v1/sub-accounts/{switched_on}/wallet/refill-rule", rule)

    undone = agency.undone(made)

    assert states(undone) == ["left_alone", "left_alone", "undone"]
    assert "changed by somebody" in undone["data"][0]["detail"]
    assert agency.has(changed)[0] == "0.40"
    assert world.get(f"/v1/sub-accounts/{switched_on}/wallet/refill-rule")["enabled"]


def test_undoing_twice_does_no_harm(agency: Agency, world: World) -> None:
    old = agency.old_client()
    agency.set()
    made = agency.applied(old)
    first = agency.undone(made)
    world.rebill(old, "0.40")

    assert agency.undone(made) == first
    assert agency.has(old)[0] == "0.40"


def test_applications_of_other_workspaces_are_not_found(agency: Agency, world: World) -> None:
    agency.set()
    made = agency.applied(agency.old_client())
    elsewhere = f"/v1/workspaces/{world.workspace()}/snapshot/applications"

    assert world.call("GET", f"{elsewhere}/{made['id']}").status == 404
    assert world.call("POST", f"{elsewhere}/{made['id']}/undo").status == 404
    assert world.call("GET", f"{agency.path}/applications/{made['id']}%23sa_x_y").status == 404
