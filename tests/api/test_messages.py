"""Direct messages over REST (contract, section 1.10), on both prefixes, beside an organisation of the same people."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.world import Person, World

QUIET = ("relay.", "log.", "presence.", "organisations.", "people.", "sessions.over", "statistics.")
"""What the server speaks by itself, now and then."""
ATTACHMENT: dict[str, Any] = {"url": "https://cdn.test/a.png", "type": "image/png", "name": "a.png", "size": 12}


async def test_the_seeds_own_sample_sends_a_message(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    first = await bob.send(alice, "A question")
    message = await alice.post(
        "messages",
        {
            "to": bob.email,
            "content": "Hey, can you take a look at the proposal?",
            "contentType": "text",
            "attachments": [],
            "replyTo": first["id"],
        },
        status=201,
    )
    assert message["from"] == alice.email
    assert message["to"] == bob.email
    assert message["content"] == "Hey, can you take a look at the proposal?"
    assert message["contentType"] == "text"
    assert message["attachments"] == []
    assert message["replyTo"] == first["id"]
    assert message["replyPreview"] == {
        "id": first["id"],
        "from": bob.email,
        "content": "A question",
        "contentType": "text",
    }
    assert message["status"] == "sent"
    assert message["seq"] == 2
    assert message["thread"] == first["thread"]
    assert message["createdAt"].endswith("Z")
    assert message["fromInfo"]["email"] == alice.email


async def test_a_message_carries_attachments_without_words(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    sent = await alice.send(bob, "", contentType="image", attachments=[ATTACHMENT])
    (read,) = (await bob.get(f"messages/thread/{alice.email}"))["data"]
    assert read["attachments"] == sent["attachments"] == [ATTACHMENT]


async def test_threads_are_a_bare_array_with_the_newest_first(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    await bob.send(alice, "one")
    await bob.send(alice, "two")
    await carol.send(alice, "three")
    threads = await alice.get("messages/threads")
    assert [(thread["peer"], thread["unreadCount"]) for thread in threads] == [(carol.email, 1), (bob.email, 2)]
    assert [thread["lastMessage"]["content"] for thread in threads] == ["three", "two"]
    assert threads[0]["peerInfo"]["email"] == carol.email
    assert [thread["peer"] for thread in await alice.get("messages/threads?limit=1&pageNum=2")] == [bob.email]
    assert await world.south.person("alice").get("messages/threads") == []


async def test_history_is_newest_first_and_pages_by_limit_before_after_and_cursor(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    sent = [await alice.send(bob, f"m{number}") for number in range(7)]
    path = f"messages/thread/{alice.email}"
    whole = await bob.get(path)
    assert [message["seq"] for message in whole["data"]] == [7, 6, 5, 4, 3, 2, 1]
    assert (whole["total"], whole["hasNext"], whole["limit"]) == (7, False, 1000)
    page = await bob.get(f"{path}?limit=3")
    assert [message["seq"] for message in page["data"]] == [7, 6, 5]
    assert page["hasNext"]
    page = await bob.get(f"{path}?limit=3&cursor={page['nextCursor']}")
    assert [message["seq"] for message in page["data"]] == [4, 3, 2]
    page = await bob.get(f"{path}?limit=3&before={sent[2]['id']}")
    assert [message["seq"] for message in page["data"]] == [2, 1]
    page = await bob.get(f"{path}?after={sent[4]['id']}")
    assert [message["seq"] for message in page["data"]] == [6, 7]
    page = await bob.get(f"{path}?after=2&limit=2")
    assert [message["seq"] for message in page["data"]] == [3, 4]
    page = await bob.get(f"{path}?limit=2&cursor={page['nextCursor']}")
    assert [message["seq"] for message in page["data"]] == [5, 6]
    page = await bob.get(f"{path}?limit=3&pageNum=3")
    assert [message["seq"] for message in page["data"]] == [1]


async def test_a_person_is_named_by_address_in_any_case_or_by_id(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob.email.upper(), "by address")
    await alice.send(bob.id, "by id")
    for name in (alice.email.upper(), alice.email.replace("@", "%40"), alice.id):
        assert (await bob.get(f"messages/thread/{name}"))["total"] == 2


async def test_reading_a_thread_needs_no_body_and_counts_once(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for _ in range(3):
        await alice.send(bob)
    assert await bob.get("messages/unread-count") == {"count": 3}
    assert await bob.post(f"messages/thread/{alice.email}/read") == {"read": 3}
    assert await bob.post(f"messages/thread/{alice.email}/read") == {"read": 0}
    assert await bob.get("messages/unread-count") == {"count": 0}
    (message, *_) = (await alice.get(f"messages/thread/{bob.email}"))["data"]
    assert message["status"] == "read"
    assert message["readAt"] is not None


async def test_reading_by_ids_counts_only_what_is_addressed_to_the_caller(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    mine = [await alice.send(bob) for _ in range(2)]
    others = await alice.send(carol)
    own = await bob.send(alice)
    ids = [mine[0]["id"], others["id"], own["id"], "msg-1", "9" * 19]
    assert await bob.post("messages/read", {"ids": ids}) == {"read": 1}
    assert await bob.post("messages/read", {"ids": ids}) == {"read": 0}
    assert await bob.get("messages/unread-count") == {"count": 1}
    assert await carol.get("messages/unread-count") == {"count": 1}


async def test_deleting_hides_a_message_for_one_side_only(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    first, second = await alice.send(bob, "first"), await alice.send(bob, "second")
    assert await bob.delete(f"messages/{second['id']}") == {"success": True}
    history = await bob.get(f"messages/thread/{alice.email}")
    assert [message["id"] for message in history["data"]] == [first["id"]]
    assert history["total"] == 1
    assert (await alice.get(f"messages/thread/{bob.email}"))["total"] == 2
    (thread,) = await bob.get("messages/threads")
    assert thread["lastMessage"]["id"] == first["id"]
    assert await bob.get("messages/unread-count") == {"count": 1}
    assert await bob.refused("DELETE", f"messages/{second['id']}") == (404, "message.not_found")


async def test_a_thread_hidden_whole_leaves_the_list(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    message = await alice.send(bob)
    await bob.delete(f"messages/{message['id']}")
    assert await bob.get("messages/threads") == []
    assert len(await alice.get("messages/threads")) == 1


async def test_the_sender_deletes_for_everyone_and_nothing_of_it_is_left(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    secret = await alice.send(bob, "secret", attachments=[ATTACHMENT])
    reply = await bob.send(alice, "what?", replyTo=secret["id"])
    assert reply["replyPreview"]["content"] == "secret"
    assert await bob.refused("DELETE", f"messages/{secret['id']}?scope=everyone") == (403, "message.not_yours")
    await alice.delete(f"messages/{secret['id']}?scope=everyone")
    assert await bob.get("messages/unread-count") == {"count": 0}
    for person, peer in ((alice, bob), (bob, alice)):
        answer = await person.get(f"messages/thread/{peer.email}")
        assert "secret" not in str(answer)
        assert ATTACHMENT["url"] not in str(answer)
        gone = answer["data"][-1]
        assert (gone["status"], gone["content"], gone["attachments"]) == ("deleted", "", [])
        assert answer["data"][0]["replyPreview"] is None


async def test_somebody_who_has_never_been_here_finds_their_messages_when_they_come(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    await alice.send("New.Comer@mail.test", "welcome")
    newcomer = world.north.person("new.comer")
    assert await newcomer.get("messages/unread-count") == {"count": 1}
    assert (await newcomer.get(f"messages/thread/{alice.email}"))["data"][0]["content"] == "welcome"
    stranger = world.south.person("new.comer")
    assert await stranger.get("messages/unread-count") == {"count": 0}


async def test_an_address_nobody_has_written_to_has_an_empty_history(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    unknown = await alice.get("messages/thread/nobody@mail.test")
    assert (unknown["data"], unknown["total"]) == ([], 0)
    (bob,) = await world.north.people("bob")
    assert await alice.get(f"messages/thread/{bob.email}") == unknown


async def test_messages_to_oneself_are_refused(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    for myself in (alice.email, alice.email.upper(), alice.id):
        assert await alice.refused("POST", "messages", {"to": myself, "content": "me"}) == (400, "message.self")


@pytest.mark.parametrize("content", ["", "   ", "\n\t"])
async def test_an_empty_message_is_refused(world: World, content: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    refusal = await alice.refused("POST", "messages", {"to": bob.email, "content": content})
    assert refusal == (400, "message.empty")


async def test_what_does_not_exist_and_what_may_not_be_seen_answer_alike(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    message = await alice.send(bob)
    foreign = await world.south.person("alice").send("bob@mail.test")
    for unseen in (message["id"], foreign["id"], "1", "nonsense", "9" * 30):
        assert await carol.refused("DELETE", f"messages/{unseen}") == (404, "message.not_found")
        body = {"to": bob.email, "content": "x", "replyTo": unseen}
        assert await carol.refused("POST", "messages", body) == (404, "message.reply_not_found")
    for unknown in ("1", "9" * 18, (await world.south.person("bob").arrive()).id):
        assert await carol.refused("POST", "messages", {"to": unknown, "content": "x"}) == (404, "person.not_found")
        assert await carol.refused("GET", f"messages/thread/{unknown}") == (404, "person.not_found")
    assert (
        await carol.refused("GET", f"messages/thread/{bob.email}?before={message['id']}")
        == (
            404,
            "message.not_found",
        )
        or (await carol.get(f"messages/thread/{bob.email}"))["total"] == 0
    )
    assert await carol.get("messages/threads") == []


async def test_a_reply_answers_a_message_of_its_own_thread(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    elsewhere = await alice.send(carol)
    body = {"to": bob.email, "content": "x", "replyTo": elsewhere["id"]}
    assert await alice.refused("POST", "messages", body) == (404, "message.reply_not_found")
    assert await alice.get("messages/threads") != []
    assert (await alice.get(f"messages/thread/{bob.email}"))["total"] == 0


async def test_a_person_who_takes_messages_from_connections_only_is_left_alone(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    closed = {"communityProfile": {"connectionPreferences": {"allowMessagesFromNonConnections": False}}}
    profile = await bob.put("people/me", closed)
    assert not profile["communityProfile"]["connectionPreferences"]["allowMessagesFromNonConnections"]
    assert await alice.refused("POST", "messages", {"to": bob.email, "content": "hi"}) == (403, "message.not_connected")
    assert await bob.get("messages/unread-count") == {"count": 0}
    await connect(alice, bob)
    await alice.send(bob)


async def test_whom_a_closed_person_wrote_to_may_answer(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await bob.put(
        "people/me", {"communityProfile": {"connectionPreferences": {"allowMessagesFromNonConnections": False}}}
    )
    await bob.send(alice, "I begin")
    await alice.send(bob, "I answer")


async def test_an_organisation_may_keep_messages_between_connections(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await world.north.settle(dmPolicy="connections")
    assert await alice.refused("POST", "messages", {"to": bob.email, "content": "hi"}) == (403, "message.not_connected")
    await connect(alice, bob)
    await alice.send(bob)
    south = world.south.person("alice")
    await south.send("bob@mail.test")


async def test_read_receipts_are_withheld_when_either_side_withholds_them(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.put("people/me", {"communityProfile": {"connectionPreferences": {"sendReadReceipts": False}}})
    to_bob, to_alice = await alice.send(bob), await bob.send(alice)
    await bob.post("messages/read", {"ids": [to_bob["id"]]})
    await alice.post("messages/read", {"ids": [to_alice["id"]]})
    for reader, sender, own in ((bob, alice, to_bob), (alice, bob, to_alice)):
        (seen,) = [m for m in (await sender.get(f"messages/thread/{reader.email}"))["data"] if m["id"] == own["id"]]
        assert seen["readAt"] is None
        assert seen["status"] != "read"
        (theirs,) = [m for m in (await reader.get(f"messages/thread/{sender.email}"))["data"] if m["id"] == own["id"]]
        assert theirs["status"] == "read"


async def test_many_senders_at_once_are_numbered_without_gaps(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await asyncio.gather(*(who.send(peer) for who, peer in [(alice, bob), (bob, alice)] * 20))
    history = await alice.get(f"messages/thread/{bob.email}")
    assert sorted(message["seq"] for message in history["data"]) == list(range(1, 41))


async def test_sending_speaks_one_statement(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    await world.server_idle()
    world.server.spoken.clear()
    await alice.send(bob)
    await world.server_idle()
    later = {"messages.delivered", "messages.show", "notifications.record", "notifications.show"}
    assert [name for name in world.server.spoken if name not in later and not name.startswith(QUIET)] == [
        "messages.send"
    ]


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("messages/threads", "messages.threads"),
        ("messages/thread/bob@mail.test", "messages.before"),
        ("messages/thread/bob@mail.test?after=0", "messages.after"),
        ("messages/unread-count", "messages.unread"),
        ("notifications", "notifications.list"),
        ("notifications/unread-count", "notifications.unread"),
        ("blocks", "blocks.list"),
    ],
)
async def test_a_read_speaks_one_statement(world: World, path: str, statement: str) -> None:
    alice, _ = await world.north.people("alice", "bob")
    await alice.get(path)
    await world.server_idle()
    world.server.spoken.clear()
    await alice.get(path)
    assert [name for name in world.server.spoken if not name.startswith(QUIET)] == [statement]


async def connect(one: Person, other: Person) -> None:
    """An accepted connection."""
    asked = await one.post("connections/request", {"targetId": other.email}, status=201)
    await other.put(f"connections/{asked['id']}/respond", {"action": "accept"})
