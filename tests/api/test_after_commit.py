"""What leaves the process (events to sockets, revocations) leaves it after the commit, and never without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from plaza.entry.limits import Limits
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Context
from plaza.store.log import HEAD
from tests.server import SETTINGS, Running
from tests.world import PATIENCE, World

HELD = 4_711
"""The advisory lock that commits of blocks wait for."""
AT_COMMIT = """
    create function at_commit() returns trigger language plpgsql as $$ begin {what}; return null; end $$;
    create constraint trigger at_commit after insert on block deferrable initially deferred
        for each row execute function at_commit();
"""


@pytest.fixture
async def world(own_database_url: str) -> AsyncIterator[World]:
    with Running(own_database_url, SETTINGS) as server:
        async with World(server, "client/community") as world:
            yield world


async def at_commit(world: World, what: str) -> None:
    """Has PostgreSQL do something when a transaction that blocked somebody commits."""
    async with world.store.acquire() as db:
        await db.connection.execute(AT_COMMIT.format(what=what))


@pytest.mark.parametrize("prefix", ["client/community", "community"])
async def test_sockets_are_sent_what_a_keyed_request_did_when_it_is_committed(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    sockets = [await alice.socket(), await bob.socket()]
    await at_commit(world, f"perform pg_advisory_xact_lock({HELD})")
    async with world.store.transaction() as db:
        await db.connection.execute(f"select pg_advisory_xact_lock({HELD})")
        request = asyncio.create_task(
            alice.post(
                f"/{prefix}/blocks", {"targetId": bob.email}, status=201, headers={"idempotency-key": f"b-{prefix}"}
            )
        )
        await committing(world)
        for socket in sockets:
            await socket.settles()
            assert socket.all("userOffline") == []
    await request
    for socket in sockets:
        await socket.hears("userOffline")


async def committing(world: World) -> None:
    """Waits until a commit waits for the lock."""
    waiting = f"select from pg_locks where locktype = 'advisory' and objid = {HELD} and not granted"
    async with asyncio.timeout(PATIENCE):
        while not await world.rows(waiting):
            await asyncio.sleep(0.01)


async def test_sockets_are_sent_nothing_of_a_request_that_was_taken_back(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    carol, dave = await world.south.people("carol", "dave")
    sockets = [await person.socket() for person in (alice, bob, carol, dave)]
    await at_commit(world, "raise exception 'not today'")
    headers = {"idempotency-key": "k"}
    refusal = await alice.refused("POST", "blocks", {"targetId": bob.email}, headers=headers)
    assert refusal == (500, "server.error")
    for socket in sockets:
        await socket.settles()
        assert socket.all("userOffline") == []
    assert (await alice.get("blocks"))["total"] == 0


async def test_a_context_keeps_effects_for_the_end_of_the_outermost_transaction(world: World) -> None:
    done: list[Any] = []

    def note(what: str) -> Callable[..., None]:
        return lambda *anything, **more: done.append((what, *anything, *more.values()))

    limits = Limits(time.monotonic, on=False)
    ctx = Context(world.north.org, None, world.store, system_clock(), lambda: 1, note("tell"), note("forget"), limits)
    ctx.tell(1, 2, "outside", None)
    assert done.pop() == ("tell", 1, 2, "outside", None)

    async def fail() -> None:
        async with ctx.transaction():
            ctx.forget(1, session=3)
            raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        await fail()
    assert done == []
    async with ctx.transaction():
        ctx.tell(1, 2, "first", None)
        with pytest.raises(ValueError, match="rolled back"):
            await fail()
        async with ctx.transaction():
            assert await ctx.db.one(HEAD) >= 0
            ctx.forget(1, person=2)
        assert done == []
    assert done == [("tell", 1, 2, "first", None), ("forget", 1, 2, None)]
    assert ctx.db is world.store
    ctx.forget(1, session=3)
    assert done[2:] == [("forget", 1, None, 3)]
