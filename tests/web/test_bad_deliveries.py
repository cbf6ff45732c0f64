"""Bad input at the doors without a key: what platforms, Stripe and browsers bring is refused; nothing is written."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.web.doors import Door
from tests.gateways.voice_platforms import body_of, sign_retell
from tests.stripe_stand import BRIGHT
from tests.web.checks import (
    PAGES,
    everything_written,
    is_a_page_that_refuses,
    send_all,
)
from tests.web.examples import (
    CONNECTION,
    OAUTH_CALLBACK,
    OAUTH_START,
    RETURN,
    STRIPE_WEBHOOKS,
    VOICE_WEBHOOK,
    Scene,
    door_of,
    example,
    name_of,
    problem_of,
)
from tests.web.sweep import HALF_A_CHARACTER, NOT_THERE, TEXTS, changed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("call_id", value) for value in (NOT_THERE, None, 7, "", "a b", "a#b", "x" * 200, "é", [], {})),
        *(("agent_id", value) for value in (7, "", "a b", "a#b", "x" * 200, "é", [], {})),
        *(("start_timestamp", value) for value in ("1", -1, 1.5, True, 10**30, int("9" * 400), 1_781_863_200, [], {})),
        *(("end_timestamp", value) for value in ("1", -1, 1.5, True, 10**30, int("9" * 400), 1_781_863_200, [], {})),
        *(("duration_ms", value) for value in ("1", -1, True, 10**30, int("9" * 400), [], {})),
        *(("call_status", value) for value in (1, True, [], {})),
        *(("disconnection_reason", value) for value in (1, True, [], {})),
    ],
)
def test_a_voice_platforms_signed_nonsense_is_refused_by_the_fields_name(scene: Scene, field: str, value: Any) -> None:
    endpoint = scene.world.endpoint(scene.workspace, "retell", "key_4d1f90")
    payload = changed(json.loads(body_of("retell/call_ended.json")), ("call", field), value)
    before = everything_written()

    raw = json.dumps(payload).encode()
    path = f"/webhooks/voice/retell/{endpoint['id']}"
    answer = scene.world.call("POST", path, raw=raw, headers=sign_retell(raw, "key_4d1f90", str(now_ms()), ""))

    assert answer.status == 422
    assert problem_of(answer)["param"] == f"call.{field}"
    assert everything_written() == before


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 10_000, b"\xff", b"x" * 5_000_001], ids=lambda raw: f"{len(raw)} B")
def test_what_nobody_signed_is_refused_without_being_read(scene: Scene, raw: bytes) -> None:
    before = everything_written()

    path = VOICE_WEBHOOK.format(provider="cloudevents", endpoint_id=scene.endpoint["id"])
    answer = scene.world.call("POST", path, raw=raw, key=None)

    assert answer.status in (401, 413)
    problem_of(answer)
    assert everything_written() == before


@pytest.mark.parametrize(
    "path", [("id",), ("object",), ("type",), ("data",), ("data", "object"), ("data", "object", "id")], ids=".".join
)
@pytest.mark.parametrize("door", [door_of("POST", path) for path in STRIPE_WEBHOOKS], ids=name_of)
def test_an_event_that_is_signed_and_no_event_of_stripes_is_refused(
    scene: Scene, door: Door, path: tuple[str, ...]
) -> None:
    valid = example(scene, door)
    values = [7, Decimal("0.5"), True, ["evt_1"], {"id": ["evt_1"]}]
    values += [NOT_THERE, None, "", []] if path[-1] in ("object", "data") else []
    wrong = [("body", value, valid.with_body(changed(valid.body, path, value))) for value in values]

    complaints = send_all(scene, wrong, expected=(400,))

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    "header",
    ["", "t=1,v1=00", "v1=00", "t=,v1=", "t=é,v1=é", "t=" + "9" * 400, "x" * 9_000, "t=1" * 3_000, "\x00"],
    ids=lambda header: header[:12],
)
@pytest.mark.parametrize("door", [door_of("POST", path) for path in STRIPE_WEBHOOKS], ids=name_of)
def test_an_event_that_stripe_did_not_sign_is_refused(scene: Scene, door: Door, header: str) -> None:
    valid = example(scene, door)
    before = everything_written()

    answer = replace(valid, sign=None, headers={"Stripe-Signature": header}).send(scene.world)

    assert answer.status == 401
    assert "Stripe-Signature" in problem_of(answer)["detail"]
    assert everything_written() == before


def test_an_event_signed_for_the_other_door_is_refused(scene: Scene) -> None:
    platform, connect = (example(scene, door_of("POST", path)) for path in STRIPE_WEBHOOKS)
    before = everything_written()

    answers = [
        replace(platform, sign=connect.sign).send(scene.world),
        replace(connect, sign=platform.sign).send(scene.world),
    ]

    assert [answer.status for answer in answers] == [401, 401]
    assert everything_written() == before


PARAMETERS_OF_PAGES = [(OAUTH_START, "state"), (OAUTH_CALLBACK, "state"), (RETURN, "owner"), (RETURN, "top_up")]


@pytest.mark.parametrize(("path", "name"), PARAMETERS_OF_PAGES)
def test_a_wrong_value_in_the_address_of_a_page_is_answered_with_a_page_and_changes_nothing(
    scene: Scene, path: str, name: str
) -> None:
    valid = example(scene, door_of("GET", path))
    others = {known: value for known, value in valid.query.items() if known != name}
    more = ("\ud800".encode("utf-8", "surrogatepass"), b"\xff", "<script>alert(1)</script>", valid.query[name] + "x")
    wrong = [replace(valid, query={**others, name: value}) for value in (*TEXTS, *more) if value != HALF_A_CHARACTER]
    wrong += [] if (path, name) == (RETURN, "top_up") else [replace(valid, query=others)]
    before = everything_written()

    answers = [request.send(scene.world) for request in wrong]

    complaints = [
        f"{str(request.query.get(name))[:60]!r}: {answer.status} {answer.text[:160]}"
        for request, answer in zip(wrong, answers, strict=True)
        if not is_a_page_that_refuses(answer)
    ]
    assert not complaints, "\n".join(complaints)
    assert everything_written() == before


@pytest.mark.parametrize(
    "code", ["", " ", "\u0000", "null", "x" * 3_000, "\u0661", "💸", "ac_unknown", "<script>alert(1)</script>"]
)
def test_a_code_that_stripe_never_gave_links_nothing(scene: Scene, code: str) -> None:
    workspace = scene.world.workspace()
    cookie, location = scene.paying.start(workspace)
    state = scene.paying.choose(location, BRIGHT)["state"]
    valid = example(scene, door_of("GET", OAUTH_CALLBACK))

    answer = replace(valid, query={"state": state, "code": code}, headers={"Cookie": cookie}).send(scene.world)

    assert is_a_page_that_refuses(answer), f"{answer.status} {answer.text[:300]}"
    assert scene.world.call("GET", CONNECTION.format(workspace_id=workspace)).status == 404


@pytest.mark.parametrize("door", PAGES, ids=name_of)
def test_a_page_is_there_whatever_else_stands_in_its_address_or_its_cookies(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    cookie = valid.headers.get("Cookie", "x=1")
    request = replace(
        valid, query={**valid.query, "utm_source": "mail", "é": "\x00"}, headers={"Cookie": f"a=b; {cookie}"}
    )

    answer = request.send(scene.world)

    assert answer.status == door.status, answer.text[:300]
