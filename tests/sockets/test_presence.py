"""Presence: first and last socket of a person, in one organisation (contract, section 2.3)."""

from __future__ import annotations

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


async def test_an_eleventh_socket_of_a_person_is_refused(world: World) -> None:
    (alice,) = await world.north.people("alice")
    for _ in range(10):
        await alice.socket()
    socket = await _refusal(world, alice)
    assert socket == "socket.too_many"


async def _refusal(world: World, person: object) -> str:
    from tests.node import JavaScript
    from tests.world import Person

    assert isinstance(person, Person)
    async with JavaScript() as socket:
        auth = {"token": person.token, "orgId": person.tenant.slug}
        socket.open(f"{world.url}/community-chat", transports=["websocket"], auth=auth)
        (error,) = await socket.hears("connect_error")
        return str(error["data"]["code"])
