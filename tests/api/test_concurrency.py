"""A person has two requests in the store at once, over REST and sockets together; the third waits, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.world import Person, World


@contextlib.asynccontextmanager
async def locked(world: World, person: Person) -> AsyncIterator[None]:
    """Writes that concern somebody's threads wait meanwhile."""
    async with world.store.transaction() as db:
        await db.connection.execute("select 1 from thread where org = $1 for update", person.tenant.org.id)
        yield


@pytest.fixture
def quick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(world.server.plaza.concurrency, "seconds", 0.3)


async def running(world: World, count: int) -> None:
    """Waits until so many statements wait for a lock."""
    async with asyncio.timeout(5):
        while True:
            (row,) = await world.rows(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
            if row[0] >= count:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "with a key"])
async def test_a_third_request_is_refused_when_none_of_two_ends_in_time(
    world: World, prefix: str, quick: None, keyed: bool
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (elsewhere,) = await world.south.people("alice")
    await alice.send(bob)
    socket = await alice.socket()
    async with locked(world, alice):
        two = [asyncio.create_task(write(alice, bob, str(number) if keyed else None)) for number in range(2)]
        await running(world, 2)
        third = await write(alice, bob, "third" if keyed else None)
        assert (third.status_code, third.json()["reason"]) == (429, "rate.concurrent")
        assert int(third.headers["retry-after"]) >= 1
        assert (await alice.ask("GET", "messages/unread-count")).json()["reason"] == "rate.concurrent"
        for event, payload in (("sendMessage", {"to": bob.email, "content": "x"}), ("sync", {"since": "0"})):
            answer = await socket.ask(event, payload)
            assert (answer["success"], answer["code"]) == (False, "rate.concurrent")
        assert await bob.get("messages/unread-count") == {"count": 1}
        assert await elsewhere.get("messages/unread-count") == {"count": 0}
    assert [(await task).status_code for task in two] == [201, 201]
    assert await bob.get("messages/unread-count") == {"count": 3}
    assert await alice.get("messages/unread-count") == {"count": 0}


async def test_a_third_request_goes_on_when_one_ends(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    async with locked(world, alice):
        four = [asyncio.create_task(write(alice, bob, None)) for _ in range(4)]
        await running(world, 2)
    assert [(await task).status_code for task in four] == [201] * 4


async def test_sockets_count_with_rest(world: World, quick: None) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    sockets = [await alice.socket() for _ in range(2)]
    async with locked(world, alice):
        two = [asyncio.create_task(one.ask("sendMessage", {"to": bob.email, "content": "x"})) for one in sockets]
        await running(world, 2)
        assert await alice.refused("GET", "messages/unread-count") == (429, "rate.concurrent")
    assert [(await task)["success"] for task in two] == [True, True]


async def test_who_goes_away_while_waiting_leaves_nothing_behind(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    async with locked(world, alice):
        two = [asyncio.create_task(write(alice, bob, None)) for _ in range(2)]
        await running(world, 2)
        with pytest.raises(httpx2.TimeoutException):
            await alice.ask("GET", "messages/unread-count", timeout=0.2)
    for task in two:
        assert (await task).status_code == 201
    assert await alice.get("messages/unread-count") == {"count": 0}
    concurrency = world.server.plaza.concurrency
    async with asyncio.timeout(5):
        while any(key[0] == alice.tenant.org.id for key in concurrency._running):
            await asyncio.sleep(0.01)


async def test_strangers_of_one_network_share_eight(world: World, quick: None) -> None:
    (alice,) = await world.north.people("alice")
    headers = {"orgid": alice.tenant.slug}
    async with world.store.transaction() as db:
        await db.connection.execute("lock table profile in access exclusive mode")
        path = f"/{world.prefix}/people/{alice.email}"
        many = [asyncio.create_task(world.http.get(path, headers=headers)) for _ in range(8)]
        await running(world, 8)
        refused = await world.http.get(path, headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (429, "rate.concurrent")
    assert [(await task).status_code for task in many] == [200] * 8


async def write(alice: Person, bob: Person, key: str | None) -> httpx2.Response:
    """One message, with an idempotency key or without."""
    headers = {"idempotency-key": key} if key else {}
    return await alice.ask("POST", "messages", json={"to": bob.email, "content": "x"}, headers=headers)
