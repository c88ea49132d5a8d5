"""How large a message may be: 64 KiB as the server encodes its record, counted alike over REST and sockets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.world import Person, World

LARGEST = 65_536


def attachments(count: int, path: str) -> list[dict[str, Any]]:
    """Files with long names elsewhere."""
    url = f"https://files.test/{path}"
    return [{"url": url, "type": "", "name": "漢" * 255, "size": number} for number in range(count)]


def size(message: dict[str, Any]) -> int:
    """Bytes of a record as the server encodes it, without the card of its sender."""
    return len(msgspec.json.encode({name: value for name, value in message.items() if name != "fromInfo"}))


async def fitted(alice: Person, bob: Person, more: int, **parts: Any) -> dict[str, Any]:
    """A message whose record takes `more` bytes above the largest; found by the size of a small one."""
    content = parts.pop("content", "")
    files = attachments(20, "a" * 1_980)
    small = await alice.send(bob, "x" + content, attachments=files, **parts)
    left = LARGEST + more - size(small) - len(str(small["seq"] + 1)) + len(str(small["seq"]))
    assert 0 < left < 10_000 - len(content)
    return {"to": bob.email, "content": "x" * (left + 1) + content, "attachments": files, **parts}


async def test_the_largest_record_is_stored_and_one_byte_more_is_not(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (elsewhere,) = await world.south.people("bob")
    legal = await fitted(alice, bob, 0)
    sent = await alice.post("messages", legal, status=201)
    assert size(sent) == LARGEST
    over = {**legal, "content": legal["content"] + "x"}
    assert await alice.refused("POST", "messages", over) == (413, "message.too_large")
    assert (await bob.get(f"messages/thread/{alice.email}"))["total"] == 2
    assert (await elsewhere.get(f"messages/thread/{alice.email}"))["total"] == 0


@pytest.mark.parametrize(
    "content",
    ["\x07" * 1_000, '"\\' * 500, "漢" * 2_000, "😀" * 1_000, "\u2028\x7f" * 900, "\n\t" * 800],
    ids=["control", "escapes", "CJK", "emoji", "separators", "white"],
)
async def test_escapes_and_wide_characters_count_as_they_are_encoded(world: World, content: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    legal = await fitted(alice, bob, 0, content=content, clientId='k"\\é')
    legal["clientId"] = 'K"\\é'
    assert size(await alice.post("messages", legal, status=201)) == LARGEST
    over = {**legal, "content": "x" + legal["content"], "clientId": 'L"\\é'}
    assert await alice.refused("POST", "messages", over) == (413, "message.too_large")


async def test_what_a_reply_quotes_is_counted(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    asked = await bob.send(alice, 'what "was"\n it? 漢 \x01' * 20)
    legal = await fitted(alice, bob, 0, replyTo=asked["id"])
    assert size(await alice.post("messages", legal, status=201)) == LARGEST
    over = {**legal, "content": "x" + legal["content"]}
    assert await alice.refused("POST", "messages", over) == (413, "message.too_large")


async def test_a_socket_refuses_in_the_acknowledgement_what_rest_refuses(world: World) -> None:
    """D4's own input: all within the bounds of the fields, 67 kB as a record."""
    alice, bob = await world.north.people("alice", "bob")
    socket = await alice.socket()
    payload = {"to": bob.email, "content": "漢" * 10_000, "attachments": attachments(20, "a" * 1_980)}
    assert await alice.refused("POST", "messages", payload) == (413, "message.too_large")
    answer = await socket.ask("sendMessage", payload)
    assert (answer["success"], answer["code"]) == (False, "message.too_large")
    legal = await fitted(alice, bob, 0)
    answer = await socket.ask("sendMessage", legal)
    assert (answer["success"], size(answer["message"])) == (True, LARGEST)
    assert (await socket.ask("getOnlineUsers"))[0]["email"] == alice.email


async def test_the_first_message_of_a_pair_is_counted_like_the_others(world: World) -> None:
    alice, bob, carl = await world.north.people("alice", "bob", "carl")
    legal = await fitted(alice, bob, 0)
    legal |= {"to": carl.email, "content": legal["content"][len(carl.email) - len(bob.email) :]}
    over = {**legal, "content": "x" + legal["content"]}
    assert await alice.refused("POST", "messages", over) == (413, "message.too_large")
    sent = await alice.post("messages", {**legal, "to": carl.id}, status=201)
    assert (sent["seq"], size(sent)) == (1, LARGEST)


async def test_ten_thousand_of_any_characters_always_fit_without_attachments(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for content in ("\x01" * 10_000, "漢" * 10_000, "😀" * 10_000, '"' * 10_000):
        assert (await alice.send(bob, content))["content"] == content


async def test_a_retry_of_what_was_stored_before_there_was_a_limit_is_answered_as_it_was(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    legal = await fitted(alice, bob, 0, clientId="old")
    legal["clientId"] = "new"
    stored = await alice.post("messages", legal, status=201)
    await world.rows(
        'update message set attachments = (select jsonb_agg(a || \'{"type": "a name that is rather longer"}\') '
        "from jsonb_array_elements(attachments) a) where id = $1 returning id",
        int(stored["id"]),
    )
    again = await alice.post("messages", legal, status=201)
    assert again["id"] == stored["id"]
    assert size(again) > LARGEST
