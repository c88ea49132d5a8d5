"""The largest records through every queue: replays, polls, live delivery and catching up count bytes (F3)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from plaza.store.log import PAGE_BYTES
from tests.world import Person, Socket, World

OLD = 140_000
"""Bytes of a message of a version that had no limit for all of it."""


async def grown(world: World, alice: Person, bob: Person, count: int, size: int = OLD) -> list[str]:
    """So many messages, as an earlier version could store them; their ids."""
    sent = [int((await alice.send(bob, str(number)))["id"]) for number in range(count)]
    await world.server_idle()
    await world.rows(
        "update message set content = repeat('x', $2), size = null where id = any($1) returning id", sent, size
    )
    return [str(id_) for id_ in sent]


async def caught_up(socket: Socket, cursor: str) -> list[list[Any]]:
    """The messages of each `sync` that it takes to be up to date."""
    pages = []
    for _ in range(100):
        known = len(socket.all("newMessage"))
        answer = await socket.ask("sync", {"since": cursor})
        assert (answer["success"], answer["reset"]) == (True, False)
        pages.append(socket.all("newMessage")[known:])
        assert int(answer["cursor"]) > int(cursor) or not answer["hasMore"]
        cursor = answer["cursor"]
        if not answer["hasMore"]:
            return pages
    raise AssertionError("it never ends")


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("size", [64_000, OLD])
async def test_sync_ends_early_at_so_many_bytes_and_completes(world: World, transport: str, size: int) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (elsewhere,) = await world.south.people("bob")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await socket.close()
    sent = await grown(world, alice, bob, 25, size)
    again = await bob.socket(transports=(transport,))
    pages = await caught_up(again, cursor)
    assert [message["id"] for page in pages for message in page] == sent
    for page in pages:
        assert len(page) == 1 or sum(len(msgspec.json.encode(message)) for message in page) <= PAGE_BYTES
    assert not again.closed.is_set()
    other = await elsewhere.socket()
    assert (await other.ask("sync", {"since": cursor}))["replayed"] == 0


async def test_what_comes_live_during_a_replay_is_heard_once_too(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await socket.close()
    sent = await grown(world, alice, bob, 10)
    again = await bob.socket()
    live = [(await alice.send(bob, "漢" * 10_000))["id"] for _ in range(5)]
    await caught_up(again, cursor)
    await again.hears("newMessage", 20)
    heard = [message["id"] for message in again.all("newMessage")]
    assert set(heard) == {*sent, *live}
    assert sorted(heard) == sorted([*sent, *live, *live])
    assert not again.closed.is_set()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_largest_records_arrive_live_on_both_transports(world: World, transport: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket(transports=(transport,))
    sender = await alice.socket(transports=(transport,))
    for number in range(6):
        files = [{"url": "https://files.test/" + "a" * 1_500}] * 20
        answer = await sender.ask("sendMessage", {"to": bob.email, "content": "漢" * 10_000, "attachments": files})
        assert answer["success"] is True
        message = await socket.hears("newMessage", number + 1)
        assert message["content"] == "漢" * 10_000
        assert message["seq"] == number + 1
    assert not socket.closed.is_set()


async def test_a_message_of_an_older_version_passes_everywhere(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (id_,) = await grown(world, alice, bob, 1)
    assert len((await bob.get(f"messages/thread/{alice.email}"))["data"][0]["content"]) == OLD
    assert len((await bob.get("messages/threads"))[0]["lastMessage"]["content"]) == OLD
    assert (await bob.get("notifications"))["total"] == 1
    socket = await bob.socket(transports=("polling",))
    await socket.ask("sync", {"since": "0"})
    assert (await bob.post("messages/read", {"ids": [id_]})) == {"read": 1}
    reply = await bob.send(alice, "yes", replyTo=id_)
    assert len(reply["replyPreview"]["content"]) == 140
    assert await alice.delete(f"messages/{id_}?scope=everyone") == {"success": True}
