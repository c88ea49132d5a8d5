"""What direct messages say on sockets, through Python's official client."""

from __future__ import annotations

import asyncio

from tests.world import World


async def test_a_message_over_rest_and_one_over_a_socket_are_heard_alike(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    phone, laptop, other = await bob.socket(), await bob.socket(), await alice.socket()
    by_rest = await alice.send(bob, "one")
    answer = await other.ask("sendMessage", {"to": bob.email, "content": "two"})
    for socket in (phone, laptop):
        await socket.hears("newMessage", 2)
        heard = socket.all("newMessage")
        for message, stored in zip(heard, (by_rest, answer["message"]), strict=True):
            assert message.pop("cursor")
            assert message == stored | {key: message[key] for key in ("status", "deliveredAt", "clientId")}
            assert message["status"] == "delivered"


async def test_the_senders_other_sockets_hear_what_was_sent_and_the_sending_one_does_not(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    phone, laptop = await alice.socket(), await alice.socket()
    answer = await phone.ask("sendMessage", {"to": bob.email, "content": "hi", "clientId": "c-1"})
    heard = await laptop.hears("messageSent")
    assert (heard["id"], heard["clientId"]) == (answer["message"]["id"], "c-1")
    await phone.settles()
    assert phone.all("messageSent") == []
    assert phone.all("newMessage") == []


async def test_nobody_else_hears_a_message(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    (elsewhere,) = await world.south.people("bob")
    carols, souths = await carol.socket(), await elsewhere.socket()
    await alice.send(bob, "between us")
    await carols.settles()
    await souths.settles()
    for socket in (carols, souths):
        assert [event for event, _ in socket.heard if event in ("newMessage", "notification", "messageSent")] == []


async def test_reading_tells_the_sender_once_for_each_message(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    sent = [await alice.send(bob) for _ in range(3)]
    alices, bobs = await alice.socket(), await bob.socket()
    assert await bobs.ask("markRead", {"messageId": sent[0]["id"]}) == {"success": True, "read": 1}
    assert await bobs.ask("markRead", {"messageIds": [sent[0]["id"], sent[1]["id"]]}) == {"success": True, "read": 1}
    assert await bobs.ask("markRead", {"peer": alice.email}) == {"success": True, "read": 1}
    await alices.hears("messageRead", 3)
    await alices.settles()
    assert [(event["messageId"], event["by"]) for event in alices.all("messageRead")] == [
        (message["id"], bob.email) for message in sent
    ]


async def test_read_receipts_that_either_side_withholds_are_not_sent(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await bob.put("people/me", {"communityProfile": {"connectionPreferences": {"sendReadReceipts": False}}})
    to_bob, to_alice = await alice.send(bob), await bob.send(alice)
    alices, bobs = await alice.socket(), await bob.socket()
    await bob.post("messages/read", {"ids": [to_bob["id"]]})
    await alice.post("messages/read", {"ids": [to_alice["id"]]})
    await alices.settles()
    await bobs.settles()
    assert alices.all("messageRead") == bobs.all("messageRead") == []


async def test_a_deleted_message_is_taken_back_on_every_socket_by_its_id_alone(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    message = await alice.send(bob, "oh no")
    alices, bobs = await alice.socket(), await bob.socket()
    await alice.delete(f"messages/{message['id']}?scope=everyone")
    for socket in (alices, bobs):
        gone = await socket.hears("messageDeleted")
        assert (gone["messageId"], gone["by"], gone["scope"]) == (message["id"], alice.email, "everyone")
        assert "oh no" not in str(gone)


async def test_hiding_a_message_is_heard_by_oneself_only(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    message = await alice.send(bob)
    alices, bobs = await alice.socket(), await bob.socket()
    await bob.delete(f"messages/{message['id']}")
    assert (await bobs.hears("messageDeleted"))["scope"] == "me"
    await alices.settles()
    assert alices.all("messageDeleted") == []


async def test_a_notification_follows_a_message(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    message = await alice.send(bob, "psst")
    heard = await socket.hears("notification")
    assert (heard["type"], heard["target"], heard["actor"]) == ("message", message["id"], alice.email)
    heard.pop("cursor")
    assert heard == (await bob.get("notifications"))["data"][0]


async def test_a_block_ends_messages_typing_and_presence_between_two_at_once(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    alices, bobs = await alice.socket(), await bob.socket()
    await alice.post("blocks", {"targetId": bob.email}, status=201)
    assert await alices.hears("userOffline") == {"email": bob.email}
    assert await bobs.hears("userOffline") == {"email": alice.email}
    for socket, peer in ((alices, bob), (bobs, alice)):
        answer = await socket.ask("sendMessage", {"to": peer.email, "content": "no"})
        assert (answer["success"], answer["code"]) == (False, "message.blocked")
        await socket.ask("typing", {"to": peer.email})
        assert peer.email not in [user["email"] for user in await socket.ask("getOnlineUsers")]
    seen = len(alices.all("userOnline"))
    await bobs.close()
    again = await bob.socket()
    await alices.settles()
    await again.settles()
    assert alices.all("typing") == again.all("typing") == []
    assert len(alices.all("userOnline")) == seen
    assert [event for event, _ in again.heard if event == "userOnline"] == []
    assert (await alice.get(f"messages/thread/{bob.email}"))["total"] == 0


async def test_typing_is_relayed_at_most_once_a_second_to_each_person(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    alices, bobs, carols = await alice.socket(), await bob.socket(), await carol.socket()
    for _ in range(5):
        assert await alices.ask("typing", {"to": bob.email}) == {"success": True}
    await alices.ask("typing", {"to": carol.email})
    await bobs.settles()
    await carols.settles()
    assert bobs.all("typing") == carols.all("typing") == [{"from": alice.email}]
    assert await alices.ask("typing", {"to": "nobody@mail.test"}) == {"success": True}
    assert (
        await world.rows("select 1 from person where email = 'nobody@mail.test' and org = $1", world.north.org.id) == []
    )


async def test_one_sockets_events_are_handled_in_order(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await alice.socket()
    for number in range(100):
        await socket.tell("sendMessage", {"to": bob.email, "content": str(number)})
    await socket.ask("getOnlineUsers")
    history = await bob.get(f"messages/thread/{alice.email}")
    assert [message["content"] for message in reversed(history["data"])] == [str(number) for number in range(100)]


async def test_live_events_come_in_the_order_of_the_thread(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    await asyncio.gather(*(alice.send(bob, str(number)) for number in range(60)))
    await socket.hears("newMessage", 60)
    assert [message["seq"] for message in socket.all("newMessage")] == list(range(1, 61))
