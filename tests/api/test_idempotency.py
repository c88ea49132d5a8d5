"""Retries: the same key and body give the same answer and one effect, for good (contract, decision 29)."""

from __future__ import annotations

import asyncio

import pytest

from tests.world import World


async def test_the_same_client_id_is_one_message_however_often_and_wherever_it_is_sent(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    watcher = await bob.socket()
    sockets = [await alice.socket() for _ in range(3)]
    payload = {"to": bob.email, "content": "once", "clientId": "c-1"}
    answers = await asyncio.gather(
        *(alice.post("messages", payload, status=201) for _ in range(10)),
        *(socket.ask("sendMessage", payload) for socket in sockets for _ in range(3)),
    )
    messages = [answer.get("message", answer) for answer in answers]
    assert len({message["id"] for message in messages}) == 1
    assert {message["seq"] for message in messages} == {1}
    await watcher.settles()
    assert len(watcher.all("newMessage")) == 1
    assert (await bob.get(f"messages/thread/{alice.email}"))["total"] == 1
    assert (await bob.get("notifications"))["total"] == 1
    assert (await alice.send(bob, "next"))["seq"] == 2


async def test_a_client_id_means_one_message_of_one_sender_in_one_thread(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    first = await alice.send(bob, "x", clientId="c")
    assert await alice.send(bob, "x", clientId="c") == first
    assert await alice.send(bob.email.upper(), "x", clientId="c") == first
    elsewhere = [
        await alice.send(carol, "x", clientId="c"),
        await bob.send(alice, "x", clientId="c"),
        await world.south.person("alice").send("bob@mail.test", "x", clientId="c"),
    ]
    assert len({first["id"], *(message["id"] for message in elsewhere)}) == 4
    for changed in (
        {"content": "y"},
        {"content": "x", "contentType": "link"},
        {"content": "x", "replyTo": first["id"]},
    ):
        body = {"to": bob.email, "clientId": "c"} | changed
        assert await alice.refused("POST", "messages", body) == (422, "idempotency.mismatch")


async def test_an_idempotency_key_makes_any_write_happen_once(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    key = {"idempotency-key": "k-1"}
    body = {"to": bob.email, "content": "once"}
    first = await alice.post("messages", body, status=201, headers=key)
    assert await alice.post("messages", body, status=201, headers=key) == first
    assert (await bob.get(f"messages/thread/{alice.email}"))["total"] == 1
    changed = body | {"content": "twice"}
    assert await alice.refused("POST", "messages", changed, headers=key) == (422, "idempotency.mismatch")
    assert await alice.refused("POST", "messages/read", {"ids": []}, headers=key) == (422, "idempotency.mismatch")
    await bob.post("messages", {"to": alice.email, "content": "mine"}, status=201, headers=key)
    south = world.south.person("alice")
    await south.post("messages", {"to": bob.email, "content": "there"}, status=201, headers=key)


async def test_the_first_answer_is_given_again_though_the_world_has_moved_on(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    path, key = f"messages/thread/{alice.email}/read", {"idempotency-key": "read-1"}
    assert await bob.post(path, headers=key) == {"read": 1}
    await alice.send(bob)
    assert await bob.post(path, headers=key) == {"read": 1}
    assert await bob.get("messages/unread-count") == {"count": 1}


async def test_a_key_is_the_same_on_both_prefixes(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    key, body = {"idempotency-key": "k"}, {"to": bob.email, "content": "x"}
    first = await alice.post("/client/community/messages", body, status=201, headers=key)
    assert await alice.post("/community/messages", body, status=201, headers=key) == first


async def test_many_requests_with_one_key_at_one_moment_have_one_effect(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    body, key = {"to": bob.email, "content": "x"}, {"idempotency-key": "race"}
    answers = await asyncio.gather(*(alice.post("messages", body, status=201, headers=key) for _ in range(8)))
    assert len({answer["id"] for answer in answers}) == 1
    assert (await bob.get(f"messages/thread/{alice.email}"))["total"] == 1


async def test_a_refused_request_leaves_its_key_free(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    key = {"idempotency-key": "k"}
    assert await alice.refused("POST", "messages", {"to": bob.email, "content": ""}, headers=key) == (
        400,
        "message.empty",
    )
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    body = {"to": bob.email, "content": "x"}
    assert await alice.refused("POST", "messages", body, headers=key) == (403, "message.blocked")
    await bob.delete(f"blocks/{alice.email}")
    await alice.post("messages", body, status=201, headers=key)


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_has_bounds(world: World, key: str) -> None:
    alice = world.north.person("alice")
    refusal = await alice.refused("POST", "messages/read", {"ids": []}, headers={"idempotency-key": key})
    assert refusal == (400, "request.invalid")
