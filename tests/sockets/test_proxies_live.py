"""Behind reverse proxies the sockets that are not let in yet count for each client, on both transports."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import pytest

from plaza.realtime import Options
from tests.server import SETTINGS, Running
from tests.world import World

MOST = Options().per_address
ALICE, BOB = "203.0.113.7", "203.0.113.8"
KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


class Knocks:
    """Handshakes over WebSocket that stay open, and ask no namespace to let them in."""

    def __init__(self, world: World) -> None:
        self._port = world.server.port
        self._open: list[asyncio.StreamWriter] = []

    async def __call__(self, *forwarded: str) -> int:
        """The status of one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._open.append(writer)
        lines = "".join(f"X-Forwarded-For: {line}\r\n" for line in forwarded)
        upgrade = f"Host: plaza.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{KEY}"
        writer.write(f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n{upgrade}{lines}\r\n".encode())
        return int((await reader.readline()).split()[1])

    def leave(self) -> None:
        for writer in self._open:
            writer.transport.abort()


async def polls(world: World, forwarded: str) -> int:
    """The status of a handshake over long-polling."""
    answer = await world.http.get("/socket.io/?EIO=4&transport=polling", headers={"x-forwarded-for": forwarded})
    return answer.status_code


@pytest.fixture
async def behind(own_database_url: str) -> AsyncIterator[World]:
    settings = msgspec.structs.replace(SETTINGS, trusted_proxies=["127.0.0.1", "10.0.0.0/8"])
    with Running(own_database_url, settings) as server:
        async with World(server, "client/community") as world:
            yield world


@pytest.fixture
async def straight(own_database_url: str) -> AsyncIterator[World]:
    with Running(own_database_url) as server:
        async with World(server, "client/community") as world:
            yield world


async def test_of_one_client_behind_a_proxy_only_so_many_wait_and_of_the_others_as_many(behind: World) -> None:
    knock = Knocks(behind)
    assert {await knock(f"198.51.100.{number}, {ALICE}") for number in range(MOST)} == {101}
    assert await knock(ALICE) == 429
    assert await knock(f"{BOB}, {ALICE}:4711, 10.0.0.5") == 429
    assert await knock(BOB, ALICE) == 429
    assert await polls(behind, f"[::ffff:{ALICE}]") == 429
    assert (await knock(BOB), await polls(behind, BOB)) == (101, 200)
    assert await knock(BOB, ALICE, "10.0.0.5") == 429, "several lines are one list"
    for tenant in (behind.north, behind.south):
        (alice,) = await tenant.people("alice")
        await alice.socket()
    knock.leave()


async def test_of_one_network_of_ipv6_only_so_many_wait(behind: World) -> None:
    knock = Knocks(behind)
    assert {await knock(f"2001:db8::{number:x}") for number in range(MOST)} == {101}
    assert await knock("[2001:db8:0:0:ffff::1]:4711") == 429
    assert await polls(behind, "2001:db8::ffff") == 429
    answer = await behind.http.get(
        "/socket.io/?EIO=4&transport=polling",
        headers=[("x-forwarded-for", "2001:db8::ffff"), ("x-forwarded-for", "10.0.0.5")],
    )
    assert answer.status_code == 429
    assert (await knock("2001:db8:0:1::1"), await polls(behind, "2001:db8:0:1::2")) == (101, 200)
    knock.leave()


async def test_a_socket_that_says_to_be_elsewhere_counts_where_it_is(straight: World) -> None:
    knock = Knocks(straight)
    statuses = [await knock(f"203.0.113.{number}") for number in range(MOST + 5)]
    assert Counter(statuses) == {101: MOST, 429: 5}
    assert await polls(straight, ALICE) == 429
    knock.leave()
