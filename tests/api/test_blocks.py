"""Blocks (contract, section 1.15): mutual, total, at once; on both prefixes."""

from __future__ import annotations

import asyncio

from tests.world import World


async def test_blocking_again_changes_nothing_and_unblocking_twice_neither(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    first = await alice.post("blocks", {"targetId": bob.email, "reason": "spam"}, status=201)
    again = await alice.post("blocks", {"targetId": bob.id, "reason": "other"})
    assert again == first
    assert first["targetId"] == bob.email
    assert first["targetInfo"]["id"] == bob.id
    assert first["reason"] == "spam"
    listed = await alice.get("blocks")
    assert listed["data"] == [first]
    assert listed["total"] == 1
    assert (await bob.get("blocks"))["data"] == []
    for _ in range(2):
        assert await alice.delete(f"blocks/{bob.email}") == {"success": True}
    assert (await alice.get("blocks"))["total"] == 0


async def test_a_blocked_pair_sends_nothing_either_way_and_nothing_is_stored(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob, "before")
    await alice.post("blocks", {"targetId": bob.email}, status=201)
    for sender, peer in ((alice, bob), (bob, alice)):
        refusal = await sender.refused("POST", "messages", {"to": peer.email, "content": "no"})
        assert refusal == (403, "message.blocked")
    await alice.delete(f"blocks/{bob.email}")
    history = await bob.get(f"messages/thread/{alice.email}")
    assert [(message["content"], message["seq"]) for message in history["data"]] == [("before", 1)]


async def test_what_lay_between_two_people_is_hidden_while_they_are_blocked(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob, "old")
    await world.server_idle()
    await alice.post("blocks", {"targetId": bob.email}, status=201)
    for person, peer in ((alice, bob), (bob, alice)):
        assert await person.get("messages/threads") == []
        assert (await person.get(f"messages/thread/{peer.email}"))["total"] == 0
        assert await person.refused("GET", f"messages/thread/{peer.id}") == (404, "person.not_found")
        assert await person.get("messages/unread-count") == {"count": 0}
        assert (await person.get("notifications"))["total"] == 0
        assert await person.get("notifications/unread-count") == {"count": 0}
    await alice.delete(f"blocks/{bob.email}")
    assert await bob.get("messages/unread-count") == {"count": 1}
    assert (await bob.get("notifications"))["total"] == 1


async def test_a_block_in_one_organisation_means_nothing_in_another(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.post("blocks", {"targetId": bob.email}, status=201)
    await world.south.person("bob").send("alice@mail.test", "hello there")
    assert await world.south.person("alice").get("messages/unread-count") == {"count": 1}


async def test_nobody_blocks_themselves_or_an_id_that_is_nobody(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    for myself in (alice.email, alice.email.upper(), alice.id):
        assert await alice.refused("POST", "blocks", {"targetId": myself}) == (400, "block.self")
    elsewhere = await world.south.person("bob").arrive()
    for nobody in ("1", elsewhere.id):
        assert await alice.refused("POST", "blocks", {"targetId": nobody}) == (404, "person.not_found")


async def test_an_address_nobody_uses_yet_can_be_blocked(world: World) -> None:
    (alice,) = await world.north.people("alice")
    await alice.post("blocks", {"targetId": "pest@mail.test"}, status=201)
    pest = world.north.person("pest")
    refusal = await pest.refused("POST", "messages", {"to": alice.email, "content": "hi"})
    assert refusal == (403, "message.blocked")


async def test_twenty_blocks_at_one_moment_are_one(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    answers = await asyncio.gather(*(alice.ask("POST", "blocks", json={"targetId": bob.email}) for _ in range(20)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert (await alice.get("blocks"))["total"] == 1


async def test_the_list_pages_by_cursor_while_it_changes(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    for number in range(5):
        await alice.post("blocks", {"targetId": f"pest{number}@mail.test"}, status=201)
    page = await alice.get("blocks?limit=2")
    assert [block["targetId"] for block in page["data"]] == ["pest4@mail.test", "pest3@mail.test"]
    await alice.post("blocks", {"targetId": "late@mail.test"}, status=201)
    page = await alice.get(f"blocks?limit=2&cursor={page['nextCursor']}")
    assert [block["targetId"] for block in page["data"]] == ["pest2@mail.test", "pest1@mail.test"]
    page = await alice.get(f"blocks?limit=2&cursor={page['nextCursor']}")
    assert [block["targetId"] for block in page["data"]] == ["pest0@mail.test"]
    assert (page["hasNext"], page["nextCursor"], page["total"]) == (False, None, 6)
    assert (await alice.get("blocks?limit=2&pageNum=9"))["total"] == 6
