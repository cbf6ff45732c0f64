"""Snapshots of defaults, and their applications: an account changes with the note of what it had, or not at all."""

from dataclasses import asdict, dataclass
from typing import Any

from pynamodb.exceptions import DoesNotExist, TransactWriteError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.accounts import SubAccount
from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.notices import ABOVE_ALL_MICROS, DEFAULT_LEVELS_MICROS, level_reached
from chalicelib.domain.rating import RateCard, card_in_force
from chalicelib.domain.refill import RefillMode, RefillRule
from chalicelib.domain.snapshot import Application, Defaults, Result, ResultState, Snapshot
from chalicelib.domain.standing import Standing
from chalicelib.storage import refills
from chalicelib.storage.accounts import sub_account_from_item
from chalicelib.storage.cards import card_from_json, card_to_json
from chalicelib.storage.tables import AccountItem, PaymentItem, WalletItem, connection, store_trouble_is_ours

SNAPSHOT, APPLICATION, KEY = "snapshot", "snapshot_application", "snapshot_key"
FIRST, LAST = 1, 999_999


@dataclass(frozen=True)
class Seen:
    """An account as it was read: what it has, and the versions by which a change since then is noticed."""

    sub_account: SubAccount
    has: Defaults
    cards: list[dict[str, Any]]
    cards_version: int
    balance_micros: int
    kept_levels: list[int] | None
    standing: Standing


def get_snapshot(workspace_id: str, version: int = LAST) -> Snapshot:
    """A workspace's snapshot as it is now, or as it was at a version; version 0 where none was ever set."""
    if version < FIRST:
        return Snapshot(workspace_id)
    versions = AccountItem.sk.between(_sk(FIRST), _sk(version))
    with store_trouble_is_ours():
        for item in AccountItem.query(workspace_id, versions, consistent_read=True, scan_index_forward=False, limit=1):
            facts = dict(item.facts)
            defaults = _defaults(facts.pop("defaults"))
            return Snapshot(**{**facts, "defaults": defaults, "below_cost": tuple(facts["below_cost"])})
    return Snapshot(workspace_id)


def add_snapshot(snapshot: Snapshot) -> bool:
    """Keep another version beside the earlier ones; False if somebody else has made this one."""
    facts = {**asdict(snapshot), "defaults": _json(snapshot.defaults)}
    item = AccountItem(snapshot.workspace_id, _sk(snapshot.version), created_at_ms=snapshot.set_at_ms, facts=facts)
    return _write([item], [])


def suggested(owner_id: str, rule: RefillRule) -> PaymentItem:
    """The item of a refill rule that is filled in and off, for a wallet that is about to be made."""
    standing = Standing(owner_id, version=1, rule=rule)
    return PaymentItem(owner_id, refills.STANDING, version=1, facts=asdict(standing))


def open_application(application: Application, key: str) -> Application:
    """Keep an application under its caller's key, or answer the one that was kept under it before.

    Raises:
        Unavailable: say it again.
    """
    workspace_id, at_ms = application.workspace_id, application.at_ms
    key_item = AccountItem(workspace_id, f"{KEY}#{key}", created_at_ms=at_ms, facts={"id": application.id})
    item = AccountItem(workspace_id, f"{APPLICATION}#{application.id}", created_at_ms=at_ms, facts=asdict(application))
    if _write([key_item, item], []):
        return application
    return find_application(workspace_id, key) or application


def find_application(workspace_id: str, key: str) -> Application | None:
    """What was asked for under a caller's key; None if nothing was."""
    with store_trouble_is_ours():
        try:
            known = AccountItem.get(workspace_id, f"{KEY}#{key}", consistent_read=True)
        except DoesNotExist:
            return None
    return get_application(workspace_id, known.facts["id"])


def get_application(workspace_id: str, application_id: str) -> Application:
    """Read an application.

    Raises:
        NotFound: the workspace has none with this id.
    """
    if "#" in application_id:  # our separator: that would be the key of something else
        raise NotFound("not_found", "There is no such application.")
    with store_trouble_is_ours():
        try:
            facts = AccountItem.get(workspace_id, f"{APPLICATION}#{application_id}", consistent_read=True).facts
            return Application(**{**facts, "sub_account_ids": tuple(facts["sub_account_ids"])})
        except DoesNotExist:
            pass
    raise NotFound("not_found", "There is no such application.")


def results_of(application: Application) -> list[Result]:
    """What became of each account of an application, in the order in which they were named."""
    prefix = f"{APPLICATION}#{application.id}#"
    known: dict[str, Result] = {}
    with store_trouble_is_ours():
        for item in AccountItem.query(
            application.workspace_id, AccountItem.sk.startswith(prefix), consistent_read=True
        ):
            facts = dict(item.facts)
            had, has = _defaults(facts["had"]), _defaults(facts["has"])
            known[facts["sub_account_id"]] = Result(
                **{**facts, "state": ResultState(facts["state"]), "had": had, "has": has}
            )
    return [known.get(each, Result(each)) for each in application.sub_account_ids]


def see(sub_account: SubAccount, now_ms: int) -> Seen:
    """Read what an account has now of all that a snapshot speaks of.

    Raises:
        NotFound: it is gone.
    """
    with store_trouble_is_ours():
        try:
            item = AccountItem.get(sub_account.workspace_id, sub_account.id, consistent_read=True)
            wallet = WalletItem.get(sub_account.id, consistent_read=True)
        except DoesNotExist:
            raise NotFound("not_found", "There is no such sub-account.") from None
    standing = refills.get_standing(sub_account.id)
    levels = DEFAULT_LEVELS_MICROS if wallet.notice_levels is None else tuple(wallet.notice_levels)
    known = sub_account_from_item(item)
    has = Defaults(
        rebilling=card_in_force(known.rebilling_cards, now_ms),
        refill=standing.rule,
        notice_levels_micros=levels,
        credit_limit_micros=int(wallet.credit_limit_micros),
    )
    return Seen(
        sub_account=known,
        has=has,
        cards=item.cards or [],
        cards_version=int(item.cards_version or 0),
        balance_micros=int(wallet.balance_micros),
        kept_levels=wallet.notice_levels,
        standing=standing,
    )


def change(seen: Seen, wanted: Defaults, application: Application, result: Result, before: ResultState | None) -> bool:
    """Give an account what is wanted and note the result, together; False if it, or the note, is not as we saw it.

    The card of `wanted` carries the date from which it is in force. `before` is the state that the note had.
    """
    same = AccountItem.pk.does_not_exist() if before is None else AccountItem.status == before.value
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.save(_result_item(application, result), condition=same)
            if wanted.rebilling is not None:
                account = AccountItem(seen.sub_account.workspace_id, seen.sub_account.id)
                unmoved = AccountItem.cards_version == seen.cards_version
                transaction.update(account, actions=_card_added(seen, wanted.rebilling), condition=unmoved)
            if wanted.notice_levels_micros is not None or wanted.credit_limit_micros is not None:
                _change_wallet(transaction, seen, wanted)
            if wanted.refill is not None:
                _change_rule(transaction, seen.standing, wanted.refill)
    except TransactWriteError as error:
        return _overtaken(error)
    return True


def _card_added(seen: Seen, card: RateCard) -> list[Action]:
    return [
        AccountItem.cards.set([*seen.cards, card_to_json(card)]),
        AccountItem.cards_version.set(seen.cards_version + 1),
    ]


def _change_wallet(transaction: TransactWrite, seen: Seen, wanted: Defaults) -> None:
    actions: list[Action] = []
    unmoved = WalletItem.credit_limit_micros == seen.has.credit_limit_micros
    if wanted.credit_limit_micros is not None:
        actions.append(WalletItem.credit_limit_micros.set(wanted.credit_limit_micros))
    if (levels := wanted.notice_levels_micros) is not None:
        kept = WalletItem.notice_levels
        unmoved &= kept.does_not_exist() if seen.kept_levels is None else kept == seen.kept_levels
        actions.append(kept.set(sorted(levels, reverse=True)))
        if level_reached(levels, seen.balance_micros) == ABOVE_ALL_MICROS:  # new levels alone are no recovery
            actions.append(WalletItem.notified_level_micros.set(ABOVE_ALL_MICROS))
    transaction.update(WalletItem(seen.sub_account.id), actions=actions, condition=unmoved)


def _change_rule(transaction: TransactWrite, before: Standing, rule: RefillRule) -> None:
    item = suggested(before.owner_id, rule)
    item.version = before.version + 1
    item.facts = {**asdict(before), "rule": asdict(rule), "version": before.version + 1}
    new = PaymentItem.pk.does_not_exist() if before.version == 0 else PaymentItem.version == before.version
    transaction.save(item, condition=new)


def _result_item(application: Application, result: Result) -> AccountItem:
    return AccountItem(
        application.workspace_id,
        f"{APPLICATION}#{application.id}#{result.sub_account_id}",
        created_at_ms=application.at_ms,
        status=result.state.value,
        facts={**asdict(result), "had": _json(result.had), "has": _json(result.has)},
    )


def note(application: Application, result: Result, before: ResultState | None) -> bool:
    """Note a result that changed nothing; False if another is noted already."""
    item = _result_item(application, result)
    return _write([item], [AccountItem.pk.does_not_exist() if before is None else AccountItem.status == before.value])


def _write(items: list[AccountItem], conditions: list[Any]) -> bool:
    try:
        with TransactWrite(connection=connection()) as transaction:
            for number, item in enumerate(items):
                new = conditions[number] if conditions else AccountItem.pk.does_not_exist()
                transaction.save(item, condition=new)
    except TransactWriteError as error:
        return _overtaken(error)
    return True


def _overtaken(error: TransactWriteError) -> bool:
    """False, where a transaction failed because something is not as we saw it; any other trouble is ours."""
    if any(reason is not None and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons):
        return False
    raise Unavailable("The account store") from error


def _sk(version: int) -> str:
    return f"{SNAPSHOT}#{version:06d}"


def _json(defaults: Defaults) -> dict[str, Any]:
    return {**asdict(defaults), "rebilling": defaults.rebilling and card_to_json(defaults.rebilling)}


def _defaults(kept: dict[str, Any]) -> Defaults:
    rule, levels = kept["refill"], kept["notice_levels_micros"]
    return Defaults(
        rebilling=kept["rebilling"] and card_from_json(kept["rebilling"]),
        refill=rule and RefillRule(**{**rule, "mode": RefillMode(rule["mode"])}),
        notice_levels_micros=None if levels is None else tuple(levels),
        credit_limit_micros=kept["credit_limit_micros"],
    )
