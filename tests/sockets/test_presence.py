"""Presence: first and last socket of a person, in one organisation (contract, section 2.3)."""

from __future__ import annotations

import asyncio

from tests.world import World


async def test_only_the_first_and_the_last_socket_of_a_person_are_announced(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    watcher = await alice.socket()
    phone = await bob.socket()
    assert await watcher.hears("userOnline") == {"email": bob.email}
    laptop = await bob.socket()
    await phone.close()
    await watcher.settles()
    assert len(watcher.all("userOnline")) == 1
    assert watcher.all("userOffline") == []
    await laptop.close()
    assert await watcher.hears("userOffline") == {"email": bob.email}


async def test_another_socket_of_somebody_who_is_here_does_not_wait_for_the_store(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.socket()
    async with world.store.transaction() as db:
        await db.connection.execute("lock table presence in access exclusive mode")
        newcomer = asyncio.create_task(bob.socket())
        waiting = """select count(*) from pg_locks join pg_database d on d.oid = database
            where not granted and datname = current_database()"""
        while not await db.connection.fetchval(waiting):
            await asyncio.sleep(0.01)
        await alice.socket()
        assert not newcomer.done()
    await newcomer
    online = [one["email"] for one in await alice.get("presence/online")]
    assert online == [alice.email, bob.email]


async def test_who_comes_with_many_is_announced_to_each_who_may_know_and_to_nobody_else(world: World) -> None:
    watcher, late, *crowd = await world.north.people("watcher", "late", *(f"p{number}" for number in range(8)))
    await crowd[0].post("blocks", {"targetId": crowd[1].email}, status=201)
    watching = await watcher.socket()
    sockets = await asyncio.gather(*(person.socket() for person in crowd))
    await late.socket()
    everybody = [person.email for person in (*crowd, late)]
    await watching.hears("userOnline", len(everybody))
    assert sorted(one["email"] for one in watching.all("userOnline")) == sorted(everybody)
    for socket, unknown in zip(sockets, [crowd[:2], crowd[:2], *([one] for one in crowd[2:])], strict=True):
        while late.email not in (heard := [one["email"] for one in socket.all("userOnline")]):
            await socket.hears("userOnline", len(heard) + 1)
        assert not {person.email for person in unknown} & set(heard)


async def test_who_is_online_is_told_by_callback_and_by_rest(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (elsewhere,) = await world.south.people("bob")
    await elsewhere.socket()
    alices = await alice.socket()
    assert await alices.ask("getOnlineUsers", None) == [{"email": alice.email, "id": alice.id}]
    await bob.socket()
    expected = [{"email": alice.email, "id": alice.id}, {"email": bob.email, "id": bob.id}]
    assert await alices.ask("getOnlineUsers") == expected
    assert await bob.get("presence/online") == expected


async def test_the_other_organisation_hears_nothing(world: World) -> None:
    (alice,) = await world.south.people("alice")
    watcher = await alice.socket()
    (bob,) = await world.north.people("bob")
    socket = await bob.socket()
    await socket.close()
    await watcher.settles()
    assert [event for event, _ in watcher.heard if event.startswith("user")] == []
