"""Badges as members see them: earned by what happened, each once, shown on the profile, and theirs for good."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from plaza.catalogue import RECOUNTS
from plaza.domains.badges.evaluation import NAMES
from plaza.domains.badges.jobs import Awarder
from plaza.kernel.clock import system_clock
from plaza.kernel.counters import check
from plaza.kernel.ids import Ids
from tests.world import Person, World

BOB = "bob@mail.test"
FIRST = "first-connection"
JOBS = ("badges.lacking", "badges.next", "badges.due", "people.due")
"""What the server may speak by itself at any moment."""


async def connect(one: Person, other: Person) -> Any:
    """An accepted connection; its record."""
    request = await one.post("connections/request", {"targetId": other.email}, status=201)
    return await other.put(f"connections/{request['id']}/respond", {"action": "accept"})


async def follow(one: Person, other: Person) -> None:
    await one.post("follow", {"following": other.email}, status=201)


async def badges(person: Person) -> dict[str, Any]:
    """The badges of the organisation by name, once everything has been heard."""
    await person.world.server_idle()
    return {badge["name"]: badge for badge in (await person.get("badges?limit=100"))["data"]}


async def mine(person: Person) -> list[str]:
    """The names of somebody's badges, once everything has been heard."""
    await person.world.server_idle()
    return [item["badge"]["name"] for item in (await person.get("badges/mine"))["data"]]


async def walk(world: World) -> int:
    """The daily job, now; how many badges it gave."""
    return await Awarder(world.store, system_clock, Ids(system_clock, 900), lambda: True).walk()


async def test_an_organisation_begins_with_badges_of_its_own(world: World, prefix: str) -> None:
    north, south = world.north.person("alice"), world.south.person("alice")
    listed, elsewhere = await badges(north), await badges(south)
    assert list(listed) == list(elsewhere) == NAMES
    assert not {badge["id"] for badge in listed.values()} & {badge["id"] for badge in elsewhere.values()}
    first = listed[FIRST]
    assert first | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "name": FIRST,
        "title": "First connection",
        "description": "",
        "icon": "🤝",
        "category": "networking",
        "rarity": "common",
        "criteria": "Connect with one person.",
        "criteriaType": "connections_count",
        "criteriaValue": 1,
        "autoAward": True,
        "earnedBy": 0,
        "status": "active",
        "version": 1,
        "createdAt": "",
        "updatedAt": "",
    }
    assert await north.get(f"badges/{first['id']}") == first
    for unknown in (elsewhere[FIRST]["id"], "1", "first-connection", "x" * 64):
        assert await north.refused("GET", f"badges/{unknown}") == (404, "badge.not_found")
    assert (await north.get("badges/mine"))["data"] == []


async def test_a_first_connection_earns_its_badge_for_both_and_it_stays_when_the_connection_goes(
    world: World, prefix: str
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    twins = await world.south.people("alice", "bob")
    connection = await connect(alice, bob)
    badge = (await badges(alice))[FIRST]
    assert badge["earnedBy"] == 2
    (earned,) = (await bob.get("badges/mine"))["data"]
    assert earned["badge"] == badge
    (notification,) = (await bob.get("notifications?type=badge_earned"))["data"]
    assert notification["summary"] == "You have earned the badge First connection"
    assert (notification["target"], notification["targetType"]) == (badge["id"], "badge")
    assert notification["actor"] == notification["recipient"] == bob.email
    await alice.delete(f"connections/{connection['id']}")
    await connect(bob, alice)
    for person in (alice, bob):
        assert await mine(person) == [FIRST]
        assert (await person.get("notifications?type=badge_earned"))["total"] == 1
    for twin in twins:
        assert await mine(twin) == []
        assert (await twin.get("notifications"))["total"] == 0
    assert (await badges(twins[0]))[FIRST]["earnedBy"] == 0


async def test_ten_followers_earn_a_badge_once_however_they_come_and_go(world: World) -> None:
    alice, *fans = await world.north.people("alice", *(f"fan{number}" for number in range(10)))
    for fan in fans[:9]:
        await follow(fan, alice)
    assert await mine(alice) == []
    for _ in range(2):
        await follow(fans[9], alice)
        assert await mine(alice) == ["followers-10"]
        await fans[9].delete(f"follow/{alice.email}")
    await asyncio.gather(*(fan.delete(f"follow/{alice.email}") for fan in fans))
    await asyncio.gather(*(follow(fan, alice) for fan in fans))
    assert await mine(alice) == ["followers-10"]
    assert (await alice.get("notifications?type=badge_earned"))["total"] == 1
    assert (await badges(alice))["followers-10"]["earnedBy"] == 1
    assert await check(world.store, RECOUNTS, repair=False) == []


async def test_whoever_has_not_come_in_yet_earns_nothing_until_they_do(world: World) -> None:
    fans = await world.north.people(*(f"fan{number}" for number in range(10)))
    late = world.north.person("late")
    for fan in fans:
        await follow(fan, late)
    await world.server_idle()
    await walk(world)
    assert (await badges(fans[0]))["followers-10"]["earnedBy"] == 0
    await late.arrive()
    await walk(world)
    assert await mine(late) == ["followers-10"]
    assert (await late.get("notifications?type=badge_earned"))["total"] == 1


async def test_a_year_here_is_an_anniversary_that_the_daily_job_finds_once(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    await world.server_idle()
    for person, years in ((alice, 1), (bob, 3)):
        since = system_clock() - timedelta(days=365.25 * years + 1)
        await world.rows("update person set claimed_at = $2 where id = $1", int(person.id), since.isoformat())
    await walk(world)
    assert await mine(alice) == ["anniversary-1"]
    assert await mine(bob) == ["anniversary-2", "anniversary-1"]
    assert await mine(carol) == []
    assert sum(await asyncio.gather(walk(world), walk(world))) == 0
    assert (await bob.get("notifications?type=badge_earned"))["total"] == 2


async def test_the_daily_job_gives_what_a_fact_missed_and_makes_the_first_badges_of_an_organisation_from_before(
    world: World,
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await connect(alice, bob)
    await world.server_idle()
    await walk(world)
    await world.rows("delete from badge where org = $1", world.north.org.id)
    assert await badges(alice) == {}
    assert sum(await asyncio.gather(*(walk(world) for _ in range(4)))) == 2
    assert list(await badges(alice)) == NAMES
    for person in (alice, bob):
        assert await mine(person) == [FIRST]
        assert (await person.get("notifications?type=badge_earned"))["total"] == 2
    assert (await badges(alice))[FIRST]["earnedBy"] == 2


async def test_a_suspended_person_earns_nothing_more_and_keeps_what_they_have(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await world.server_idle()
    await connect(alice, bob)
    await world.server_idle()
    await world.rows(
        "update person set status = 'suspended', claimed_at = claimed_at - interval '2 years' where id = $1",
        int(bob.id),
    )
    await walk(world)
    await world.rows("update person set status = 'active' where id = $1", int(bob.id))
    assert await mine(bob) == [FIRST]
    await walk(world)
    assert await mine(bob) == ["anniversary-2", "anniversary-1", FIRST]


async def test_a_profile_shows_the_badges_to_whoever_may_see_it(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    assert (await alice.get("people/me"))["badges"] == []
    await connect(alice, bob)
    (badge,) = [badge for badge in (await badges(alice)).values() if badge["name"] == FIRST]
    (earned,) = (await bob.get("badges/mine"))["data"]
    shown = {name: badge[name] for name in ("id", "name", "title", "description", "icon", "category", "rarity")}
    own = await bob.get("people/me")
    assert own["badges"] == [shown | {"awardedAt": earned["awardedAt"]}]
    assert (await carol.get(f"people/{BOB}"))["badges"] == own["badges"]
    assert (await bob.get("/client-data/profile"))["badges"] == own["badges"]
    assert (await bob.put("people/me", {"company": "Baker"}))["badges"] == own["badges"]
    anonymous = await world.http.get(f"/{prefix}/people/{bob.id}", headers={"orgid": world.north.slug})
    assert anonymous.json()["badges"] == own["badges"]
    assert (await world.south.person("carol").refused("GET", f"people/{bob.id}"))[0] == 404
    await bob.post("blocks", {"targetId": carol.email}, status=201)
    assert await carol.refused("GET", f"people/{BOB}") == (404, "person.not_found")
    assert await mine(bob) == [FIRST]


async def test_the_list_pages_by_number_and_by_cursor(world: World, prefix: str) -> None:
    alice = world.north.person("alice")
    names = list(await badges(alice))
    page = await alice.get("badges?limit=4")
    numbered = await alice.get("badges?limit=4&pageNum=2")
    found = [badge["name"] for badge in page["data"]]
    while page["nextCursor"]:
        page = await alice.get(f"badges?limit=4&cursor={page['nextCursor']}")
        if len(found) == 4:
            assert page["data"] == numbered["data"]
        found += [badge["name"] for badge in page["data"]]
    assert found == names
    assert (page["total"], page["hasNext"]) == (len(names), False)


async def test_own_badges_page_from_the_newest(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    await world.server_idle()
    await world.rows("update person set claimed_at = claimed_at - interval '11 years' where id = $1", int(alice.id))
    await walk(world)
    first = await alice.get("badges/mine?limit=3")
    rest = await alice.get(f"badges/mine?limit=3&cursor={first['nextCursor']}")
    years = [item["badge"]["criteriaValue"] for item in first["data"] + rest["data"]]
    assert years == [10, 5, 2, 1]
    assert (first["total"], first["hasNext"], rest["hasNext"], rest["nextCursor"]) == (4, True, False, None)


async def test_bad_input(world: World, prefix: str) -> None:
    alice = world.north.person("alice")
    for path in (
        "badges?limit=0",
        "badges?cursor=x",
        "badges?status=deleted",
        "badges?name=first-post",
        "badges/mine?status=active",
        "badges/mine?cursor=!",
    ):
        assert await alice.refused("GET", path) == (400, "request.invalid")
    assert await alice.refused("GET", "badges?status=retired") == (403, "auth.staff_only")
    for path in ("badges", "badges/mine", "badges/1"):
        answer = await world.http.get(f"/{prefix}/{path}", headers={"orgid": world.north.slug})
        assert (answer.status_code, answer.json()["reason"]) == (401, "auth.missing")


@pytest.mark.parametrize(
    ("path", "spoken"),
    [
        ("badges", "badges.list"),
        ("badges/mine", "badges.mine"),
        ("badges/1", "badges.find"),
        ("people/me", "people.profile"),
        (f"people/{BOB}", "directory.profile"),
    ],
)
async def test_each_route_is_one_statement(world: World, path: str, spoken: str) -> None:
    alice, _ = await world.north.people("alice", "bob")
    await world.server_idle()
    before = len(world.server.spoken)
    await alice.ask("GET", path)
    ours = [name for name in world.server.spoken[before:] if name.startswith(("badges.", "people.", "directory."))]
    assert [name for name in ours if name not in JOBS] == [spoken]
