"""A socket lives as long as its token: `token_expired`, then the end; a fresh token keeps it (guarantees, F-TOK)."""

from __future__ import annotations

import asyncio

from plaza.kernel.clock import system_clock
from tests.world import Person, World


async def test_a_socket_whose_token_lapses_is_told_and_closed(world: World) -> None:
    (bob,) = await world.north.people("bob")
    short = Person(world.north, "alice@mail.test", seconds=2)
    await short.arrive()
    socket = await short.socket()
    begun = system_clock()
    await socket.hears("token_expired")
    await asyncio.wait_for(socket.closed.wait(), 2)
    assert (system_clock() - begun).total_seconds() < 4
    await bob.send(short.email, "too late")
    assert socket.all("newMessage") == []


async def test_a_fresh_token_keeps_the_socket_and_somebody_elses_ends_it(world: World) -> None:
    (bob,) = await world.north.people("bob")
    short = Person(world.north, "alice@mail.test", seconds=2)
    await short.arrive()
    socket = await short.socket()
    fresh = Person(world.north, "alice@mail.test")
    assert await socket.ask("authenticate", {"token": fresh.token}) == {"success": True}
    await asyncio.sleep(2.6)
    assert socket.client.connected
    await bob.send(short.email, "still here")
    assert (await socket.hears("newMessage"))["content"] == "still here"
    answer = await socket.ask("authenticate", {"token": bob.token})
    assert (answer["success"], answer["code"]) == (False, "auth.other_person")
    await asyncio.wait_for(socket.closed.wait(), 2)


async def test_a_right_that_ends_unheard_ends_a_socket_whose_token_nobody_remembers(world: World) -> None:
    """G11: by the sweep, within ten seconds; a socket may outlast what is remembered of its token."""
    alice, bob = await world.north.people("alice", "bob")
    socket, other = await bob.socket(), await alice.socket()
    org = world.north.org.id
    world.server.loop.call_soon_threadsafe(world.server.plaza.switchboard.ask_again, org, int(bob.id))
    await socket.settles()
    await world.rows("update person set status = 'suspended' where org = $1 and id = $2", org, int(bob.id))
    await asyncio.wait_for(socket.closed.wait(), 10)
    assert other.client.connected
