"""Facts that break the relay, its listeners and its presenters, among facts that do not."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faults.length import length
from tests.poison import TOO_LARGE, UNKNOWN, announce, failed, waiting
from tests.server import SETTINGS, Running
from tests.world import PATIENCE, Person, Socket, World

ROUNDS = length(3, 30)
MESSAGES = 20
MOST_POISON = 150
"""More than the relay takes at once where something fails."""
PAUSES = (0.05, 0.1, 0.1, 0.1)
SLOW_PAUSES = (0.2, 0.4, 0.4, 0.4)


@pytest.fixture(scope="module")
def quick(module_database_url: str) -> Any:
    with Running(module_database_url, SETTINGS, retry_seconds=PAUSES) as server:
        yield server


@pytest.fixture
async def world(quick: Running) -> AsyncIterator[World]:
    async with World(quick, "client/community") as world:
        await world.rows("delete from outbox_failed")
        await world.rows("delete from outbox")
        yield world


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_what_fails_holds_nothing_up_that_does_not(world: World, dice: random.Random, turn: int) -> None:
    """Some facts do not decode, some break a listener, some a presenter, and some are of another version.

    Whoever writes meanwhile, in the same organisation or another, is heard; at the end the failing ones are set aside,
    those of another version wait, and everybody has what they should have, live and by `sync`.
    """
    pairs = [await tenant.people("alice", "bob") for tenant in (world.north, world.south)]
    sockets = [await bob.socket() for _, bob in pairs]
    async with asyncio.TaskGroup() as group:
        poisoning = group.create_task(poison(dice, pairs))
        writing = [
            group.create_task(write(alice, bob, socket)) for (alice, bob), socket in zip(pairs, sockets, strict=True)
        ]
    kinds, slowest = poisoning.result(), [task.result() for task in writing]
    rows = await failed(world, kinds["listener"] + kinds["fact"])
    assert {row["tries"] for row in rows} == {len(PAUSES) + 1}
    assert len(rows) == kinds["listener"] + kinds["fact"]
    await world.server_idle()
    assert [row["kind"] for row in await waiting(world)] == [UNKNOWN] * kinds["unknown"]
    for (_, bob), socket in zip(pairs, sockets, strict=True):
        await socket.settles()
        assert [message["content"] for message in socket.all("newMessage")] == [str(n) for n in range(MESSAGES)]
        assert len(socket.all("notification")) == (await bob.get("notifications"))["total"] == MESSAGES
        assert socket.all("messageDeleted") == []
        cursor = max(int(payload["cursor"]) for _, payload in socket.heard if "cursor" in payload)
        assert (await socket.ask("sync", {"since": str(cursor)}))["reset"] is False
    print(f"round {turn}: {kinds}, the slowest message {max(slowest) * 1000:.0f} ms")


async def poison(dice: random.Random, pairs: list[list[Person]]) -> dict[str, int]:
    """Announces facts that fail, in any order, in either organisation; how many of each sort."""
    sorts = ["fact", "listener", "presenter", "unknown"]
    chosen = [dice.choice(sorts) for _ in range(dice.randrange(4, MOST_POISON))]
    for sort in chosen:
        alice, bob = dice.choice(pairs)
        one, other = int(alice.id), int(bob.id)
        kind, fact = {
            "fact": ("message.sent", {"message": 1, "recipient": other}),
            "listener": ("message.sent", {"message": TOO_LARGE, "thread": 1, "sender": one, "recipient": other}),
            "presenter": ("message.deleted", {"message": 1, "thread": 1, "by": TOO_LARGE, "people": [other]}),
            "unknown": (UNKNOWN, {"people": [other]}),
        }[sort]
        await announce(alice.tenant, kind, fact)
    return {sort: chosen.count(sort) for sort in sorts}


async def write(alice: Person, bob: Person, socket: Socket) -> float:
    """Writes one message after another, each when the one before has been heard; the longest that one took."""
    slowest = 0.0
    for number in range(MESSAGES):
        begun = time.monotonic()
        await alice.send(bob, str(number))
        await socket.hears("newMessage", number + 1)
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


async def test_the_next_leader_goes_on_counting_tries(own_database_url: str) -> None:
    """The first of two processes goes between two tries; the fact has five in all."""
    second = Running(own_database_url, SETTINGS, retry_seconds=SLOW_PAUSES)
    with contextlib.ExitStack() as stack:
        with Running(own_database_url, SETTINGS, retry_seconds=SLOW_PAUSES) as first:
            stack.enter_context(second)
            async with World(first, "client/community") as world:
                await announce(world.north, "message.sent", {})
                async with asyncio.timeout(PATIENCE):
                    while max((row["tries"] for row in await waiting(world)), default=0) < 2:
                        await asyncio.sleep(0.02)
                assert (first.plaza.relay.leads, second.plaza.relay.leads) == (True, False)
        async with World(second, "client/community") as world:
            (row,) = await failed(world)
            assert row["tries"] == len(SLOW_PAUSES) + 1
            assert second.plaza.relay.leads
