"""The calls that a voice platform lists itself: a call whose webhook was lost is still found there.

https://docs.vapi.ai/api-reference/calls/list, https://docs.retellai.com/api-references/list-calls
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import urlencode

import urllib3

from chalicelib.clock import rfc3339
from chalicelib.domain import strict_json
from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid, Malformed, Unauthenticated, Unavailable
from chalicelib.domain.usage import Report
from chalicelib.gateways.voice import retell, vapi
from chalicelib.settings import voice_api_address
from chalicelib.telemetry import alarm

CONNECT_SECONDS, READ_SECONDS = 3.0, 20.0
VAPI_PAGE, RETELL_PAGE = 100, 500  # a call of Vapi's comes with its whole transcript
MOST_BYTES = 32_000_000
REFUSED = (401, 403)


def list_calls(provider: Provider, api_key: str, since_ms: int, until_ms: int) -> Iterator[Report]:
    """The calls that were begun from a moment until another and are over, page after page, in any order.

    Retell does not find calls that nobody answered, because they have no beginning; they cost nothing. A call that
    cannot be read is passed over, and a person is told.

    Raises:
        Unauthenticated: `api_key_refused`. Unavailable: the platform gives no answer, or one that cannot be read.
    """
    pages, read = LISTINGS[provider]
    try:
        for call in pages(api_key, since_ms, until_ms):
            try:
                report = read(call)
            except (Invalid, Malformed) as unreadable:
                alarm("listed_call_unreadable", provider=provider.value, param=unreadable.param)
                continue
            if report is not None:
                yield report
    except (LookupError, TypeError, AttributeError) as error:  # it is JSON, but no list of calls
        raise Unavailable(provider.value.capitalize()) from error


def _vapi_calls(api_key: str, since_ms: int, until_ms: int) -> Iterator[Any]:
    """It answers at most one page of a time span: the next one begins where this one ended."""
    after, before = rfc3339(since_ms), rfc3339(until_ms)
    seen: set[object] = set()
    while True:
        span = urlencode({"limit": VAPI_PAGE, "createdAtGe": after, "createdAtLe": before})
        page = _ask(Provider.VAPI, api_key, "GET", f"/call?{span}")
        fresh = [call for call in page if call["id"] not in seen]
        yield from fresh
        if len(page) < VAPI_PAGE or not fresh:
            return
        seen.update(call["id"] for call in page)
        first, last = page[0]["createdAt"], page[-1]["createdAt"]
        after, before = (last, before) if first < last else (after, last)


def _retell_calls(api_key: str, since_ms: int, until_ms: int) -> Iterator[Any]:
    asked: dict[str, Any] = {
        "filter_criteria": {"start_timestamp": {"type": "number", "op": "ge", "value": since_ms}},
        "sort_order": "ascending",
        "limit": RETELL_PAGE,
    }
    while True:
        page = _ask(Provider.RETELL, api_key, "POST", "/v3/list-calls", asked)
        yield from page["items"]
        if not page.get("has_more") or not page["items"] or not page.get("pagination_key"):
            return
        if (page["items"][-1].get("start_timestamp") or 0) >= until_ms:
            return
        asked["pagination_key"] = page["pagination_key"]


def _ask(provider: Provider, api_key: str, method: str, path: str, body: Any = None) -> Any:
    """Ask once: what fails is asked again the next night. Nothing of what is answered is written down."""
    trouble = Unavailable(provider.value.capitalize())
    try:
        answer = _pool().request(
            method,
            voice_api_address(provider) + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
            redirect=False,
            preload_content=False,
        )
        with answer:
            if answer.status in REFUSED:
                detail = f"{provider.value.capitalize()} does not take the API key of this voice endpoint."
                raise Unauthenticated("api_key_refused", detail)
            read = answer.read(MOST_BYTES + 1)
        if answer.status // 100 != 2 or len(read) > MOST_BYTES:
            raise trouble
        return strict_json.load(read)
    except (urllib3.exceptions.HTTPError, Malformed) as error:
        raise trouble from error


@cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False)


_Pages = Callable[[str, int, int], Iterator[Any]]
LISTINGS: dict[Provider, tuple[_Pages, Callable[[Any], Report | None]]] = {
    Provider.VAPI: (_vapi_calls, vapi.read_listed),
    Provider.RETELL: (_retell_calls, retell.read_listed),
}
