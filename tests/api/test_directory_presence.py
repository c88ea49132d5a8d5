"""Who has left the directory is not in the list of those who are online either; an address that changes is."""

from __future__ import annotations

from tests.api.test_addresses_change import hosted
from tests.api.test_directory import leave_directory
from tests.world import World


async def test_strangers_do_not_learn_that_somebody_unlisted_is_online(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    await bob.post("follow", {"following": carol.email}, status=201)
    await leave_directory(bob)
    stranger, friend = await alice.socket(), await carol.socket()
    own = await bob.socket()
    assert await friend.hears("userOnline") == {"email": bob.email}
    await stranger.settles()
    assert [online["email"] for online in await alice.get("presence/online")] == [alice.email, carol.email]
    assert len(await friend.ask("getOnlineUsers")) == len(await own.ask("getOnlineUsers")) == 3
    await own.close()
    assert await friend.hears("userOffline") == {"email": bob.email}
    await stranger.settles()
    assert {event["email"] for event in stranger.all("userOnline")} <= {carol.email}
    assert stranger.all("userOffline") == []


async def test_who_leaves_the_directory_goes_offline_for_strangers_and_stays_for_friends(world: World) -> None:
    alice, bob, carol, eve = await world.north.people("alice", "bob", "carol", "eve")
    await bob.post("follow", {"following": carol.email}, status=201)
    await eve.post("blocks", {"targetId": bob.email}, status=201)
    stranger, friend, blocker = [await person.socket() for person in (alice, carol, eve)]
    own = await bob.socket()
    await leave_directory(bob)
    assert await stranger.hears("userOffline") == {"email": bob.email}
    assert await friend.hears("userOffline") == {"email": bob.email}
    await friend.settles()
    assert friend.heard[-2] == ("userOnline", {"email": bob.email})
    await own.close()
    assert await friend.hears("userOffline", 2) == {"email": bob.email}
    for socket in (stranger, blocker):
        await socket.settles()
    assert len(stranger.all("userOffline")) == 1
    assert blocker.all("userOffline") == []


async def test_whoever_is_online_under_an_old_address_is_so_under_the_new_one(world: World) -> None:
    carol, eve = await world.north.people("carol", "eve")
    old = await hosted(world.north, "host-7", "old@mail.test", age=60).arrive()
    await eve.post("blocks", {"targetId": old.email}, status=201)
    listener, blocker = await carol.socket(), await eve.socket()
    await old.socket()
    await listener.hears("userOnline", 2)
    await hosted(world.north, "host-7", "new@mail.test").arrive()
    assert await listener.hears("userOffline") == {"email": "old@mail.test"}
    assert await listener.hears("userOnline", 3) == {"email": "new@mail.test"}
    await blocker.settles()
    assert [event for name, event in blocker.heard if name.startswith("user")] == []
