"""Whom a bus tells what, and what is told again when it was away; that nothing is lost is shown by tests/faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from plaza.entry import switchboard
from tests.redis_server import RedisServer, redis_server
from tests.server import SETTINGS
from tests.sockets.twins import through, twins
from tests.world import World

__all__ = ["redis_server"]


@pytest.fixture
async def worlds(own_database_url: str, redis_server: RedisServer) -> AsyncIterator[tuple[World, World]]:
    """Two processes with a Redis between them."""
    settings = msgspec.structs.replace(SETTINGS, bus_url=redis_server.url())
    async with twins(own_database_url, settings) as both:
        yield both


async def test_who_came_and_went_while_the_bus_was_away_is_told_afterwards(
    worlds: tuple[World, World], redis_server: RedisServer
) -> None:
    here, there = worlds
    alice, bob, carol = await here.north.people("alice", "bob", "carol")
    watcher = await alice.socket()
    carols = await through(there, carol).socket()
    assert await watcher.hears("userOnline") == {"email": carol.email}
    redis_server.kill()
    await through(there, bob).socket()
    await carols.close()
    async with asyncio.timeout(5):
        while [one["email"] for one in await watcher.ask("getOnlineUsers")] != [alice.email, bob.email]:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.2)
    assert watcher.all("userOffline") == []
    # What waited to be sent goes with its process's queue; that is what saying it again is for.
    there.server.plaza.bus._outgoing.take(1 << 30)  # type: ignore[attr-defined]
    there.server.plaza.bus._outgoing.sent()  # type: ignore[attr-defined]
    redis_server.start()
    assert {"email": bob.email} == await watcher.hears("userOnline", 2)
    assert {"email": carol.email} == await watcher.hears("userOffline")


async def test_a_node_hears_nothing_of_an_organisation_that_it_hosts_no_sockets_of(
    worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = worlds
    monkeypatch.setattr(switchboard, "KEPT_SECONDS", 0.3)
    alice, bob = await here.north.people("alice", "bob")
    anna, bert = await here.south.people("alice", "bob")
    await through(there, bob).socket()
    souths = await bert.socket()
    heard: Any = there.server.plaza.bus
    for number in range(20):
        await alice.send(bob, str(number))
        await anna.send(bert, str(number))
    await souths.hears("newMessage", 20)
    await souths.settles()
    await until(lambda: heard.heard[f"o{alice.tenant.org.id}"] > 0)
    assert heard.heard[f"o{anna.tenant.org.id}"] == 0
    visitor = await through(there, bert).socket()
    await anna.send(bert, "now")
    await visitor.hears("newMessage")
    assert heard.heard[f"o{anna.tenant.org.id}"] > 0
    await visitor.close()
    await until(lambda: not heard.hears(f"o{anna.tenant.org.id}"))
    await anna.send(bert, "gone")
    await souths.hears("newMessage", 22)
    assert heard.heard[f"o{anna.tenant.org.id}"] == 0


async def until(true: Any) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.02)
