"""How much one top-up may come to is the workspace's to say."""

from typing import Any

import pytest

from tests.payments.conftest import BRIGHT, NORTH, Paying

USUAL = {
    "workspace": {"minimum": "10.00", "maximum": "5000.00"},
    "sub_accounts": {"minimum": "5.00", "maximum": "10000.00"},
}


def limits(paying: Paying, workspace: str) -> Any:
    return paying.world.get(f"/v1/workspaces/{workspace}")["top_up_limits"]


def set_limits(paying: Paying, agency: str, expect: int = 200, /, **parts: Any) -> Any:
    return paying.world.put(f"/v1/workspaces/{agency}/top-up-limits", parts, expect)


def between(minimum: str, maximum: str) -> dict[str, str]:
    return {"minimum": minimum, "maximum": maximum}


def test_a_new_workspace_has_the_usual_limits(paying: Paying) -> None:
    assert limits(paying, paying.world.workspace()) == USUAL


@pytest.mark.parametrize("part", ["workspace", "sub_accounts"])
def test_limits_that_were_set_hold_for_whom_they_were_set_and_a_refusal_names_them(paying: Paying, part: str) -> None:
    workspace, client = paying.agency(BRIGHT)
    owner, other = (workspace, client) if part == "workspace" else (client, workspace)

    shown = set_limits(paying, workspace, **{part: between("20", "30.5")})
    too_little = paying.top_up(owner, "19.99", expect=422)
    too_much = paying.top_up(owner, "30.51", expect=422)

    assert shown["top_up_limits"] == {**USUAL, part: between("20.00", "30.50")}
    assert limits(paying, workspace) == shown["top_up_limits"]
    for refused in (too_little, too_much):
        assert (refused["code"], refused["param"]) == ("amount_out_of_range", "amount")
        assert refused["detail"] == "amount must be between 20.00 and 30.50."
    assert paying.top_up(owner, "30.50")["state"] == "open"
    assert paying.top_up(other, "10.00")["state"] == "open"


def test_a_part_that_is_left_out_stays_as_it_is(paying: Paying) -> None:
    workspace = paying.world.workspace()
    set_limits(paying, workspace, workspace=between("1", "2"))
    set_limits(paying, workspace, sub_accounts=between("3", "4"))

    shown = set_limits(paying, workspace)

    assert shown["top_up_limits"] == {"workspace": between("1.00", "2.00"), "sub_accounts": between("3.00", "4.00")}


def test_the_limits_of_one_agency_are_nobody_elses(paying: Paying) -> None:
    workspace, _ = paying.agency(BRIGHT)
    neighbour, client = paying.agency(NORTH)

    set_limits(paying, workspace, workspace=between("1", "2"), sub_accounts=between("1", "2"))

    assert limits(paying, neighbour) == USUAL
    assert paying.top_up(client, "10000.00")["amount"] == "10000.00"


def test_limits_may_be_as_wide_as_what_stripe_takes(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    set_limits(paying, workspace, sub_accounts=between("0.5", "999999"))

    most = paying.top_up(client, "999999.00", key="most")
    least = paying.top_up(client, "0.50", key="least")

    assert (most["amount"], least["amount"]) == ("999999.00", "0.50")


def test_the_smallest_may_be_the_largest(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)

    set_limits(paying, workspace, sub_accounts=between("25", "25"))

    assert paying.top_up(client, "25.00")["state"] == "open"


@pytest.mark.parametrize("part", ["workspace", "sub_accounts"])
@pytest.mark.parametrize(
    ("minimum", "maximum", "field"),
    [
        ("10", "9.99", "maximum"),
        ("0.49", "100", "minimum"),
        ("0", "100", "minimum"),
        ("-1", "100", "minimum"),
        ("10", "999999.01", "maximum"),
        ("10", "1e3", "maximum"),
        ("10", 100, "maximum"),
        ("10", None, "maximum"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_name_and_change_nothing(
    paying: Paying, part: str, minimum: Any, maximum: Any, field: str
) -> None:
    workspace = paying.world.workspace()

    refused = set_limits(paying, workspace, 422, **{part: {"minimum": minimum, "maximum": maximum}})

    assert refused["param"] == f"{part}.{field}"
    assert limits(paying, workspace) == USUAL


@pytest.mark.parametrize("missing", ["minimum", "maximum"])
def test_half_a_pair_of_limits_is_refused_by_the_name_of_the_other_half(paying: Paying, missing: str) -> None:
    workspace = paying.world.workspace()
    pair = {name: amount for name, amount in between("10", "20").items() if name != missing}

    assert set_limits(paying, workspace, 422, workspace=pair)["param"] == f"workspace.{missing}"


def test_a_page_that_is_open_already_can_still_be_paid_on_when_the_limits_have_changed(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    top_up = paying.top_up(client, "50.00")
    set_limits(paying, workspace, sub_accounts=between("100", "200"))

    paying.pay(top_up)
    paying.deliver()

    assert paying.world.balance(client) == "50.000000"


def test_changing_a_price_leaves_the_limits_alone(paying: Paying) -> None:
    workspace = paying.world.workspace()
    set_limits(paying, workspace, workspace=between("1", "2"))

    paying.world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.09"})

    assert limits(paying, workspace) == {**USUAL, "workspace": between("1.00", "2.00")}


def test_a_workspace_that_does_not_exist_has_no_limits(paying: Paying) -> None:
    assert set_limits(paying, "ws_unknown", 404, workspace=between("1", "2"))["code"] == "not_found"
