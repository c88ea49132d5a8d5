"""The store's pool: named statements over asyncpg, rows as structs, and outages as `Unavailable`.

Sessions carry no state, so the reset query is empty: it would cost a round trip a release (6.8 k → 12.3 k queries/s).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import msgspec

from plaza.kernel.errors import InFlight, StoreFull, Unavailable
from plaza.kernel.sql import Duplicate, Statement

T = TypeVar("T")
Spoken = Callable[[str, float], None]
"""Told of each statement: its name, and its seconds."""

ACQUIRE_SECONDS = 2.0
STATEMENT_SECONDS = 15.0
SESSION = {
    "application_name": "plaza",
    "jit": "off",
    # Planning a statement costs more than running it; the statements are made for one plan (see statistics.py).
    "plan_cache_mode": "force_generic_plan",
    # A table that is small when a statement is planned is larger when it is spoken: an index is right from the start.
    "enable_seqscan": "off",
}
"""What every connection begins with; nothing changes it later."""
STATEMENT_CACHE: dict[str, Any] = {
    "statement_cache_size": 1_000,
    "max_cached_statement_lifetime": 0,
    "max_cacheable_statement_size": 15 * 1024,
}
"""Every statement stays prepared on its connection for good: one that was evicted takes 6.9 ms instead of 0.6.

A backend that has planned all of 145 statements takes 28 MiB more private memory (3 -> 31), 0.2 MiB for each: a pool of
ten that has used everything takes 280 MiB. Connections that rest for a minute are closed and give it back.
"""
_JSONB = b"\x01"
"""The version byte in front of binary `jsonb`; inside a `row(…)` nothing comes as text."""
_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.QueryCanceledError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.DeadlockDetectedError,
    asyncpg.exceptions.InFailedSQLTransactionError,
)
"""What asyncpg raises when the server is away, starting, stopping, full or too slow."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg carries no types
    def get_reset_query(self) -> str:
        return ""


def instant(microseconds: int) -> str:
    """The wire form of a timestamp: ISO 8601, UTC, milliseconds, `Z`."""
    moment = _PG_EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _microseconds(moment: datetime | str) -> tuple[int]:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return ((moment - _PG_EPOCH) // timedelta(microseconds=1),)


async def prepare_connection(connection: Any) -> None:
    """Teaches a connection our types: `jsonb` as values, `timestamptz` as wire text."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: _JSONB + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=_microseconds,
        decoder=lambda parts: instant(parts[0]),
    )


class _Speaker(ABC):
    """A `Database`, of whatever fetches the records of a statement."""

    @abstractmethod
    async def fetch(self, statement: Statement[Any], values: dict[str, object]) -> list[Any]:
        """The records of a statement."""

    async def all(self, statement: Statement[T], /, **values: object) -> Sequence[T]:
        """Every row."""
        return [statement.read(record) for record in await self.fetch(statement, values)]

    async def one(self, statement: Statement[T], /, **values: object) -> T:
        """The only row."""
        (record,) = await self.fetch(statement, values)
        return statement.read(record)

    async def maybe(self, statement: Statement[T], /, **values: object) -> T | None:
        """The row, or None."""
        records = await self.fetch(statement, values)
        return statement.read(records[0]) if records else None


class Connected(_Speaker):
    """Speaks statements on one connection."""

    def __init__(self, connection: Any, spoken: Spoken | None = None) -> None:
        self.connection = connection
        self.announced = False
        self._spoken = spoken

    async def fetch(self, statement: Statement[Any], values: dict[str, object]) -> list[Any]:
        """The records of a statement."""
        begun = time.perf_counter()
        try:
            records: list[Any] = await self.connection.fetch(statement.text, *statement.bind(values))
        except asyncpg.exceptions.UniqueViolationError as error:
            raise Duplicate(error.constraint_name) from error
        except OUTAGES as error:
            raise unavailable(error) from error
        finally:
            if self._spoken is not None:
                self._spoken(statement.name, time.perf_counter() - begun)
        self.announced |= statement.announces
        return records

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connected]:
        """A savepoint inside a transaction, else a transaction."""
        async with self.connection.transaction():
            yield self


class Postgres(_Speaker):
    """A pool of connections to one database; a `Database` whose every statement is its own transaction."""

    def __init__(
        self, url: str, *, size: int = 10, spoken: Spoken | None = None, seconds: float | None = STATEMENT_SECONDS
    ) -> None:
        self.url = url
        self.announced: Callable[[], None] = lambda: None
        """Called when a fact may have been committed."""
        self.refused: Callable[[], None] = lambda: None
        """Called when the server had no room on its disk."""
        self.spoken = spoken
        self._size = size
        self._seconds = seconds
        self._pool: Any = None

    async def open(self) -> None:
        """Connects."""
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._size,
            max_inactive_connection_lifetime=60,
            command_timeout=self._seconds,
            connection_class=_Connection,
            init=prepare_connection,
            server_settings=SESSION,
            **STATEMENT_CACHE,
        )

    async def close(self) -> None:
        """Closes every connection; those in use are given a moment."""
        if self._pool is not None:
            with contextlib.suppress(TimeoutError, *OUTAGES):
                await asyncio.wait_for(self._pool.close(), 5)
            self._pool.terminate()

    async def connect(self, **more: str) -> Connected:
        """A connection of its own outside the pool, for the relay and the bus; the caller closes it."""
        connection = await asyncpg.connect(
            self.url,
            connection_class=_Connection,
            command_timeout=STATEMENT_SECONDS,
            timeout=5,
            server_settings=SESSION | more,
            **STATEMENT_CACHE,
        )
        await prepare_connection(connection)
        return Connected(connection, self.spoken)

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connected]:
        """A connection of the pool; `Unavailable` when there is none within two seconds or it breaks."""
        try:
            with outages():
                async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    db = Connected(connection, self.spoken)
                    yield db
        except StoreFull:
            self.refused()
            raise
        if db.announced:
            self.announced()

    @contextlib.asynccontextmanager
    async def transaction(self, *, lock_timeout_ms: int | None = None) -> AsyncIterator[Connected]:
        """One connection in one transaction; a lock not had in `lock_timeout_ms` is `InFlight`."""
        async with self.acquire() as db, db.connection.transaction():
            if lock_timeout_ms is not None:
                await db.connection.execute(f"set local lock_timeout = {lock_timeout_ms:d}")
            try:
                yield db
            except asyncpg.exceptions.LockNotAvailableError as error:
                raise InFlight from error

    async def fetch(self, statement: Statement[Any], values: dict[str, object]) -> list[Any]:
        """The records of a statement that is a transaction of its own; otherwise as `acquire`."""
        # Without the generators of `acquire`, which are an eighth of the time that a short statement takes here.
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                records = await Connected(connection, self.spoken).fetch(statement, values)
        except OUTAGES as error:
            raise unavailable(error) from error
        except StoreFull:
            self.refused()
            raise
        if statement.announces:
            self.announced()
        return records


def unavailable(error: BaseException) -> Unavailable:
    """The refusal for an outage."""
    if isinstance(error, asyncpg.exceptions.DiskFullError):
        return StoreFull(retry_after=5)
    return Unavailable()


@contextlib.contextmanager
def outages() -> Iterator[None]:
    """Turns what an absent or overloaded server raises into `Unavailable`."""
    try:
        yield
    except OUTAGES as error:
        raise unavailable(error) from error


def is_outage(db: Connected, error: Exception) -> bool:
    """Whether an error means that the store is away, overloaded or deadlocked, rather than a fault of its caller.

    Statements raise `Unavailable` for an outage; what else a caller raises is its own, as long as the connection lives.
    """
    if isinstance(error, Unavailable):
        return not isinstance(error.__cause__, asyncpg.exceptions.InFailedSQLTransactionError)
    server = isinstance(error, asyncpg.PostgresError) and isinstance(error, OUTAGES)
    return server or bool(db.connection.is_closed())
