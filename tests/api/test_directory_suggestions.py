"""Whom you may know: near by ties or interests, never tied, blocked or gone (contract, section 1.14)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_directory import leave_directory, suspend, tie
from tests.api.test_directory_search import make_people
from tests.world import Person, World


async def suggested(person: Person, path: str = "people/suggestions") -> list[tuple[str, str, int]]:
    """(name, reason, count) of each suggestion."""
    page: Any = await person.get(path)
    assert (page["total"], page["hasNext"]) == (len(page["data"]), False)
    return [(row["email"].partition("@")[0], row["reason"], row["mutualCount"]) for row in page["data"]]


async def interested(person: Person, *interests: str) -> None:
    await person.put("people/me", {"communityProfile": {"interests": list(interests)}})


async def test_friends_of_friends_come_first_by_how_many_friends_they_share(world: World, prefix: str) -> None:
    alice, bob, carol, dora, emil = await world.north.people("alice", "bob", "carol", "dora", "emil")
    await tie(alice, bob)
    await tie(carol, alice)
    await tie(bob, dora)
    await tie(dora, carol)
    await tie(carol, emil)
    assert await suggested(alice) == [("dora", "mutual_connections", 2), ("emil", "mutual_connections", 1)]
    assert await suggested(alice, "people/suggestions?limit=1") == [("dora", "mutual_connections", 2)]
    shown = (await alice.get("people/suggestions"))["data"][0]
    assert (shown["id"], shown["communityProfile"]["isPublic"]) == (dora.id, True)


async def test_then_those_whom_one_follows_follow_then_interests_then_newcomers(world: World, prefix: str) -> None:
    alice, bob, carol, dora, emil, _fred = await world.north.people("alice", "bob", "carol", "dora", "emil", "fred")
    await alice.post("follow", {"following": bob.email}, status=201)
    await bob.post("follow", {"following": carol.email}, status=201)
    await interested(alice, "Tea", "Chess", "Jazz")
    await interested(dora, "tea", "CHESS", "trains")
    await interested(emil, "jazz")
    assert await suggested(alice) == [
        ("carol", "followed_by", 1),
        ("dora", "shared_interests", 2),
        ("emil", "shared_interests", 1),
        ("fred", "new", 0),
    ]


@pytest.mark.parametrize("blocker", ["alice", "bob"])
async def test_nothing_is_met_through_somebody_who_is_blocked(world: World, prefix: str, blocker: str) -> None:
    alice, bob, carol, dora = await world.north.people("alice", "bob", "carol", "dora")
    for friend in (bob, carol):
        await tie(alice, friend)
        await tie(friend, dora)
    assert await suggested(alice) == [("dora", "mutual_connections", 2)]
    one, other = (alice, bob) if blocker == "alice" else (bob, alice)
    await one.post("blocks", {"targetId": other.email}, status=201)
    assert await suggested(alice) == [("dora", "mutual_connections", 1)]
    assert (await alice.get(f"people/{dora.id}"))["relationship"]["mutualCount"] == 1
    assert (await alice.get(f"connections/mutual/{dora.id}"))["total"] == 1


@pytest.mark.parametrize("blocker", ["alice", "bob"])
async def test_nothing_is_met_through_somebody_followed_who_is_blocked(world: World, prefix: str, blocker: str) -> None:
    alice, bob, dora = await world.north.people("alice", "bob", "dora")
    await alice.post("follow", {"following": bob.email}, status=201)
    await bob.post("follow", {"following": dora.email}, status=201)
    assert await suggested(alice) == [("dora", "followed_by", 1)]
    one, other = (alice, bob) if blocker == "alice" else (bob, alice)
    await one.post("blocks", {"targetId": other.email}, status=201)
    assert await suggested(alice) == [("dora", "new", 0)]


async def test_whoever_was_asked_in_vain_hides_nobody_behind_them(world: World, prefix: str) -> None:
    asking, friend, *asked = await world.north.people("alice", "bob", *(f"p{n:02}" for n in range(22)))
    await tie(asking, friend)
    far = asked.pop()
    await tie(friend, far)
    for person in asked:
        await tie(friend, person)
        await asking.post("connections/request", {"targetId": person.email}, status=201)
    assert await suggested(asking) == [(far.email.partition("@")[0], "mutual_connections", 1)]


async def test_nobody_is_suggested_who_is_tied_hidden_or_gone(world: World, prefix: str) -> None:
    names = ("blocker", "blocked", "followed", "follower", "asked", "asking", "refused", "connected", "left", "gone")
    alice, hub, *others = await world.north.people("alice", "hub", *names)
    people = dict(zip(names, others, strict=True))
    for person in others:
        await tie(hub, person)
    await tie(alice, hub)
    assert {name for name, _, _ in await suggested(alice)} == set(names)
    await people["blocker"].post("blocks", {"targetId": alice.email}, status=201)
    await alice.post("blocks", {"targetId": people["blocked"].email}, status=201)
    await alice.post("follow", {"following": people["followed"].email}, status=201)
    await people["follower"].post("follow", {"following": alice.email}, status=201)
    await alice.post("connections/request", {"targetId": people["asked"].email}, status=201)
    await people["asking"].post("connections/request", {"targetId": alice.email}, status=201)
    asked = await alice.post("connections/request", {"targetId": people["refused"].email}, status=201)
    await people["refused"].put(f"connections/{asked['id']}/respond", {"action": "reject"})
    await tie(alice, people["connected"])
    await leave_directory(people["left"])
    await suspend(world.north, people["gone"])
    await hub.send("unclaimed@mail.test")
    assert await suggested(alice) == []


async def test_the_suggestions_of_one_organisation_know_nothing_of_another(world: World, prefix: str) -> None:
    alice, bob, carol = await world.south.people("alice", "bob", "carol")
    await tie(alice, bob)
    await tie(bob, carol)
    (north_alice,) = await world.north.people("alice")
    assert await suggested(north_alice) == []
    assert await suggested(alice) == [("carol", "mutual_connections", 1)]


async def test_a_hub_of_many_ties_is_looked_at_in_part_and_answers(world: World) -> None:
    (alice,) = await world.north.people("alice")
    org = world.north.org.id
    await make_people(world, org, 3_000, "spoke", first=30_000_000)
    await world.rows(
        """insert into connection (org, low, high, id, position, requester, status, requested_at)
        select $1::integer, 30000000 + n, $2::bigint, 30000000 + n, n, 30000000 + n, 'accepted', now()
        from generate_series(0, 999) n
        union all
        select $1::integer, 30000000 + n % 1000, 30000000 + n, 31000000 + n, n, 30000000 + n, 'accepted', now()
        from generate_series(1000, 2999) n""",
        org,
        int(alice.id),
    )
    found = await suggested(alice, "people/suggestions?limit=100")
    assert {reason for _, reason, _ in found} >= {"mutual_connections"}
    assert len(found) == 100
    assert len({name for name, _, _ in found}) == 100
