"""A restore and a server are never at one store: the lock is shared by servers, and survives its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from plaza.store import migrate, relay
from plaza.store.serving_lock import LOCK, ServingLock, StoreInUse, exclusive
from plaza.store.trouble import Trouble

HELD = """
    select pid from pg_locks where locktype = 'advisory' and objid = $1 and granted
        and database = (select oid from pg_database where datname = current_database())
"""


@pytest.fixture
async def db(fresh_database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


async def holder(db: Any, other_than: int = 0) -> int:
    """The connection that holds the lock, once it is another one than this."""
    async with asyncio.timeout(10):
        while (pid := await db.fetchval(HELD, LOCK)) in (None, other_than):
            await asyncio.sleep(0.01)
    return int(pid)


async def test_two_servers_share_the_store_and_a_restore_is_refused_while_either_serves(
    fresh_database_url: str,
) -> None:
    async with ServingLock(fresh_database_url, lambda: None):
        async with ServingLock(fresh_database_url, lambda: None):
            with pytest.raises(StoreInUse, match=r"in use by plaza serve \(process \d+ on .*\), plaza serve \(process"):
                async with exclusive(fresh_database_url):
                    pass
        with pytest.raises(StoreInUse, match="Stop every server on it first; nothing was changed"):
            async with exclusive(fresh_database_url):
                pass
    async with exclusive(fresh_database_url):
        pass


async def test_no_server_starts_and_no_second_restore_begins_while_one_is_at_work(fresh_database_url: str) -> None:
    async with exclusive(fresh_database_url):
        with pytest.raises(StoreInUse, match=r"being restored by plaza db restore \(process"):
            async with ServingLock(fresh_database_url, lambda: None):
                pass
        with pytest.raises(StoreInUse, match="in use by plaza db restore"):
            async with exclusive(fresh_database_url):
                pass
    async with ServingLock(fresh_database_url, lambda: None):
        pass


async def test_a_server_on_another_database_is_no_hindrance(fresh_database_url: str, database_url: str) -> None:
    async with ServingLock(database_url, lambda: None), exclusive(fresh_database_url):
        pass


@pytest.mark.parametrize("lock", [relay.LOCK, migrate.LOCK])
async def test_a_server_of_the_version_before_and_a_migration_are_respected(
    fresh_database_url: str, db: Any, lock: int
) -> None:
    await db.execute("select pg_advisory_lock($1)", lock)
    with pytest.raises(StoreInUse):
        async with exclusive(fresh_database_url):
            pass
    await db.execute("select pg_advisory_unlock($1)", lock)
    async with exclusive(fresh_database_url):
        pass


async def test_a_server_whose_connection_is_lost_has_the_lock_again_at_once(fresh_database_url: str, db: Any) -> None:
    replaced = asyncio.Event()
    async with ServingLock(fresh_database_url, replaced.set) as lock:
        for _ in range(3):
            pid = await holder(db)
            await db.execute("select pg_terminate_backend($1)", pid)
            await holder(db, other_than=pid)
        with pytest.raises(StoreInUse):
            async with exclusive(fresh_database_url):
                pass
        assert not replaced.is_set()
        lock.check()


async def test_a_server_ends_when_a_restore_began_while_its_connection_was_lost(
    fresh_database_url: str, db: Any
) -> None:
    replaced = asyncio.Event()
    async with ServingLock(fresh_database_url, replaced.set) as lock:
        pid = await holder(db)
        restoring = await asyncpg.connect(fresh_database_url)
        taking = asyncio.create_task(restoring.execute("select pg_advisory_lock($1)", LOCK))
        async with asyncio.timeout(10):
            while not await db.fetchval(
                "select exists (select 1 from pg_locks where not granted and objid = $1)", LOCK
            ):
                await asyncio.sleep(0.01)
        await db.execute("select pg_terminate_backend($1)", pid)
        await taking
        await asyncio.wait_for(replaced.wait(), 10)
        with pytest.raises(Trouble, match="replaced by a restore"):
            lock.check()
        await restoring.close()


async def test_a_server_ends_when_a_restore_was_over_before_its_connection_was_back(
    fresh_database_url: str, db: Any
) -> None:
    replaced = asyncio.Event()
    async with ServingLock(fresh_database_url, replaced.set) as lock:
        pid = await holder(db)
        await db.execute("drop schema public cascade; create schema public")
        await db.execute("select pg_terminate_backend($1)", pid)
        await asyncio.wait_for(replaced.wait(), 10)
        with pytest.raises(Trouble, match="replaced by a restore"):
            lock.check()
