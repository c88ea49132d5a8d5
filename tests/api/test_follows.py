"""Follows (contract, section 1.8; seed 1), on both prefixes, in two organisations with the same addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plaza.kernel.sql import STATEMENTS
from tests.world import Person, World

BOB = "bob@mail.test"


async def follow(person: Person, whom: str, status: int = 201, **more: Any) -> Any:
    """The seed's own sample."""
    return await person.post("follow", {"following": whom, "followingType": "person", **more}, status=status)


async def counted(person: Person) -> tuple[int, int]:
    """How many follow a person, and how many the person follows, as the counters say."""
    rows = await person.world.rows(
        "select followers, following from tie_count where org = $1 and person = $2",
        person.tenant.org.id,
        int(person.id),
    )
    return (rows[0][0], rows[0][1]) if rows else (0, 0)


async def test_the_samples_of_the_documentation(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await world.south.people("alice", "bob")
    record = await follow(alice, BOB)
    assert {key: value for key, value in record.items() if key not in ("id", "createdAt")} == {
        "follower": alice.email,
        "following": BOB,
        "followingType": "person",
        "muted": False,
        "notifyOnPost": True,
    }
    assert record["createdAt"].endswith("Z")
    listed = await bob.get("followers?limit=20&page=1")
    (follower,) = listed["data"]
    assert follower == {
        "id": record["id"],
        "follower": alice.email,
        "followerInfo": follower["followerInfo"],
        "createdAt": record["createdAt"],
    }
    assert follower["followerInfo"]["id"] == alice.id
    assert (listed["total"], listed["pageNum"], listed["limit"], listed["hasNext"]) == (1, 1, 20, False)
    (following,) = (await alice.get("following?followingType=person"))["data"]
    assert (following["following"], following["followingType"]) == (BOB, "person")
    assert following["followingInfo"]["id"] == bob.id
    assert (await alice.get("following?followingType=page")) | {"data": []} == {
        "data": [],
        "total": 0,
        "hasNext": False,
        "limit": 20,
        "pageNum": 1,
        "nextCursor": None,
        "totalExact": True,
    }
    assert (await alice.get("followers"))["data"] == []
    for twin in await world.south.people("alice", "bob"):
        assert (await twin.get("followers"))["total"] == (await twin.get("following"))["total"] == 0


async def test_following_again_and_unfollowing_twice_change_nothing(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    first = await follow(alice, bob.email)
    for again in (bob.email, bob.email.upper(), bob.id):
        assert await follow(alice, again, status=200) == first
    assert await counted(bob) == (1, 0)
    assert await counted(alice) == (0, 1)
    for name in (BOB, bob.id, "", "bob%40mail.test"):
        for _ in range(2):
            assert await alice.delete(f"follow/{name or first['id']}") == {"success": True}
        assert await counted(bob) == (0, 0)
        assert await counted(alice) == (0, 0)
        first = await follow(alice, bob.email)
    await alice.delete(f"follow/{BOB}?followingType=page")
    assert (await bob.get("followers"))["total"] == 1
    await alice.delete(f"follow/{BOB}?followingType=person")
    assert (await bob.get("followers"))["total"] == 0


async def test_an_id_of_somebody_elses_follow_removes_nothing(world: World, prefix: str) -> None:
    alice, _, carol = await world.north.people("alice", "bob", "carol")
    record = await follow(alice, BOB)
    await carol.delete(f"follow/{record['id']}")
    await world.south.person("alice").delete(f"follow/{BOB}")
    assert (await alice.get("following"))["total"] == 1


async def test_bad_input(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    elsewhere = await world.south.person("bob").arrive()
    for myself in (alice.email, alice.email.upper(), alice.id):
        assert await alice.refused("POST", "follow", {"following": myself}) == (400, "follow.self")
    for nobody in ("1", elsewhere.id):
        assert await alice.refused("POST", "follow", {"following": nobody}) == (404, "person.not_found")
    for page in ("1", "page-id-here", alice.id):
        wish = {"following": page, "followingType": "page"}
        assert await alice.refused("POST", "follow", wish) == (404, "page.not_found")
    for body in (
        {},
        {"following": ""},
        {"following": "nobody at all"},
        {"following": BOB, "followingType": "hashtag"},
        {"following": BOB, "follower": "carol@mail.test"},
        {"following": BOB, "muted": "yes"},
    ):
        assert await alice.refused("POST", "follow", body) == (400, "request.invalid")
    assert await alice.refused("DELETE", "follow/nobody") == (400, "request.invalid")
    assert await alice.refused("GET", "following?followingType=hashtag") == (400, "request.invalid")
    assert await alice.refused("GET", "followers?cursor=x") == (400, "request.invalid")
    assert await alice.refused("PUT", f"follow/{BOB}", {"muted": True}) == (404, "follow.not_found")
    assert (await alice.get("following"))["total"] == 0


async def test_an_address_nobody_uses_yet_can_be_followed_and_finds_its_follower(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    record = await follow(alice, "Late@mail.test")
    assert record["following"] == "late@mail.test"
    late = await world.north.person("late").arrive()
    assert [item["follower"] for item in (await late.get("followers"))["data"]] == [alice.email]
    assert (await world.south.person("late").get("followers"))["total"] == 0


async def test_a_follow_can_be_muted_and_its_follower_alone_knows(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    record = await follow(alice, BOB)
    muted = await alice.put(f"follow/{BOB}", {"muted": True})
    assert muted == record | {"muted": True}
    quiet = await alice.put(f"follow/{record['id']}", {"notifyOnPost": False})
    assert quiet == record | {"muted": True, "notifyOnPost": False}
    assert await alice.put(f"follow/{bob.id}", {}) == quiet
    (listed,) = (await alice.get("following"))["data"]
    assert (listed["muted"], listed["notifyOnPost"]) == (True, False)
    assert "muted" not in (await bob.get("followers"))["data"][0]
    assert await follow(alice, BOB, status=200) == quiet
    assert await bob.refused("PUT", f"follow/{record['id']}", {"muted": False}) == (404, "follow.not_found")


async def test_a_follow_is_made_as_it_is_wished_and_following_again_changes_what_is_said(
    world: World, prefix: str
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    wish = {"muted": True, "notifyOnPost": False}
    record = await follow(alice, BOB, **wish)
    assert wish.items() <= record.items()
    assert await follow(alice, BOB, status=200) == record
    louder = await follow(alice, BOB, status=200, muted=False)
    assert louder == record | {"muted": False}
    assert await follow(alice, BOB, status=200, **wish) == record
    assert (await counted(alice), await counted(bob)) == ((0, 1), (1, 0))
    await world.server_idle()
    assert (await bob.get("notifications"))["total"] == 1
    assert await alice.refused("POST", "follow", {"following": BOB, "muted": "yes"}) == (400, "request.invalid")


async def test_who_is_muted_is_still_heard_when_they_speak_to_their_follower(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await follow(alice, BOB, muted=True)
    await follow(bob, alice.email)
    await bob.post("connections/request", {"targetId": alice.email}, status=201)
    await bob.send(alice)
    await world.server_idle()
    told = (await alice.get("notifications"))["data"]
    assert {item["type"] for item in told} == {"follow", "connection_request", "message"}


async def test_a_block_hides_an_edge_from_both_and_lifting_it_brings_the_edge_back(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    for one, other in ((alice, bob), (bob, alice), (carol, bob), (bob, carol)):
        await follow(one, other.email)
    await alice.post("blocks", {"targetId": BOB}, status=201)
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    for one, other in ((alice, bob), (bob, alice)):
        assert await one.refused("POST", "follow", {"following": other.email}) == (403, "follow.blocked")
        assert await one.refused("PUT", f"follow/{other.email}", {"muted": True}) == (404, "follow.not_found")
    for path in ("followers", "following"):
        listed = await alice.get(path)
        assert (listed["data"], listed["total"]) == ([], 0)
        listed = await bob.get(path)
        assert (len(listed["data"]), listed["total"]) == (1, 1)
    await alice.delete(f"blocks/{BOB}")
    await bob.delete(f"blocks/{alice.email}")
    for path in ("followers", "following"):
        assert (await alice.get(path))["total"] == 1
        assert (await bob.get(path))["total"] == 2


async def test_a_new_follower_is_notified_once_and_the_notification_goes_with_the_follow(
    world: World, prefix: str
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.put("people/me", {"firstName": "Alice", "lastName": "Arden"})
    record = await follow(alice, BOB)
    await follow(alice, BOB, status=200)
    await world.server_idle()
    (notification,) = (await bob.get("notifications?type=follow"))["data"]
    assert notification["actor"] == alice.email
    assert (notification["target"], notification["targetType"]) == (record["id"], "follow")
    assert notification["summary"] == "Alice Arden follows you"
    assert (await alice.get("notifications"))["total"] == 0
    assert (await world.south.person("bob").get("notifications"))["total"] == 0
    await alice.delete(f"follow/{BOB}")
    await world.server_idle()
    assert (await bob.get("notifications"))["total"] == 0
    await follow(alice, BOB)
    await world.server_idle()
    assert await bob.get("notifications/unread-count") == {"count": 1}


@pytest.mark.parametrize(("path", "field"), [("followers", "follower"), ("following", "following")])
async def test_a_list_pages_by_number_and_by_cursor_while_others_write(world: World, path: str, field: str) -> None:
    alice, *fans = await world.north.people("alice", *(f"fan{number}" for number in range(6)))

    async def tie(fan: Person) -> None:
        await (follow(fan, alice.email) if path == "followers" else follow(alice, fan.email))

    for fan in fans[:5]:
        await tie(fan)
    numbered = await alice.get(f"{path}?limit=2&page=2")
    page = await alice.get(f"{path}?limit=2")
    assert [item[field] for item in page["data"]] == [fans[4].email, fans[3].email]
    await tie(fans[5])
    page = await alice.get(f"{path}?limit=2&cursor={page['nextCursor']}")
    assert [item[field] for item in page["data"]] == [fans[2].email, fans[1].email]
    assert page["data"] == numbered["data"]
    page = await alice.get(f"{path}?limit=2&cursor={page['nextCursor']}")
    assert [item[field] for item in page["data"]] == [fans[0].email]
    assert (page["hasNext"], page["nextCursor"], page["total"]) == (False, None, 6)
    assert (await alice.get(f"{path}?limit=1000000"))["limit"] == 100
    assert (await alice.get(f"{path}?page=9&limit=2"))["total"] == 6


async def test_twenty_wishes_at_one_moment_are_one_follow(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    answers = await asyncio.gather(*(alice.ask("POST", "follow", json={"following": BOB}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    await asyncio.gather(*(alice.delete(f"follow/{BOB}") for _ in range(20)))
    assert await counted(bob) == (0, 0)
    assert await counted(alice) == (0, 0)


async def test_people_who_follow_each_other_at_one_moment_do_not_wait_for_each_other(world: World) -> None:
    people = await world.north.people("alice", "bob", "carol", "dan")
    pairs = [(one, other) for one in people for other in people if one is not other]
    for number in range(10):
        key = {"headers": {"idempotency-key": f"k{number}"}}
        await asyncio.gather(
            *(one.post("follow", {"following": other.email}, status=201, **key) for one, other in pairs[:1]),
            *(one.post("follow", {"following": other.email}, status=201) for one, other in pairs[1:]),
        )
        await asyncio.gather(*(one.delete(f"follow/{other.email}") for one, other in pairs))
    assert [await counted(person) for person in people] == [(0, 0)] * 4


async def test_a_key_answers_a_retry_as_the_first_time(world: World, prefix: str) -> None:
    alice, _ = await world.north.people("alice", "bob")
    key = {"headers": {"idempotency-key": "k"}}
    first = await alice.post("follow", {"following": BOB}, status=201, **key)
    assert await alice.post("follow", {"following": BOB}, status=201, **key) == first
    other = {"headers": {"idempotency-key": "another"}}
    for _ in range(2):
        assert await alice.post("follow", {"following": BOB}, status=200, **other) == first


@pytest.mark.parametrize(
    ("method", "path", "json", "spoken"),
    [
        ("POST", "follow", {"following": BOB}, "follows.add"),
        ("PUT", f"follow/{BOB}", {"muted": True}, "follows.change"),
        ("GET", "followers", None, "follows.followers"),
        ("GET", "following", None, "follows.following"),
        ("DELETE", f"follow/{BOB}", None, "follows.remove"),
    ],
)
async def test_each_route_is_one_statement(world: World, method: str, path: str, json: Any, spoken: str) -> None:
    alice, _ = await world.north.people("alice", "bob")
    if method == "PUT":
        await follow(alice, BOB)
    await world.server_idle()
    before = len(world.server.spoken)
    answer = await alice.ask(method, path, json=json)
    assert answer.status_code < 300
    ours = [name for name in world.server.spoken[before:] if STATEMENTS[name].tenant]
    assert [name for name in ours if name != "people.due"] == [spoken]
