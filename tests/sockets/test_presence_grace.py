"""Whoever is back within the grace time was never gone, wherever they come back; nobody hears of a connect loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from plaza.settings import Settings
from tests.node import JavaScript
from tests.server import SETTINGS, Running
from tests.sockets.twins import through
from tests.world import NAMESPACE, Person, Socket, World

TWO = msgspec.structs.replace(SETTINGS, workers=2)
PREFIXES = ("client/community", "community")


@contextlib.asynccontextmanager
async def one(database_url: str, grace: float, settings: Settings = SETTINGS) -> AsyncIterator[World]:
    with Running(database_url, settings, grace_seconds=grace) as server:
        async with World(server, PREFIXES[0]) as world:
            yield world


async def online(person: Person) -> list[str]:
    """Who is online, as every surface says."""
    lists = [await person.get(f"/{prefix}/presence/online") for prefix in PREFIXES]
    assert lists[0] == lists[1]
    return [one["email"] for one in lists[0]]


def about(watcher: Socket, person: Person) -> list[str]:
    """The presence events that somebody got about a person."""
    return [name for name, payload in watcher.heard if name.startswith("userO") and payload["email"] == person.email]


async def test_who_is_back_in_time_was_never_offline(own_database_url: str) -> None:
    async with one(own_database_url, 2.0) as world:
        alice, bob, carol = await world.north.people("alice", "bob", "carol")
        (elsewhere,) = await world.south.people("bob")
        watcher, stranger = await alice.socket(), await elsewhere.socket()
        first, carols = await bob.socket(), await carol.socket()
        await watcher.hears("userOnline", 2)
        await first.close()
        assert [user["email"] for user in await watcher.ask("getOnlineUsers")] == await online(alice)
        assert bob.email in await online(alice)
        await carols.close()
        await bob.socket()
        assert await watcher.hears("userOffline") == {"email": carol.email}  # she left after him
        assert about(watcher, bob) == ["userOnline"]
        assert await online(alice) == [alice.email, bob.email]
        assert [user["email"] for user in await watcher.ask("getOnlineUsers")] == [alice.email, bob.email]
        assert not [name for name, _ in stranger.heard if name.startswith("userO")]


async def test_nobody_hears_of_a_connect_loop(own_database_url: str) -> None:
    async with one(own_database_url, 2.0) as world:
        alice, bob = await world.north.people("alice", "bob")
        watcher = await alice.socket()
        for _ in range(12):
            await (await bob.socket()).close()
        assert await watcher.hears("userOffline") == {"email": bob.email}
        assert about(watcher, bob) == ["userOnline", "userOffline"]
        assert await online(alice) == [alice.email]


async def test_who_is_suspended_is_offline_at_once(own_database_url: str) -> None:
    async with one(own_database_url, 60.0) as world:
        alice, bob = await world.north.people("alice", "bob")
        watcher = await alice.socket()
        bobs = [await bob.socket(), await bob.socket()]
        await world.rows("update person set status = 'suspended' where id = $1", int(bob.id))
        plaza, org = world.server.plaza, world.north.org.id
        world.server.loop.call_soon_threadsafe(lambda: plaza.switchboard.forget(org, person=int(bob.id)))
        assert await watcher.hears("userOffline") == {"email": bob.email}
        assert await online(alice) == [alice.email]
        await asyncio.gather(*(asyncio.wait_for(socket.closed.wait(), 5) for socket in bobs))


async def test_who_comes_back_at_another_process_was_never_offline(own_database_url: str) -> None:
    with (
        Running(own_database_url, TWO, grace_seconds=2.0) as left,
        Running(own_database_url, TWO, grace_seconds=2.0) as right,
    ):
        async with World(left, PREFIXES[0]) as here, World(right, PREFIXES[0]) as there:
            alice, bob, carol = await here.north.people("alice", "bob", "carol")
            watchers = [await alice.socket(), await through(there, alice).socket()]
            first, carols = await bob.socket(), await carol.socket()
            for watcher in watchers:
                await watcher.hears("userOnline", 2)
            await first.close()
            await carols.close()
            second = await through(there, bob).socket()
            for watcher in watchers:
                assert await watcher.hears("userOffline") == {"email": carol.email}
                assert about(watcher, bob) == ["userOnline"]
            assert await online(alice) == [alice.email, bob.email]
            await second.close()
            for watcher in watchers:
                assert await watcher.hears("userOffline", 2) == {"email": bob.email}


async def test_who_comes_back_from_a_process_that_was_stopped_was_never_offline(own_database_url: str) -> None:
    with Running(own_database_url, TWO, lease_seconds=8, grace_seconds=2.0) as stays:
        async with World(stays, PREFIXES[0]) as here, World(stays, PREFIXES[0]) as there:
            with Running(own_database_url, TWO, lease_seconds=8, grace_seconds=2.0) as stops:
                there.url = stops.url
                alice, bob, carol = await here.north.people("alice", "bob", "carol")
                watcher = await alice.socket()
                moving, going = await through(there, bob).socket(), await through(there, carol).socket()
                await watcher.hears("userOnline", 2)
            await asyncio.gather(*(asyncio.wait_for(one.closed.wait(), 5) for one in (moving, going)))
            await bob.socket()
            assert await watcher.hears("userOffline") == {"email": carol.email}
            assert about(watcher, bob) == ["userOnline"]
            assert await online(alice) == [alice.email, bob.email]


async def _comes(world: World, http: aiohttp.ClientSession, person: Person) -> str:
    """Connects once and leaves: why not, or nothing."""
    async with http.ws_connect(f"{world.url}/socket.io/?EIO=4&transport=websocket") as websocket:
        await websocket.receive()
        auth = {"token": person.token, "orgId": person.tenant.slug}
        await websocket.send_str(f"40{NAMESPACE},{json.dumps(auth)}")
        answer = await websocket.receive()
        return "" if answer.type == aiohttp.WSMsgType.TEXT else f"{answer.data} {answer.extra}"


async def test_a_person_comes_in_thirty_times_a_minute_and_then_for_the_moment_not(own_database_url: str) -> None:
    settings = msgspec.structs.replace(SETTINGS, rate_limits="on")
    async with one(own_database_url, 0.05, settings) as world, aiohttp.ClientSession() as http:
        alice, bob = await world.north.people("alice", "bob")
        (elsewhere,) = await world.south.people("alice")
        came = 0
        while not (refused := await _comes(world, http, alice)):
            came += 1
            assert came < 120
        assert came >= 30
        assert refused == "1013 rate.limited"
        assert [await _comes(world, http, other) for other in (bob, elsewhere)] == ["", ""]
        assert (await alice.get("people/me"))["id"] == alice.id
        async with JavaScript() as socket:
            auth = {"token": alice.token, "orgId": alice.tenant.slug}
            socket.comes_back(f"{world.url}{NAMESPACE}", transports=["websocket"], auth=auth)
            await socket.hears("connect")
            assert socket.all("connect_error") == []


@pytest.mark.parametrize("leaves", ["at once", "in time"])
async def test_who_leaves_while_the_store_is_told_of_them_is_told_of_rightly(
    own_database_url: str, leaves: str
) -> None:
    """Somebody who goes, and comes, while the statement about them is under way ends as they are."""
    async with one(own_database_url, 0.0 if leaves == "at once" else 0.2) as world:
        alice, bob = await world.north.people("alice", "bob")
        await alice.socket()
        for _ in range(5):
            sockets = await asyncio.gather(*(bob.socket() for _ in range(3)))
            await asyncio.gather(*(socket.close() for socket in sockets))
        last = await bob.socket()
        assert await online(alice) == [alice.email, bob.email]
        await last.close()
        async with asyncio.timeout(5):
            while [user["email"] for user in await alice.get("presence/online")] != [alice.email]:
                await asyncio.sleep(0.02)
