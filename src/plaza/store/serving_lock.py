"""Keeps a restore and a running server apart: a shared advisory lock of each serving process.

A restore takes the lock exclusively, so it is refused while any process serves, and no process starts meanwhile. The
lock ends with its connection; the process takes it again, and ends when the store was replaced in between: sockets,
cursors and prepared statements are of the store that is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

import asyncpg
import structlog

from plaza.store import migrate, relay
from plaza.store.postgres import OUTAGES
from plaza.store.trouble import Trouble

log = structlog.get_logger("plaza.store")
LOCK = 7_041_964
CHECK_SECONDS = 5.0
"""How often a quiet connection is asked whether it still holds the lock."""
RETRY_SECONDS = 0.2
STORE = "select oid from pg_namespace where nspname = 'public'"
"""Another one after each restore, which makes the schema anew."""
HOLDERS = """
    select coalesce(nullif(a.application_name, ''), 'somebody') from pg_locks l left join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = 0 and l.objid::bigint = $1
        and l.database = (select oid from pg_database where datname = current_database()) and l.pid <> pg_backend_pid()
    group by a.pid, 1 order by 1
"""


class StoreInUse(Trouble):
    """Another process has the store; the text says which one."""


class ServingLock:
    """Held by a process for as long as it serves; `replaced` is called when it must end because of a restore."""

    def __init__(self, url: str, replaced: Callable[[], None]) -> None:
        self.lost = False
        """Whether a restore came in between."""
        self._url = url
        self._replaced = replaced
        self._connection: Any = None
        self._store = 0
        self._keeping: asyncio.Task[None]

    async def __aenter__(self) -> ServingLock:
        """Raises `StoreInUse` while the store is being restored."""
        self._connection = await _connect(self._url, "plaza serve")
        if not await self._take():
            holders = await _holders(self._connection, LOCK)
            await self._connection.close()
            raise StoreInUse(f"The store is being restored by {holders}. Start again when that has ended.")
        self._store = await self._connection.fetchval(STORE)
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._keeping.cancel()
        await asyncio.wait([self._keeping])
        self._connection.terminate()

    def check(self) -> None:
        """Raises `Trouble` when the process ended because of a restore."""
        if self.lost:
            raise Trouble("The store was replaced by a restore while its connection was down. Start again.")

    async def _take(self) -> bool:
        return bool(await self._connection.fetchval("select pg_try_advisory_lock_shared($1)", LOCK))

    async def _keep(self) -> None:
        """Takes the lock again whenever its connection is lost; until cancelled, or until the store was replaced."""
        while True:
            await self._until_closed()
            log.warning("serving_lock.lost")
            while (again := await self._take_again()) is None:  # noqa: ASYNC110 — the database returns, no event tells
                await asyncio.sleep(RETRY_SECONDS)
            if not again:
                self.lost = True
                log.error("serving_lock.store_replaced")
                self._replaced()
                return
            log.info("serving_lock.taken_again")

    async def _until_closed(self) -> None:
        closed = asyncio.Event()
        self._connection.add_termination_listener(lambda _: closed.set())
        with contextlib.suppress(*OUTAGES, asyncpg.PostgresError):
            while not closed.is_set():
                await self._connection.fetchval("select 1", timeout=CHECK_SECONDS)
                await _within(closed, CHECK_SECONDS)
        self._connection.terminate()

    async def _take_again(self) -> bool | None:
        """Whether it is held and the store is the same; None where the database does not answer."""
        try:
            self._connection = await _connect(self._url, "plaza serve")
            return await self._take() and await self._connection.fetchval(STORE) == self._store
        except (*OUTAGES, asyncpg.PostgresError):
            self._connection.terminate()
            return None


@contextlib.asynccontextmanager
async def exclusive(url: str) -> AsyncIterator[Any]:
    """A connection that keeps servers, their relays and migrations away; `StoreInUse` where one is at work.

    The relay's lock is asked for as well because versions before this one have no other.
    """
    connection = await _connect(url, "plaza db restore")
    try:
        for lock in (LOCK, relay.LOCK, migrate.LOCK):
            if not await connection.fetchval("select pg_try_advisory_lock($1)", lock):
                holders = await _holders(connection, lock)
                raise StoreInUse(
                    f"The store is in use by {holders}. Stop every server on it first; nothing was changed."
                )
        yield connection
    finally:
        await connection.close()


async def _connect(url: str, command: str) -> Any:
    """A connection whose name says who holds the lock."""
    name = f"{command} (process {os.getpid()} on {socket.gethostname()})"
    return await asyncpg.connect(url, timeout=5, server_settings={"application_name": name[:63]})


async def _holders(connection: Any, lock: int) -> str:
    found = [row[0] for row in await connection.fetch(HOLDERS, lock)]
    return ", ".join(found) or "a process that has just ended"


async def _within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
