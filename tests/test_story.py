"""The main job, from a platform's report to both wallets."""

from typing import Any

from tests.world import World


def call(subject: str, event_id: str = "call_1", seconds: int = 42, **more: Any) -> dict[str, Any]:
    """A call that was answered a moment from now, so that today's prices rate it."""
    answered_at = more.pop("answered_at", None) or moment(0)
    ended_at = more.pop("ended_at", None) or moment(seconds)
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "my-platform",
        "type": "rebill.usage",
        "subject": subject,
        "time": ended_at,
        "data": {"meter": "voice", "answered_at": answered_at, "ended_at": ended_at},
        **more,
    }


def moment(seconds_from_now: float) -> str:
    from chalicelib.clock import now_ms, rfc3339

    return rfc3339(now_ms() + int(seconds_from_now * 1000))


def test_a_finished_call_costs_both_wallets_once(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, price="0.15")
    world.credit(workspace, "10.00")
    world.credit(client, "5.00")

    world.report(call(client))
    world.report(call(client))
    world.drain()

    # 42 s at 0.07 a minute are 0.049; at 0.15 a minute they are 0.105.
    assert world.balance(workspace) == "9.951000"
    assert world.balance(client) == "4.895000"
    assert [entry["amount"] for entry in world.entries(client)] == ["-0.105000", "5.000000"]
