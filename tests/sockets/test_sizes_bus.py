"""The largest records for people of another process while the bus is away: found in the log, shown once, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.redis_server import RedisServer, redis_server
from tests.server import SETTINGS
from tests.sockets.twins import through, twins
from tests.world import World

__all__ = ["redis_server"]
MANY = 30


@pytest.fixture
async def worlds(own_database_url: str, redis_server: RedisServer) -> AsyncIterator[tuple[World, World]]:
    """Two processes with a Redis between them."""
    settings = msgspec.structs.replace(SETTINGS, bus_url=redis_server.url())
    async with twins(own_database_url, settings) as both:
        yield both


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_largest_records_are_caught_up_with(
    worlds: tuple[World, World], redis_server: RedisServer, transport: str
) -> None:
    here, there = worlds
    alice, bob = await here.north.people("alice", "bob")
    socket = await through(there, bob).socket(transports=(transport,))
    await alice.send(bob, "before")
    await socket.hears("newMessage")
    redis_server.kill()
    files = [{"url": "https://files.test/" + "a" * 1_700, "name": "n"}] * 19
    sent = [(await alice.send(bob, "漢" * 9_900, attachments=files))["id"] for _ in range(MANY)]
    for number in range(MANY):
        await socket.hears("newMessage", number + 2)
    assert [message["id"] for message in socket.all("newMessage")][1:] == sent
    assert not socket.closed.is_set()
