"""What all our items share: inside `reading_once`, the store is asked for each of them once.

A page is made of many parts, and each asks for what it needs: the workspace six times, its wallet three times. Nothing
is kept from one request to the next.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from pynamodb.connection import TableConnection
from pynamodb.models import Model

from chalicelib.storage.connecting import connection

THREADS = 3  # more would wait for one another: Python runs one of them at a time

P = ParamSpec("P")
T = TypeVar("T")
Key = tuple[Any, ...]  # an item's class, its hash key, and its range key where it has one

_kept: ContextVar[dict[Key, Any] | None] = ContextVar("kept", default=None)


class Item(Model):
    """An item of one of our tables. Only reads that are consistent are kept, and only inside `reading_once`."""

    @classmethod
    def _get_connection(cls) -> TableConnection:
        """All tables share one connection: a client for each would cost every cold start as many times its making."""
        found = super()._get_connection()
        if found.connection is not connection():
            with suppress(ValueError):  # known already, by another class of the same table
                connection().add_meta_table(found.get_meta_table())
            found.connection = connection()
        return found

    @classmethod
    def get(
        cls, hash_key: Any, range_key: Any = None, consistent_read: bool = False, attributes_to_get: Any = None
    ) -> Self:
        """As pynamodb's."""
        kept = _kept.get()
        if kept is None or not consistent_read or attributes_to_get:
            return super().get(hash_key, range_key, consistent_read, attributes_to_get)
        key = _key(cls, hash_key, range_key)
        if key not in kept:
            try:
                kept[key] = super().get(hash_key, range_key, consistent_read)
            except cls.DoesNotExist:
                kept[key] = None
        if kept[key] is None:
            raise cls.DoesNotExist()
        found: Self = kept[key]
        return found

    @classmethod
    def batch_get(
        cls, items: Iterable[Any], consistent_read: bool | None = None, attributes_to_get: Any = None
    ) -> Iterator[Self]:
        """As pynamodb's."""
        kept = _kept.get()
        asked = list(items)
        if kept is not None and consistent_read and not attributes_to_get:
            keys = [_key(cls, *(each if isinstance(each, tuple) else (each,))) for each in asked]
            yield from (found for key in keys if (found := kept.get(key)) is not None)
            asked = [each for each, key in zip(asked, keys, strict=True) if key not in kept]
        if asked:
            yield from super().batch_get(asked, consistent_read, attributes_to_get)


def _key(kind: type[Item], hash_key: Any, range_key: Any = None) -> Key:
    return (kind, hash_key) if range_key is None else (kind, hash_key, range_key)


@contextmanager
def reading_once() -> Iterator[None]:
    """Until the block ends, an item that was read is not read again. For what only reads: a write is not noticed."""
    if _kept.get() is not None:
        yield
        return
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def not_read_yet(keys: Iterable[Key]) -> list[Key]:
    """Inside `reading_once`: which of these were not read so far. Outside it none is worth reading in advance."""
    kept = _kept.get()
    return [] if kept is None else [key for key in keys if key not in kept]


def keep(key: Key, item: Item | None) -> None:
    """Inside `reading_once`: this is what was read, or None where nothing is. Outside it, nothing is kept."""
    kept = _kept.get()
    if kept is not None:
        kept[key] = item


class Together:
    """Reads that wait for the store at the same time."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def begin(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin to read; `result()` waits for the answer, or raises what the read raises."""
        return self._pool.submit(partial(copy_context().run, read, *args, **kwargs))


@contextmanager
def together() -> Iterator[Together]:
    """A few reads at the same time. When the block ends, all of them have."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield Together(pool)
