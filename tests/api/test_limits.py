"""Rate limits as a client meets them: 429 with `Retry-After`, for each person, on REST and sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from plaza.kernel.limits import READS, STRANGERS
from tests.server import SETTINGS, Running
from tests.sockets.twins import through, twins
from tests.world import World

SHARED_SECONDS = 12.0
MANY = 2_000
"""Requests of which one must be refused, unless fewer come in a second than may: buckets fill up meanwhile."""


@pytest.fixture
async def limited(own_database_url: str) -> AsyncIterator[World]:
    with Running(own_database_url, msgspec.structs.replace(SETTINGS, rate_limits="on")) as server:
        async with World(server, "client/community") as world:
            yield world


async def test_who_asks_too_fast_is_told_when_to_come_back_and_others_are_not(limited: World) -> None:
    alice, bob = await limited.north.people("alice", "bob")
    for number in range(MANY):
        answer = await alice.ask(
            "GET", "messages/unread-count", headers={"x-forwarded-for": f"203.0.113.{number % 250}"}
        )
        if answer.status_code != 200:
            break
    assert number >= READS.capacity - 1
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["reason"] == "rate.limited"
    assert (await bob.ask("GET", "messages/unread-count")).status_code == 200


async def test_a_socket_that_talks_too_fast_is_refused_and_lives(limited: World) -> None:
    (alice,) = await limited.north.people("alice")
    socket = await alice.socket()
    for _number in range(MANY):
        answer = await socket.ask("getOnlineUsers")
        if isinstance(answer, dict):
            break
    assert answer["code"] == "rate.limited"
    assert socket.client.connected


async def test_an_address_that_knocks_too_often_is_told_when_to_come_back(limited: World) -> None:
    """Before it is known who comes: handshakes of sockets count with the requests of the same address."""
    door = "/socket.io/?EIO=4&transport=polling"
    (alice,) = await limited.north.people("alice")
    asking = (limited.http.get("/client/community/people/me") for _ in range(STRANGERS.capacity))
    await asyncio.gather(*asking)
    answer = await limited.http.get(door)
    while answer.status_code == 200:
        answer = await limited.http.get(door)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    await asyncio.sleep(int(answer.headers["retry-after"]))
    await alice.socket()


async def test_two_processes_share_the_limit_of_a_person(own_database_url: str) -> None:
    """Guarantees, c.8: within a tenth, as soon as the burst that each gave at first has been made up for."""
    async with twins(own_database_url, msgspec.structs.replace(SETTINGS, rate_limits="on", workers=2)) as worlds:
        (alice,) = await worlds[0].north.people("alice")
        begun, passed, refused = time.monotonic(), 0, 0

        async def ask(world: World) -> None:
            nonlocal passed, refused
            while time.monotonic() - begun < SHARED_SECONDS:
                answer = await through(world, alice).ask("GET", "messages/unread-count")
                passed += answer.status_code == 200
                refused += answer.status_code == 429
                await asyncio.sleep(0.01)

        await asyncio.gather(*(ask(world) for world in worlds for _ in range(2)))
        seconds = time.monotonic() - begun
        print(f"{passed} passed and {refused} refused in {seconds:.1f} s")
        allowed = READS.capacity + READS.each_second * seconds
        assert refused > 0
        assert 0.7 * allowed <= passed <= 1.1 * allowed, "little more than one process would let pass"


@pytest.mark.parametrize("path", ["/metrics", "/nothing", "/healthz", "/client/community/people/me"])
async def test_the_limit_of_an_address_comes_before_anything_is_looked_for(limited: World, path: str) -> None:
    refused: list[httpx2.Response] = []
    while not refused:
        answers = await asyncio.gather(*(limited.http.get(path) for _ in range(STRANGERS.capacity + 20)))
        refused = [answer for answer in answers if answer.status_code == 429]
    assert refused[0].json()["reason"] == "rate.limited"
    assert int(refused[0].headers["retry-after"]) >= 1


async def test_numbers_are_made_once_a_second(world: World) -> None:
    plaza, made = world.server.plaza, 0
    before = plaza.meter.exposition

    def counted() -> bytes:
        nonlocal made
        made += 1
        return before()

    plaza.meter.exposition = counted  # type: ignore[method-assign]
    try:
        begun = time.monotonic()
        answers = await asyncio.gather(*(world.http.get("/metrics") for _ in range(50)))
        seconds = time.monotonic() - begun
    finally:
        plaza.meter.exposition = before  # type: ignore[method-assign]
    assert {answer.status_code for answer in answers} == {200}
    assert made <= 1 + seconds
    assert "plaza_connections_closed_total" in answers[0].text
