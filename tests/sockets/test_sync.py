"""Catching up: `sync {since}` replays what a person missed, in order, or answers `reset` (guarantees, G5)."""

from __future__ import annotations

import msgspec
import pytest

from plaza.store.log import PAGE
from tests.world import World


async def test_a_client_that_was_away_hears_what_it_missed_as_it_would_have(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    first = await alice.send(bob, "live")
    cursor = (await socket.hears("newMessage"))["cursor"]
    await socket.hears("notification")
    await socket.close()
    missed = [await alice.send(bob, f"missed {number}") for number in range(3)]
    own = await bob.send(alice, "from elsewhere")
    await alice.post("messages/read", {"ids": [own["id"]]})
    await alice.delete(f"messages/{first['id']}?scope=everyone")
    await world.server_idle()
    again = await bob.socket()
    answer = await again.ask("sync", {"since": cursor})
    assert (answer["success"], answer["reset"], answer["hasMore"]) == (True, False, False)
    assert [message["id"] for message in again.all("newMessage")] == [message["id"] for message in missed]
    assert [message["id"] for message in again.all("messageSent")] == [own["id"]]
    assert [event["messageId"] for event in again.all("messageRead")] == [own["id"]]
    assert [event["messageId"] for event in again.all("messageDeleted")] == [first["id"]]
    assert await again.ask("sync", {"since": answer["cursor"]}) == answer | {"replayed": 0}


async def test_the_cursor_of_the_welcome_is_a_place_to_go_on_from(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob, "before")
    await world.server_idle()
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await socket.close()
    await alice.send(bob, "after")
    await world.server_idle()
    again = await bob.socket()
    await again.ask("sync", {"since": cursor})
    assert [message["content"] for message in again.all("newMessage")] == ["after"]


async def test_many_missed_events_come_in_several_pages(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await socket.close()
    other = await alice.socket()
    for number in range(PAGE):
        await other.tell("sendMessage", {"to": bob.email, "content": str(number)})
    await other.ask("getOnlineUsers")
    await world.server_idle()
    again, rounds = await bob.socket(), 0
    while True:
        answer = await again.ask("sync", {"since": cursor})
        cursor, rounds = answer["cursor"], rounds + 1
        if not answer["hasMore"]:
            break
    assert rounds > 1
    assert [message["content"] for message in again.all("newMessage")] == [str(number) for number in range(PAGE)]


@pytest.mark.parametrize("cursor", ["9" * 18, "99999999999999999999", "nonsense", "-1"])
async def test_a_cursor_that_is_not_of_this_log_is_answered_with_reset(world: World, cursor: str) -> None:
    (alice,) = await world.north.people("alice")
    socket = await alice.socket()
    answer = await socket.ask("sync", {"since": cursor})
    assert answer["reset"] is True
    assert (await socket.ask("sync", {"since": answer["cursor"]}))["reset"] is False


async def test_what_may_not_be_seen_any_more_is_not_replayed(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await socket.close()
    secret = await alice.send(bob, "secret")
    hidden = await alice.send(bob, "hidden")
    await alice.delete(f"messages/{secret['id']}?scope=everyone")
    await bob.delete(f"messages/{hidden['id']}")
    await world.server_idle()
    again = await bob.socket()
    await again.ask("sync", {"since": cursor})
    assert "secret" not in str(again.heard)
    assert "hidden" not in str(again.heard)
    await alice.send(bob, "blocked later")
    await world.server_idle()
    await again.close()
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    third = await bob.socket()
    await third.ask("sync", {"since": cursor})
    assert third.all("newMessage") == []
    assert third.all("notification") == []


async def test_the_log_of_one_organisation_is_silent_in_another(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (elsewhere,) = await world.south.people("bob")
    await alice.send(bob)
    await world.server_idle()
    socket = await elsewhere.socket()
    await socket.ask("sync", {"since": "0"})
    assert [event for event, _ in socket.heard if event != "authenticate"] == []


async def test_state_held_by_a_client_plus_events_is_the_state_fetched_anew(world: World) -> None:
    """For each fact of direct messages: what a client holds, with the events applied, is what it would fetch."""
    alice, bob = await world.north.people("alice", "bob")
    held = {message["id"]: message for message in [await alice.send(bob, "a"), await alice.send(bob, "b")]}
    held = {m["id"]: m for m in (await bob.get(f"messages/thread/{alice.email}"))["data"]}
    socket = await bob.socket()
    fresh = await alice.send(bob, "c")
    own = await bob.send(alice, "d")
    await alice.post("messages/read", {"ids": [own["id"]]})
    first, second = sorted(held)
    await bob.post("messages/read", {"ids": [first]})
    await bob.delete(f"messages/{second}")
    await alice.delete(f"messages/{first}?scope=everyone")
    await alice.post("messages/read", {"ids": [fresh["id"]]})
    await socket.settles()
    for event, payload in socket.heard:
        data = dict(payload)
        if event in ("newMessage", "messageSent"):
            data.pop("cursor")
            held[data["id"]] = data
        elif event == "messageRead":
            held[data["messageId"]] |= {"status": "read", "readAt": data["readAt"]}
        elif event == "messageDeleted" and data["scope"] == "me":
            held.pop(data["messageId"])
        elif event == "messageDeleted":
            held[data["messageId"]] |= {"status": "deleted", "content": "", "attachments": []}
    fetched = {m["id"]: m for m in (await bob.get(f"messages/thread/{alice.email}"))["data"]}
    personal = {"readAt", "deliveredAt"}
    assert [strip(held[key], personal) for key in sorted(held)] == [
        strip(fetched[key], personal) for key in sorted(fetched)
    ]


def strip(message: dict[str, object], names: set[str]) -> bytes:
    return msgspec.json.encode({key: value for key, value in sorted(message.items()) if key not in names})
