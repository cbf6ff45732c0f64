"""Keeps the board true: reads the wallets through the API, and what their days came to."""

import logging
import time
from collections.abc import Sequence
from decimal import Decimal
from threading import Event

import httpx

from chalicelib.clock import now_ms, utc_day
from chalicelib.storage.tables import WalletItem
from chalicelib.storage.wallets import day_totals
from local.api import Api
from local.board import Board
from local.demo import Agency

LOOK_EVERY_SECONDS = 0.4
LOOK_CLOSELY_EVERY_SECONDS = 5.0
WAITING_STATUSES = ("unmatched", "needs_review", "conflict")

logger = logging.getLogger("rebill.home")


class Watch:
    """Looks at the demo's wallets again and again, so that changes from outside are seen as well."""

    def __init__(self, api: Api, agencies: Sequence[Agency], board: Board) -> None:
        self._api = api
        self._agencies = agencies
        self._board = board
        self._posted_before: dict[str, tuple[str, int]] = {}
        self._balances: dict[str, int] = {}
        self._look_closely_at = 0.0

    def run(self, stop: Event) -> None:
        """Look until told to stop."""
        while not stop.is_set():
            try:
                self.look()
            except Exception:  # the next look may go better
                if not stop.is_set():
                    logger.exception("watch")
            stop.wait(LOOK_EVERY_SECONDS)

    def look(self) -> None:
        """Read the wallets that have moved, and now and then all of them: a price may have changed too."""
        moved = self._moved()
        if time.monotonic() >= self._look_closely_at:
            self._look_closely_at = time.monotonic() + LOOK_CLOSELY_EVERY_SECONDS
            self._board.counts.waiting = sum(self._waiting(agency.id) for agency in self._agencies)
            moved = set(self._board.rows)
        for agency in self._agencies:
            owner_ids = (agency.id, *(client.id for client in agency.clients))
            for owner_id in owner_ids:
                if owner_id in moved:
                    self._read_wallet(owner_id)
                if agency.id in moved:
                    self._read_calls(owner_id, counts=owner_id == agency.id)

    def _moved(self) -> set[str]:
        """Whose balance is another than at the last look. One read of the table: asking the API for every wallet twice
        a second would keep a core busy that the product needs.
        """
        before = self._balances
        items = WalletItem.batch_get(list(self._board.rows), consistent_read=True)
        self._balances = {item.owner_id: int(item.balance_micros) for item in items}
        return {owner_id for owner_id, micros in self._balances.items() if before.get(owner_id) != micros}

    def _read_wallet(self, owner_id: str) -> None:
        kind = "workspaces" if owner_id.startswith("ws_") else "sub-accounts"
        wallet = self._api.get(f"/v1/{kind}/{owner_id}/wallet")
        self._board.seen(owner_id, Decimal(wallet["balance"]), wallet["status"], wallet["minutes_left"])

    def _read_calls(self, owner_id: str, counts: bool) -> None:
        today = utc_day(now_ms())
        totals = day_totals(owner_id, today, today)
        calls = totals[0].calls if totals else 0
        self._board.rows[owner_id].calls_today = calls
        if counts:
            day, before = self._posted_before.get(owner_id, (today, calls))
            self._posted_before[owner_id] = (today, calls)
            self._board.count(posted=calls - before if day == today else calls)

    def _waiting(self, workspace_id: str) -> int:
        """Usage events that wait for a person; a hundred of a kind stand for more."""
        path = f"/v1/workspaces/{workspace_id}/usage-events?limit=100&status="
        try:
            return sum(len(self._api.get(path + status)["data"]) for status in WAITING_STATUSES)
        except httpx.HTTPStatusError:
            logger.warning("waiting events could not be listed", exc_info=True)
            return 0
