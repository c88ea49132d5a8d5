"""When a process is killed: another leads, what nobody was shown is shown, and those who were on it are gone."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.server import Running
from tests.sockets.another import TWO, Another
from tests.sockets.twins import through
from tests.world import World

LEASE_SECONDS = 2.0


async def test_presence_is_right_soon_after_a_process_was_killed(own_database_url: str) -> None:
    with (
        Running(own_database_url, TWO, lease_seconds=LEASE_SECONDS) as stays,
        Another(own_database_url, LEASE_SECONDS) as another,
    ):
        async with World(stays, "client/community") as here, World(stays, "client/community") as there:
            there.url = another.url
            alice, bob = await here.north.people("alice", "bob")
            watcher = await alice.socket()
            await there.socket(through(there, bob))
            assert await watcher.hears("userOnline") == {"email": bob.email}
            assert len(await watcher.ask("getOnlineUsers")) == 2
            another.kill()
            assert await watcher.hears("userOffline") == {"email": bob.email}
            assert [person["email"] for person in await watcher.ask("getOnlineUsers")] == [alice.email]


async def test_the_leadership_moves_when_its_process_is_killed(own_database_url: str) -> None:
    with Another(own_database_url, LEASE_SECONDS) as leader, Running(own_database_url, TWO) as stays:
        async with World(stays, "client/community") as here, World(stays, "client/community") as there:
            there.url = leader.url
            alice, bob = await here.north.people("alice", "bob")
            await there.socket(through(there, alice))
            bobs = await bob.socket()
            await alice.send(bob, "led from afar")
            await bobs.hears("newMessage")
            assert not stays.plaza.relay.leads
            leader.kill()
            killed = time.monotonic()
            await alice.send(bob, "led from here")
            await bobs.hears("newMessage", 2)
            print(f"heard {time.monotonic() - killed:.1f} s after the leader was killed")
            assert stays.plaza.relay.leads
            assert [message["content"] for message in bobs.all("newMessage")] == ["led from afar", "led from here"]


async def test_what_a_leader_committed_and_nobody_was_shown_is_shown_by_the_next(
    own_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running(own_database_url, TWO) as leader, Running(own_database_url, TWO) as other:
        async with World(leader, "client/community") as here, World(other, "client/community") as there:
            there.north = here.north
            alice, bob = await here.north.people("alice", "bob")
            sockets = [await here.socket(bob), await there.socket(through(there, bob))]
            await alice.send(bob, "shown")
            for socket in sockets:
                await socket.hears("newMessage")
            # What a death between the commit and the first word would do.
            monkeypatch.setattr(leader.plaza.switchboard, "show", lambda *_: None)
            await alice.send(bob, "committed")
            await here.server_idle()
            monkeypatch.undo()
            await here.rows(
                """select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
                where locktype = 'advisory' and granted and datname = current_database()"""
            )
            await asyncio.gather(*(socket.hears("newMessage", 2) for socket in sockets))
            assert [[m["content"] for m in socket.all("newMessage")] for socket in sockets] == [
                ["shown", "committed"]
            ] * 2
