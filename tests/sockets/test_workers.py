"""Several processes on one database: an event from one reaches the sockets of the other, over each of the buses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from plaza.adapters.postgres_bus import PostgresBus
from tests.redis_server import RedisServer, redis_server
from tests.server import SETTINGS
from tests.sockets.twins import through, twins
from tests.world import World

__all__ = ["redis_server"]


@pytest.fixture(params=["PostgreSQL", "Redis"])
async def worlds(own_database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[World, World]]:
    """The same two organisations, seen through two processes."""
    bus_url = None
    if request.param == "Redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        bus_url = redis.url()
    async with twins(own_database_url, msgspec.structs.replace(SETTINGS, workers=2, bus_url=bus_url)) as both:
        yield both


async def test_messages_receipts_typing_and_presence_cross_from_one_process_to_the_other(
    worlds: tuple[World, World],
) -> None:
    here, there = worlds
    alice, bob = await here.north.people("alice", "bob")
    bob_there = through(there, bob)
    bobs = await there.socket(bob_there)
    alices = await here.socket(alice)
    assert await bobs.hears("userOnline") == {"email": alice.email}
    users = await alices.ask("getOnlineUsers")
    assert [user["email"] for user in users] == [alice.email, bob.email]
    sent = await alices.ask("sendMessage", {"to": bob.email, "content": "over there"})
    message = await bobs.hears("newMessage")
    assert message["id"] == sent["message"]["id"]
    assert (await bobs.hears("notification"))["target"] == message["id"]
    assert (await bobs.ask("markRead", {"messageId": message["id"]}))["read"] == 1
    assert (await alices.hears("messageRead"))["messageId"] == message["id"]
    await bobs.ask("typing", {"to": alice.email})
    assert await alices.hears("typing") == {"from": bob.email}
    await bobs.close()
    assert await alices.hears("userOffline") == {"email": bob.email}


async def test_a_body_too_large_for_a_notification_arrives_whole(worlds: tuple[World, World]) -> None:
    here, there = worlds
    alice, bob = await here.north.people("alice", "bob")
    bobs = await there.socket(through(there, bob))
    longest = "\N{PILE OF POO}" * 10_000
    await alice.send(bob, longest)
    await alice.send(bob, "short")
    await bobs.hears("newMessage", 2)
    assert [message["content"] for message in bobs.all("newMessage")] == [longest, "short"]


async def test_every_reader_hears_the_same_order_on_both_processes(worlds: tuple[World, World]) -> None:
    here, there = worlds
    alice, bob = await here.north.people("alice", "bob")
    readers = [await here.socket(bob), await there.socket(through(there, bob))]
    senders = [await here.socket(alice), await there.socket(through(there, alice))]
    for number in range(40):
        for sender in senders:
            await sender.tell("sendMessage", {"to": bob.email, "content": str(number)})
    for reader in readers:
        await reader.hears("newMessage", 80)
        assert [message["seq"] for message in reader.all("newMessage")] == list(range(1, 81))


async def test_what_nobody_understands_ends_no_connection_and_hides_nothing(worlds: tuple[World, World]) -> None:
    """A process of another version speaks on the same bus, or something that is no process of ours."""
    here, there = worlds
    alice, bob = await here.north.people("alice", "bob")
    bobs = await there.socket(through(there, bob))
    speaks, hears = here.server.plaza.bus, there.server.plaza.bus
    for number in range(20):
        here.server.loop.call_soon_threadsafe(speaks.publish, "server", b'["hereafter",{"of":"another version"}]')
        if isinstance(hears, PostgresBus):
            await here.rows("select pg_notify('plaza_server', 'no letter')::text")
        await alice.send(bob, str(number))
        await asyncio.sleep(0.02)
        assert hears.hears("server")
    await bobs.hears("newMessage", 20)
    assert [message["content"] for message in bobs.all("newMessage")] == [str(number) for number in range(20)]


async def test_a_person_who_is_on_both_goes_offline_when_both_are_gone(worlds: tuple[World, World]) -> None:
    here, there = worlds
    alice, bob = await here.north.people("alice", "bob")
    watcher = await here.socket(alice)
    first = await here.socket(bob)
    second = await there.socket(through(there, bob))
    await first.close()
    assert len(await watcher.ask("getOnlineUsers")) == 2
    assert watcher.all("userOffline") == []
    await second.close()
    assert await watcher.hears("userOffline") == {"email": bob.email}


async def test_long_polling_is_refused_in_words_where_several_workers_share_a_port(
    worlds: tuple[World, World],
) -> None:
    here, _ = worlds
    answer = await here.http.get("/socket.io/?EIO=4&transport=polling")
    assert answer.status_code == 400
    assert answer.json()["reason"] == "socket.websocket_only"
    assert "transports: ['websocket']" in answer.json()["message"]
