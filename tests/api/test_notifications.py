"""Notifications (contract, section 1.13), here those that direct messages make."""

from __future__ import annotations

from tests.world import World


async def test_a_message_makes_one_notification_that_does_not_quote_it(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.put("people/me", {"firstName": "Alice", "lastName": "Arden"})
    message = await alice.send(bob, "a private word")
    await world.server_idle()
    listed = await bob.get("notifications")
    (notification,) = listed["data"]
    assert listed["total"] == 1
    assert notification["type"] == "message"
    assert notification["recipient"] == bob.email
    assert notification["actor"] == alice.email
    assert notification["actorInfo"]["firstName"] == "Alice"
    assert notification["target"] == message["id"]
    assert notification["targetType"] == "message"
    assert notification["summary"] == "Alice Arden sent you a message"
    assert notification["read"] is False
    assert "private" not in str(notification)
    assert (await alice.get("notifications"))["total"] == 0
    assert (await world.south.person("bob").get("notifications"))["total"] == 0


async def test_notifications_are_read_by_ids_and_all_at_once(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for _ in range(3):
        await alice.send(bob)
    await world.server_idle()
    assert await bob.get("notifications/unread-count") == {"count": 3}
    first = (await bob.get("notifications"))["data"][0]["id"]
    assert await alice.post("notifications/read", {"ids": [first]}) == {"read": 0}
    assert await bob.post("notifications/read", {"ids": [first, "n-1"]}) == {"read": 1}
    assert await bob.post("notifications/read", {"ids": [first]}) == {"read": 0}
    assert (await bob.get("notifications?unread=true"))["total"] == 2
    assert (await bob.get("notifications?unread=false"))["total"] == 1
    assert (await bob.get("notifications?type=message"))["total"] == 3
    assert (await bob.get("notifications?type=follow"))["total"] == 0
    assert await bob.post("notifications/read-all") == {"read": 2}
    assert await bob.post("notifications/read-all") == {"read": 0}
    assert await bob.get("notifications/unread-count") == {"count": 0}


async def test_reading_a_message_reads_its_notification(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    first = await alice.send(bob)
    await alice.send(bob)
    await world.server_idle()
    await bob.post("messages/read", {"ids": [first["id"]]})
    await world.server_idle()
    assert await bob.get("notifications/unread-count") == {"count": 1}
    await bob.post(f"messages/thread/{alice.email}/read")
    await world.server_idle()
    assert await bob.get("notifications/unread-count") == {"count": 0}


async def test_a_message_that_is_gone_takes_its_notification_along(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for scope, who in (("everyone", alice), ("me", bob)):
        message = await alice.send(bob)
        await world.server_idle()
        assert (await bob.get("notifications"))["total"] == 1
        await who.delete(f"messages/{message['id']}?scope={scope}")
        await world.server_idle()
        assert (await bob.get("notifications"))["total"] == 0


async def test_the_list_pages_by_limit_number_and_cursor(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    sent = [(await alice.send(bob))["id"] for _ in range(5)]
    await world.server_idle()
    page = await bob.get("notifications?limit=2")
    assert [item["target"] for item in page["data"]] == [sent[4], sent[3]]
    second = await bob.get(f"notifications?limit=2&cursor={page['nextCursor']}")
    assert [item["target"] for item in second["data"]] == [sent[2], sent[1]]
    assert (await bob.get("notifications?limit=2&pageNum=2"))["data"] == second["data"]
    assert (await bob.get("notifications?limit=1000000"))["limit"] == 100
