"""What follows and connections say on sockets: at once, and again to those who were away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plaza.domains.connections import service as connections
from plaza.domains.connections.schemas import NewRequest
from plaza.domains.follows import service as follows
from plaza.domains.follows.schemas import NewFollow, Which
from plaza.kernel.addresses import PersonRef
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Context, Principal
from tests.world import Person, Socket, World

OURS = ("connectionRequest", "connectionRequestSent", "connectionAccepted", "connectionRemoved")


async def ask(person: Person, whom: Person) -> Any:
    return await person.post("connections/request", {"targetId": whom.email}, status=201)


async def answer(person: Person, request: Any, action: str = "accept") -> Any:
    return await person.put(f"connections/{request['id']}/respond", {"action": action})


def heard(socket: Socket) -> list[tuple[str, str]]:
    """Our events and the connections they speak of."""
    return [(name, payload["id"]) for name, payload in socket.heard if name in OURS]


def record(payload: Any) -> Any:
    """The record of an event, without its place in the log."""
    return {name: value for name, value in payload.items() if name != "cursor"}


async def test_both_hear_of_a_request_and_of_its_acceptance_what_they_would_fetch(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    (elsewhere,) = await world.south.people("bob")
    alices, phone, laptop = await alice.socket(), await bob.socket(), await bob.socket()
    strangers = [await carol.socket(), await elsewhere.socket()]
    request = await ask(alice, bob)
    (waiting,) = (await bob.get("connections/pending"))["data"]
    for socket in (phone, laptop):
        assert record(await socket.hears("connectionRequest")) == waiting
    assert record(await alices.hears("connectionRequestSent")) == request
    accepted = await answer(bob, request)
    assert record(await phone.hears("connectionAccepted")) == accepted
    (mine,) = (await alice.get("connections"))["data"]
    assert record(await alices.hears("connectionAccepted")) == mine
    for socket in (alices, phone, *strangers):
        await socket.settles()
    assert heard(phone) == [("connectionRequest", request["id"]), ("connectionAccepted", request["id"])]
    assert heard(alices) == [("connectionRequestSent", request["id"]), ("connectionAccepted", request["id"])]
    assert heard(strangers[0]) == heard(strangers[1]) == []
    assert [item["type"] for item in phone.all("notification")] == ["connection_request", "badge_earned"]
    assert [item["type"] for item in alices.all("notification")] == ["connection_accepted", "badge_earned"]


async def test_both_hear_why_a_request_or_a_connection_is_no_more(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    alices, bobs = await alice.socket(), await bob.socket()
    cancelled = await ask(alice, bob)
    await alice.delete(f"connections/{cancelled['id']}")
    removed = await answer(bob, await ask(alice, bob))
    await bob.delete(f"connections/{removed['id']}")
    rejected = await answer(bob, await ask(alice, bob), "reject")
    for socket in (alices, bobs):
        await socket.hears("connectionRemoved", 3)
        assert [record(event) for event in socket.all("connectionRemoved")] == [
            {"id": cancelled["id"], "reason": "cancelled"},
            {"id": removed["id"], "reason": "removed"},
            {"id": rejected["id"], "reason": "rejected"},
        ]


async def test_requests_that_cross_and_requests_accepted_together_are_heard_as_accepted(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    sockets = [await person.socket() for person in (alice, bob, carol)]
    met = await asyncio.gather(ask(alice, bob), ask(bob, alice))
    await ask(carol, alice)
    assert await alice.post("connections/accept-all") == {"accepted": 1}
    for socket in sockets:
        await socket.settles()
    assert [len(socket.all("connectionAccepted")) for socket in sockets] == [2, 1, 1]
    assert sockets[1].all("connectionAccepted")[0]["id"] == met[0]["id"]
    for socket in sockets:
        assert [record(event) for event in reversed(socket.all("connectionAccepted"))] == (
            await socket.person.get("connections")
        )["data"]


async def test_a_client_that_was_away_hears_what_still_holds(world: World) -> None:
    alice, bob, carol, dan = await world.north.people("alice", "bob", "carol", "dan")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await socket.close()
    stands = await ask(alice, bob)
    cancelled = await ask(carol, bob)
    await carol.delete(f"connections/{cancelled['id']}")
    await ask(dan, bob)
    await bob.post("blocks", {"targetId": dan.email}, status=201)
    await world.server_idle()
    again = await bob.socket()
    await again.ask("sync", {"since": cursor})
    assert heard(again) == [("connectionRequest", stands["id"]), ("connectionRemoved", cancelled["id"])]


async def test_a_follow_is_heard_as_a_notification_by_the_followed_alone(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    bobs, carols = await bob.socket(), await carol.socket()
    follow = await alice.post("follow", {"following": bob.email}, status=201)
    event = await bobs.hears("notification")
    assert (event["type"], event["target"], event["actor"]) == ("follow", follow["id"], alice.email)
    await carol.post("blocks", {"targetId": bob.email}, status=201)
    await bobs.settles()
    await carols.settles()
    assert len(bobs.all("notification")) == 1
    assert carols.all("notification") == []


@pytest.mark.parametrize("what", ["follow", "connection"])
async def test_what_begins_and_ends_before_anybody_was_told_leaves_no_notification(world: World, what: str) -> None:
    """Both facts are in one batch of the relay; heard in another order, the end would find nothing to take away."""
    alice, bob = await world.north.people("alice", "bob")
    me = Principal(int(alice.id), alice.email)
    plaza = world.server.plaza
    async with world.store.transaction() as db:
        tell, limits = plaza.switchboard.tell, plaza.limits
        ctx = Context(world.north.org, me, db, system_clock(), plaza.new_id, tell, lambda *_, **__: None, limits)
        if what == "follow":
            await follows.follow(ctx, NewFollow(following=bob.email))
            await follows.unfollow(ctx, PersonRef(bob.email), Which())
        else:
            request = await connections.request(ctx, NewRequest(target_id=bob.email))
            await connections.end(ctx, request.id)
    await world.server_idle()
    assert (await bob.get("notifications"))["total"] == 0
