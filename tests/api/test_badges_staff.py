"""Badges as staff make, give and take them back, below their own prefix alone."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from plaza.catalogue import RECOUNTS
from plaza.kernel.counters import check
from tests.api.test_badges import JOBS, connect, mine, walk
from tests.world import Person, Tenant, World

BOB = "bob@mail.test"
NEW = {"name": "host", "title": "Host"}
WRITES = [
    ("POST", "badges", NEW),
    ("PUT", "badges/{id}", {"title": "Other"}),
    ("DELETE", "badges/{id}", None),
    ("POST", "badges/{id}/award", {"email": BOB}),
    ("DELETE", f"badges/{{id}}/award/{BOB}", None),
]


@pytest.fixture
def prefix() -> str:
    """Staff's own."""
    return "community"


async def staff(tenant: Tenant, name: str = "sam", role: str = "staff") -> Person:
    """Somebody who works for the organisation, which has the badges that it begins with."""
    await tenant.world.server_idle()
    return await tenant.person(name, role=role).arrive()


async def make(sam: Person, **fields: Any) -> Any:
    """A new badge."""
    return await sam.post("badges", NEW | fields, status=201)


async def give(sam: Person, badge: Any, to: str = BOB, status: int = 201) -> Any:
    return await sam.post(f"badges/{badge['id']}/award", {"email": to}, status=status)


async def take_back(sam: Person, badge: Any, of: str = BOB) -> None:
    assert await sam.delete(f"badges/{badge['id']}/award/{of}") == {"success": True}


@pytest.mark.parametrize("role", ["staff", "admin"])
async def test_staff_make_a_badge_that_members_see(world: World, prefix: str, role: str) -> None:
    sam = await staff(world.north, role=role)
    badge = await make(sam)
    assert badge | {"id": "", "createdAt": "", "updatedAt": ""} == NEW | {
        "id": "",
        "description": "",
        "icon": None,
        "category": "special",
        "rarity": "common",
        "criteria": "",
        "criteriaType": None,
        "criteriaValue": None,
        "autoAward": False,
        "earnedBy": 0,
        "status": "active",
        "version": 1,
        "createdAt": "",
        "updatedAt": "",
    }
    alice = world.north.person("alice")
    for path in (f"badges/{badge['id']}", f"/client/community/badges/{badge['id']}"):
        assert await alice.get(path) == badge
    assert (await alice.get("badges"))["data"][0] == badge
    assert await world.south.person("alice").refused("GET", f"badges/{badge['id']}") == (404, "badge.not_found")
    assert (await make(await staff(world.south)))["id"] != badge["id"]


async def test_customers_may_not_and_below_the_prefix_of_customers_there_is_nothing(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    alice, bob = await world.north.people("alice", "bob")
    badge = await make(sam)
    for method, path, body in WRITES:
        ours = path.format(id=badge["id"])
        assert await alice.refused(method, ours, body) == (403, "auth.staff_only")
        anonymous = await world.http.request(method, f"/{prefix}/{ours}", headers={"orgid": world.north.slug})
        assert anonymous.status_code == 401
        for person in (alice, sam):
            status, reason = await person.refused(method, f"/client/community/{ours}", body)
            assert (status, reason) in ((404, "request.not_found"), (405, "request.method_not_allowed"))
    assert await sam.get(f"badges/{badge['id']}") == badge
    assert await mine(bob) == []
    elsewhere = await staff(world.south)
    for method, path, body in WRITES[1:]:
        refusal = await elsewhere.refused(method, path.format(id=badge["id"]), body)
        assert refusal == (404, "badge.not_found")


async def test_a_badge_is_changed_by_what_is_said_and_at_the_version_that_is_meant(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    badge = await make(sam, icon="🏠", criteriaType="followers_count", criteriaValue=3)
    assert badge["autoAward"] is True
    path = f"badges/{badge['id']}"
    changed = await sam.put(path, {"title": "Hostess", "icon": None, "rarity": "rare"})
    assert changed | {"updatedAt": ""} == badge | {
        "title": "Hostess",
        "icon": None,
        "rarity": "rare",
        "version": 2,
        "updatedAt": "",
    }
    by_hand = await sam.put(path, {"criteriaType": None, "criteriaValue": None, "autoAward": False, "version": 2})
    assert (by_hand["criteriaType"], by_hand["criteriaValue"], by_hand["version"]) == (None, None, 3)
    for stale in ({"json": {"version": 2}}, {"json": {}, "headers": {"if-match": '"2"'}}):
        answer = await sam.ask("PUT", path, **stale)
        assert (answer.status_code, answer.json()["reason"]) == (409, "badge.version")
    await sam.put(path, {}, headers={"if-match": '"3"'})
    answers = await asyncio.gather(*(sam.ask("PUT", path, json={"description": str(n)}) for n in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await sam.get(path))["version"] == 12


async def test_bad_input(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    badge = await make(sam)
    for field, values in {
        "name": ("", "No", "a b", "-a", "a\n", "x" * 65, None),
        "title": ("", "x" * 101, None),
        "description": ("x" * 2_001, "\x00"),
        "icon": ("", "javascript:alert(1)", "ftp://demo.test/a.png", "x" * 33, "https://a b"),
        "category": ("gold",),
        "rarity": ("epic",),
        "criteriaType": ("friends",),
        "criteriaValue": (0, -1, 1.5, 10**10, "3"),
        "autoAward": ("yes",),
        "earnedBy": (7,),
        "status": ("active",),
        "more": (1,),
    }.items():
        for value in values:
            assert await sam.refused("POST", "badges", NEW | {field: value}) == (400, "request.invalid"), (field, value)
    assert await sam.refused("POST", "badges", NEW) == (409, "badge.name_taken")
    halves: list[dict[str, Any]] = [{"criteriaType": "posts_count"}, {"criteriaValue": 2}, {"autoAward": True}]
    for half in halves:
        assert await sam.refused("POST", "badges", NEW | {"name": "other"} | half) == (400, "badge.criterion")
        assert await sam.refused("PUT", f"badges/{badge['id']}", half) == (400, "badge.criterion")
    wrong: list[dict[str, Any]] = [{"name": "other"}, {"title": None}, {"title": ""}, {"earnedBy": 1}, {"status": "no"}]
    for body in wrong:
        assert await sam.refused("PUT", f"badges/{badge['id']}", body) == (400, "request.invalid")
    wrong = [{}, {"email": ""}, {"email": "nobody"}, {"email": BOB, "note": "x"}]
    for body in wrong:
        assert await sam.refused("POST", f"badges/{badge['id']}/award", body) == (400, "request.invalid")
    assert await sam.refused("POST", f"badges/{badge['id']}/award", {"email": "1"}) == (404, "person.not_found")
    assert await sam.refused("DELETE", f"badges/{badge['id']}/award/nobody") == (400, "request.invalid")
    for method, path, json in WRITES[1:]:
        assert await sam.refused(method, path.format(id="1"), json) == (404, "badge.not_found")
    assert (await sam.get(f"badges/{badge['id']}")) == badge


async def test_a_badge_is_given_by_hand_once_and_taken_back_with_its_notification(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    (bob,) = await world.north.people("bob")
    badge = await make(sam)
    await bob.post("blocks", {"targetId": sam.email}, status=201)
    award = await give(sam, badge)
    assert award == {"badge": badge["id"], "email": BOB, "awardedAt": award["awardedAt"]}
    for name in (BOB, bob.id, "BOB@mail.test"):
        assert await give(sam, badge, name, status=200) == award
    await world.server_idle()
    (notification,) = (await bob.get("notifications"))["data"]
    assert (notification["type"], notification["target"]) == ("badge_earned", badge["id"])
    assert (await sam.get(f"badges/{badge['id']}"))["earnedBy"] == 1
    for _ in range(2):
        await take_back(sam, badge)
        assert await mine(bob) == []
        assert (await bob.get("people/me"))["badges"] == []
        assert (await bob.get("notifications"))["total"] == 0
        assert (await sam.get(f"badges/{badge['id']}"))["earnedBy"] == 0
    await take_back(sam, badge, "nobody@mail.test")
    again = await give(sam, badge)
    assert again["awardedAt"] > award["awardedAt"]
    assert await mine(bob) == ["host"]
    assert (await bob.get("notifications"))["total"] == 1
    await take_back(sam, badge, bob.id)
    assert await mine(bob) == []


async def test_what_staff_took_back_comes_back_by_staff_alone(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    alice, bob = await world.north.people("alice", "bob")
    connection = await connect(alice, bob)
    assert await mine(bob) == ["first-connection"]
    badge = (await bob.get("badges/mine"))["data"][0]["badge"]
    await take_back(sam, badge)
    await walk(world)
    await alice.delete(f"connections/{connection['id']}")
    await connect(alice, bob)
    assert await mine(bob) == []
    assert await mine(alice) == ["first-connection"]
    await give(sam, badge)
    assert await mine(bob) == ["first-connection"]


async def test_an_address_nobody_uses_yet_can_be_given_a_badge_and_finds_it(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    badge = await make(sam)
    assert (await give(sam, badge, "Late@mail.test"))["email"] == "late@mail.test"
    late = await world.north.person("late").arrive()
    assert await mine(late) == ["host"]
    assert (await late.get("notifications?type=badge_earned"))["total"] == 1


async def test_a_retired_badge_stays_with_those_who_have_it_and_nobody_gets_it_any_more(
    world: World, prefix: str
) -> None:
    sam = await staff(world.north)
    alice, bob = await world.north.people("alice", "bob")
    badge = await make(sam, criteriaType="connections_count", criteriaValue=1)
    await give(sam, badge)
    for _ in range(2):
        assert await sam.delete(f"badges/{badge['id']}") == {"success": True}
    (retired,) = (await sam.get("badges?status=retired"))["data"]
    assert (retired["id"], retired["status"], retired["version"]) == (badge["id"], "retired", 2)
    assert "host" not in [item["name"] for item in (await bob.get("badges?limit=100"))["data"]]
    assert await bob.get(f"badges/{badge['id']}") == retired
    await connect(alice, bob)
    await walk(world)
    assert await mine(alice) == ["first-connection"]
    assert await mine(bob) == ["first-connection", "host"]
    assert [item["name"] for item in (await alice.get(f"people/{BOB}"))["badges"]] == ["first-connection", "host"]
    for name in (alice.email, "late@mail.test", BOB):
        refusal = await sam.refused("POST", f"badges/{badge['id']}/award", {"email": name})
        assert refusal == (409, "badge.retired")
    assert (
        await world.rows("select 1 from person where email = 'late@mail.test' and org = $1", world.north.org.id) == []
    )
    assert await sam.refused("POST", "badges", NEW) == (409, "badge.name_taken")
    await sam.put(f"badges/{badge['id']}", {"status": "active"})
    await walk(world)
    assert await mine(alice) == ["host", "first-connection"]


async def test_a_badge_defined_later_is_given_by_the_daily_job(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    alice, bob = await world.north.people("alice", "bob")
    await connect(alice, bob)
    await world.server_idle()
    await walk(world)
    await make(sam, criteriaType="connections_count", criteriaValue=1)
    by_hand = {"name": "by-hand", "criteriaType": "connections_count", "criteriaValue": 1, "autoAward": False}
    await make(sam, **by_hand)
    await make(sam, name="far", criteriaType="membership_years", criteriaValue=1_000_000_000)
    assert await walk(world) == 2
    assert await mine(alice) == await mine(bob) == ["host", "first-connection"]


async def test_twenty_awards_at_one_moment_are_one(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    (bob,) = await world.north.people("bob")
    badge = await make(sam)
    path = f"badges/{badge['id']}/award"
    answers = await asyncio.gather(*(sam.ask("POST", path, json={"email": BOB}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.text for answer in answers}) == 1
    await world.server_idle()
    assert (await bob.get("badges/mine"))["total"] == 1
    assert (await bob.get("notifications?type=badge_earned"))["total"] == 1
    assert (await sam.get(f"badges/{badge['id']}"))["earnedBy"] == 1
    await asyncio.gather(*(take_back(sam, badge) for _ in range(20)))
    assert (await sam.get(f"badges/{badge['id']}"))["earnedBy"] == 0


async def test_giving_and_taking_back_at_one_moment_leave_counts_that_equal_a_recount(
    world: World, prefix: str
) -> None:
    sam = await staff(world.north)
    people = await world.north.people("alice", "bob", "carol", "dan")
    made = [await make(sam, name=name, criteriaType="connections_count", criteriaValue=1) for name in ("a", "b", "c")]
    chance = random.Random(6)

    async def toggle() -> None:
        for _ in range(25):
            badge, person = chance.choice(made), chance.choice(people)
            if chance.random() < 0.6:
                answer = await sam.ask("POST", f"badges/{badge['id']}/award", json={"email": person.email})
                assert answer.status_code in (200, 201)
            else:
                await take_back(sam, badge, person.email)

    ties = [connect(one, other) for place, one in enumerate(people) for other in people[:place]]
    walks = [walk(world) for _ in range(4)]
    await asyncio.gather(*(toggle() for _ in range(8)), *ties, *walks)
    await world.server_idle()
    assert await check(world.store, RECOUNTS, repair=False) == []
    counted = {badge["id"]: badge["earnedBy"] for badge in (await sam.get("badges"))["data"]}
    held = [item["badge"]["id"] for person in people for item in (await person.get("badges/mine"))["data"]]
    assert {badge["id"]: held.count(badge["id"]) for badge in made} == {
        badge["id"]: counted[badge["id"]] for badge in made
    }
    for person in people:
        told = [item["target"] for item in (await person.get("notifications?type=badge_earned"))["data"]]
        has = [item["badge"]["id"] for item in (await person.get("badges/mine"))["data"]]
        assert sorted(told) == sorted(has)


async def test_a_count_that_has_drifted_is_repaired(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    badge = await make(sam)
    await give(sam, badge)
    await world.rows("update badge set earned_by = 5 where id = $1", int(badge["id"]))
    (drift,) = await check(world.store, RECOUNTS, repair=True)
    assert (drift.counter, drift.owner, drift.kept, drift.counted) == ("earned_by", int(badge["id"]), 5, 1)
    assert (await sam.get(f"badges/{badge['id']}"))["earnedBy"] == 1
    assert await check(world.store, RECOUNTS, repair=False) == []


async def test_a_key_answers_a_retry_as_the_first_time(world: World, prefix: str) -> None:
    sam = await staff(world.north)
    await world.north.people("bob")
    made, given = ({"headers": {"idempotency-key": key}} for key in ("made", "given"))
    badge = await make(sam)
    first = await sam.post("badges", NEW | {"name": "keyed"}, status=201, **made)
    assert await sam.post("badges", NEW | {"name": "keyed"}, status=201, **made) == first
    path = f"badges/{badge['id']}/award"
    award = await sam.post(path, {"email": BOB}, status=201, **given)
    assert await sam.post(path, {"email": BOB}, status=201, **given) == award
    assert await sam.post(path, {"email": BOB}, status=200) == award
    assert (await sam.get(f"badges/{badge['id']}"))["earnedBy"] == 1


@pytest.mark.parametrize(
    ("method", "path", "json", "spoken"),
    [
        ("POST", "badges", NEW | {"name": "other"}, ["badges.create"]),
        ("PUT", "badges/{id}", {"title": "Other"}, ["badges.find", "badges.change"]),
        ("POST", "badges/{id}/award", {"email": BOB}, ["badges.give"]),
        ("DELETE", f"badges/{{id}}/award/{BOB}", None, ["badges.take_back"]),
        ("DELETE", "badges/{id}", None, ["badges.retire"]),
    ],
)
async def test_each_route_speaks_its_statements(
    world: World, prefix: str, method: str, path: str, json: Any, spoken: list[str]
) -> None:
    sam = await staff(world.north)
    await world.north.people("bob")
    badge = await make(sam)
    await world.server_idle()
    before = len(world.server.spoken)
    answer = await sam.ask(method, path.format(id=badge["id"]), json=json)
    assert answer.status_code < 300
    ours = [name for name in world.server.spoken[before:] if name.startswith(("badges.", "people."))]
    assert [name for name in ours if name not in JOBS] == spoken
