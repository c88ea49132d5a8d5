"""People as others find and see them: lists, one profile, opting out, what is masked (contract, section 1.14)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from plaza.domains.people import service as people
from plaza.kernel.clock import system_clock
from plaza.kernel.sql import STATEMENTS
from tests.world import Person, Tenant, World, good

FULL = {
    "firstName": "Bob",
    "lastName": "Baker",
    "company": "Bread & Co",
    "jobTitle": "Baker",
    "about": "Bakes.",
    "phone": "+49 30 1234",
    "location": "Berlin",
}


async def nobody(tenant: Tenant, path: str, **options: Any) -> httpx2.Response:
    """A GET without a token."""
    url = f"/{tenant.world.prefix}/{path}"
    return await tenant.world.http.get(url, headers={"orgid": tenant.slug} | options)


async def emails(person: Person, path: str = "people") -> list[str]:
    """Whom a list shows."""
    return [found["email"] for found in (await person.get(path))["data"]]


async def suspend(tenant: Tenant, person: Person, *, lift: bool = False) -> None:
    await people.suspend(tenant.world.store, tenant.org, person.email, system_clock(), lift=lift)


async def leave_directory(person: Person) -> None:
    await person.put("people/me", {"communityProfile": {"isPublic": False}})


async def test_the_list_has_the_newest_people_first_and_the_caller_among_them(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await world.south.people("carol")
    page = await alice.get("people")
    assert [found["email"] for found in page["data"]] == [bob.email, alice.email]
    assert (page["total"], page["hasNext"], page["nextCursor"]) == (2, False, None)
    assert page["data"][0] == {
        "id": bob.id,
        "email": bob.email,
        "firstName": "",
        "lastName": "",
        "image": None,
        "company": None,
        "jobTitle": None,
        "about": None,
        "phone": None,
        "location": None,
        "communityProfile": {
            "isPublic": True,
            "headline": None,
            "bio": None,
            "expertise": [],
            "interests": [],
            "lookingFor": [],
            "socialLinks": {},
        },
        "createdAt": page["data"][0]["createdAt"],
    }


async def test_an_address_that_nobody_has_signed_in_with_is_not_listed(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    await alice.send("later@mail.test")
    assert await emails(alice) == [alice.email]
    assert await alice.refused("GET", "people/later@mail.test") == (404, "person.not_found")
    await world.north.people("later")
    assert await emails(alice) == ["later@mail.test", alice.email]


async def test_a_profile_is_found_by_address_and_by_id_and_says_what_lies_between_two(
    world: World, prefix: str
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await bob.put("people/me", FULL)
    seen = await alice.get(f"people/{bob.email}")
    assert seen["firstName"] == "Bob"
    assert seen["counters"] == {"followers": 0, "following": 0, "connections": 0}
    nothing = {
        "following": False,
        "followsMe": False,
        "connection": "none",
        "connectionId": None,
        "blocked": False,
        "mutualCount": 0,
        "mutualCountExact": True,
    }
    assert seen["relationship"] == nothing
    for name in (bob.id, bob.email.upper(), bob.email.replace("@", "%40")):
        assert await alice.get(f"people/{name}") == seen
    await alice.post("follow", {"following": bob.email}, status=201)
    asked = await bob.post("connections/request", {"targetId": alice.email}, status=201)
    seen = await alice.get(f"people/{bob.email}")
    assert seen["counters"] == {"followers": 1, "following": 0, "connections": 0}
    assert seen["relationship"] == nothing | {
        "following": True,
        "connection": "pending",
        "connectionId": asked["id"],
    }
    mirrored = nothing | {"followsMe": True, "connection": "sent", "connectionId": asked["id"]}
    assert (await bob.get(f"people/{alice.email}"))["relationship"] == mirrored
    await alice.put(f"connections/{asked['id']}/respond", {"action": "accept"})
    seen = await bob.get(f"people/{alice.email}")
    assert (seen["counters"]["connections"], seen["relationship"]["connection"]) == (1, "accepted")


async def test_mutual_connections_are_counted_without_those_whom_a_block_hides(world: World, prefix: str) -> None:
    alice, bob, carol, dora = await world.north.people("alice", "bob", "carol", "dora")
    for middle in (carol, dora):
        for side in (alice, bob):
            await tie(side, middle)
    assert (await alice.get(f"people/{bob.email}"))["relationship"]["mutualCount"] == 2
    await dora.post("blocks", {"targetId": alice.email}, status=201)
    assert (await alice.get(f"people/{bob.email}"))["relationship"]["mutualCount"] == 1


async def tie(one: Person, other: Person) -> None:
    """Connects two people."""
    asked = await one.post("connections/request", {"targetId": other.email}, status=201)
    await other.put(f"connections/{asked['id']}/respond", {"action": "accept"})


async def test_static_paths_win_over_addresses(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    assert (await alice.get("people/me"))["version"]
    assert (await alice.get("people/suggestions"))["data"] == []
    assert (await alice.get(f"people/{alice.email}"))["relationship"]["connection"] == "none"


@pytest.mark.parametrize("name", ["not-an-address", "a@b@c", "x@", "%20", "-5"])
async def test_what_is_neither_an_address_nor_an_id_is_refused(world: World, prefix: str, name: str) -> None:
    (alice,) = await world.north.people("alice")
    assert await alice.refused("GET", f"people/{name}") == (400, "request.invalid")


# Who sees what: the fields that a person can hide, and the address, for every kind of viewer.
HIDING = {"showEmail": False, "showPhone": False, "showCompany": False, "showLocation": False}
SHOWING = {"showEmail": True, "showPhone": True, "showCompany": True, "showLocation": True}
ALL = {"phone": "+49 30 1234", "company": "Bread & Co", "location": "Berlin"}
NONE = {"phone": None, "company": None, "location": None}
BY_DEFAULT = ALL | {"phone": None}
VIEWERS: list[tuple[str, dict[str, bool], dict[str, Any], bool]] = [
    # viewer, what is switched, the fields seen, whether the address is seen
    ("anonymous", {}, BY_DEFAULT, False),
    ("anonymous", HIDING, NONE, False),
    ("anonymous", SHOWING, ALL, True),
    ("stranger", {}, BY_DEFAULT, True),
    ("stranger", HIDING, NONE, True),
    ("stranger", SHOWING, ALL, True),
    ("follower", {}, BY_DEFAULT, True),
    ("follower", HIDING, NONE, True),
    ("connection", {}, BY_DEFAULT, True),
    ("connection", HIDING, NONE, True),
    ("connection", SHOWING, ALL, True),
    ("staff", {}, ALL, True),
    ("staff", HIDING, ALL, True),
    ("self", HIDING, ALL, True),
]


@pytest.mark.parametrize(("viewer", "switched", "fields", "address"), VIEWERS)
async def test_each_viewer_sees_what_the_person_shows(
    world: World, viewer: str, switched: dict[str, bool], fields: dict[str, Any], address: bool
) -> None:
    (bob,) = await world.north.people("bob")
    await bob.put("people/me", FULL | {"communityProfile": {"visibility": switched}})
    for found in await sights(world, bob, viewer):
        assert {name: found[name] for name in fields} == fields
        assert found["email"] == (bob.email if address else bob.id)
        assert (found["firstName"], found["jobTitle"]) == ("Bob", "Baker")


async def sights(world: World, bob: Person, viewer: str) -> list[Any]:
    """Bob as a viewer sees him: in the list, in what a search finds, and by himself."""
    paths = ("people", "people?q=bob", f"people/{bob.id}")
    if viewer == "anonymous":
        found = [good(await nobody(world.north, path), 200) for path in paths]
    else:
        who = bob if viewer == "self" else world.north.person(viewer, **({"role": viewer} if viewer == "staff" else {}))
        if viewer == "follower":
            await who.post("follow", {"following": bob.email}, status=201)
        if viewer == "connection":
            await tie(who, bob)
        found = [await who.get(path) for path in paths]
    return [next(row for row in page["data"] if row["id"] == bob.id) for page in found[:2]] + [found[2]]


@pytest.mark.parametrize("blocker", ["bob", "alice"])
async def test_a_block_hides_both_from_each_other_everywhere(world: World, prefix: str, blocker: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    one, other = (bob, alice) if blocker == "bob" else (alice, bob)
    await one.post("blocks", {"targetId": other.email}, status=201)
    for viewer in (alice, bob):
        assert await emails(viewer) == [viewer.email]
        assert (await viewer.get("people"))["total"] == 1
        assert await emails(viewer, "people?q=mail") == []
    missing = await other.ask("GET", f"people/{one.id}")
    unknown = await other.ask("GET", "people/1234567890123")
    assert (missing.status_code, alike(missing)) == (404, alike(unknown))
    assert await other.refused("GET", f"people/{one.email}") == (404, "person.not_found")
    await one.delete(f"blocks/{other.email}")
    assert len(await emails(alice)) == 2


async def test_whoever_blocks_sees_that_they_do_and_the_id_to_unblock_and_nothing_else(
    world: World, prefix: str
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    twins = await world.south.people("alice", "bob")
    await bob.put("people/me", FULL)
    await alice.post("follow", {"following": bob.email}, status=201)
    await alice.post("blocks", {"targetId": bob.email}, status=201)
    for name in (bob.email, bob.id):
        shown = await alice.get(f"people/{name}")
        assert shown["relationship"] == {
            "following": False,
            "followsMe": False,
            "connection": "none",
            "connectionId": None,
            "blocked": True,
            "mutualCount": 0,
            "mutualCountExact": True,
        }
        assert (shown["id"], shown["firstName"], shown["lastName"]) == (bob.id, "Bob", "Baker")
        assert [shown[field] for field in ("company", "jobTitle", "about", "phone", "location")] == [None] * 5
        assert (shown["badges"], shown["counters"]) == ([], {"followers": 0, "following": 0, "connections": 0})
    await alice.delete(f"blocks/{shown['id']}")
    assert (await alice.get(f"people/{bob.id}"))["relationship"]["blocked"] is False
    assert (await twins[0].get(f"people/{twins[1].email}"))["relationship"]["blocked"] is False
    # Blocked both ways, neither sees the other.
    await alice.post("blocks", {"targetId": bob.email}, status=201)
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    assert await alice.refused("GET", f"people/{bob.id}") == (404, "person.not_found")


async def test_the_counters_of_a_profile_are_the_lengths_of_the_persons_own_lists(world: World, prefix: str) -> None:
    alice, bob, *others = await world.north.people("alice", "bob", "carol", "dora", "emil")
    for other in others:
        await tie(bob, other)
        await other.post("follow", {"following": bob.email}, status=201)
        await bob.post("follow", {"following": other.email}, status=201)

    async def counters() -> list[dict[str, int]]:
        lists = {
            "followers": (await bob.get("followers"))["total"],
            "following": (await bob.get("following"))["total"],
            "connections": (await bob.get("connections"))["total"],
        }
        return [lists, *[(await viewer.get(f"people/{bob.id}"))["counters"] for viewer in (alice, bob)]]

    assert await counters() == [{"followers": 3, "following": 3, "connections": 3}] * 3
    await bob.post("blocks", {"targetId": others[0].email}, status=201)
    await others[1].post("blocks", {"targetId": bob.email}, status=201)
    assert await counters() == [{"followers": 1, "following": 1, "connections": 1}] * 3


def alike(answer: httpx2.Response) -> dict[str, Any]:
    """A refusal without what every answer has of its own."""
    return {name: value for name, value in answer.json().items() if name not in ("path", "requestId")}


async def test_a_suspended_person_vanishes_and_comes_back(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    (twin,) = await world.south.people("bob")
    await bob.put("people/me", FULL)
    await suspend(world.north, bob)
    assert await emails(alice) == [alice.email]
    assert await emails(alice, "people?q=baker") == []
    assert await alice.refused("GET", f"people/{bob.id}") == (404, "person.not_found")
    assert await emails(twin) == [twin.email]
    await suspend(world.north, bob, lift=True)
    assert (await alice.get(f"people/{bob.id}"))["firstName"] == "Bob"
    await listed_again()
    assert await emails(alice, "people?q=baker") == [bob.email]


async def listed_again() -> None:
    """Until the lister has come round."""
    await asyncio.sleep(1.5)


# Who sees somebody who has left the directory: those with whom the person has something to do, and staff.
async def test_who_has_left_the_directory_is_in_no_list_and_a_stranger_finds_nobody(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await bob.put("people/me", FULL)
    await leave_directory(bob)
    assert await emails(alice) == [alice.email]
    assert (await alice.get("people"))["total"] == 1
    assert await emails(alice, "people?q=baker") == []
    assert await alice.refused("GET", f"people/{bob.email}") == (404, "person.not_found")
    assert (await nobody(world.north, f"people/{bob.id}")).status_code == 404
    assert (await bob.get(f"people/{bob.email}"))["communityProfile"]["isPublic"] is False
    assert (await world.north.person("eve", role="staff").get(f"people/{bob.id}"))["firstName"] == "Bob"
    await bob.put("people/me", {"communityProfile": {"isPublic": True}})
    assert await emails(alice, "people?q=baker") == [bob.email]


@pytest.mark.parametrize("tied", ["bob follows", "bob asked", "connected", "bob wrote", "alice followed"])
async def test_a_tie_outlives_leaving_the_directory(world: World, tied: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    if tied == "bob follows":
        await bob.post("follow", {"following": alice.email}, status=201)
    elif tied == "bob asked":
        await bob.post("connections/request", {"targetId": alice.email}, status=201)
    elif tied == "connected":
        await tie(alice, bob)
    elif tied == "bob wrote":
        await bob.send(alice)
    else:
        await alice.post("follow", {"following": bob.email}, status=201)
    await leave_directory(bob)
    assert (await alice.get(f"people/{bob.id}"))["id"] == bob.id
    assert await emails(alice) == [alice.email]


@pytest.mark.parametrize("tied", ["follows", "asks", "writes"])
async def test_a_tie_made_by_the_stranger_alone_opens_nothing(world: World, tied: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await leave_directory(bob)
    if tied == "follows":
        await alice.post("follow", {"following": bob.email}, status=201)
    elif tied == "asks":
        await alice.post("connections/request", {"targetId": bob.email}, status=201)
    else:
        await alice.send(bob)
    assert await alice.refused("GET", f"people/{bob.email}") == (404, "person.not_found")


# Readers without a token.
async def test_without_a_token_people_are_readable_until_the_organisation_says_no(world: World, prefix: str) -> None:
    (bob,) = await world.north.people("bob")
    page = good(await nobody(world.north, "people"), 200)
    assert [found["id"] for found in page["data"]] == [bob.id]
    assert good(await nobody(world.north, f"people/{bob.email}"), 200)["relationship"] is None
    assert (await nobody(world.north, "people/suggestions")).status_code == 401
    for authorization in ("Bearer nonsense", "Basic eA==", f"Bearer {world.south.person('bob').token}"):
        for path in ("people", f"people/{bob.id}"):
            assert (await nobody(world.north, path, authorization=authorization)).status_code in (401, 403)
    await world.north.settle(publicReads=False)
    for path in ("people", "people?q=bob", f"people/{bob.id}"):
        answer = await nobody(world.north, path)
        assert (answer.status_code, answer.json()["reason"]) == (401, "auth.missing")
    assert await emails(bob) == [bob.email]
    assert (await nobody(world.south, "people")).status_code == 200


async def test_where_addresses_are_masked_no_answer_without_a_token_has_one(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for person in (alice, bob):
        await person.put("people/me", FULL | {"communityProfile": {"visibility": SHOWING}})
    seen = await nobody(world.north, f"people/{bob.email}")
    assert good(seen, 200)["email"] == bob.email
    await world.north.settle(maskEmails=True)
    for path in ("people", "people?q=baker", f"people/{bob.id}", f"people/{bob.email}", "people/unknown@mail.test"):
        answer = await nobody(world.north, path)
        assert "@" not in answer.text.replace(f'"path":"/{prefix}/{path}"', ""), path
    known = await nobody(world.north, f"people/{bob.email}")
    unknown = await nobody(world.north, "people/unknown@mail.test")
    assert (known.status_code, alike(known)) == (404, alike(unknown))
    assert good(await nobody(world.north, f"people/{bob.id}"), 200)["email"] == bob.id
    assert (await alice.get(f"people/{bob.email}"))["email"] == bob.email


async def test_the_list_pages_by_cursor_while_others_come_and_go(world: World, prefix: str) -> None:
    crowd = await world.north.people(*(f"p{number}" for number in range(7)))
    reader = crowd[0]
    page = await reader.get("people?limit=3")
    met = [found["email"] for found in page["data"]]
    await world.north.people("late")
    await leave_directory(crowd[5])
    await leave_directory(crowd[3])
    while page["hasNext"]:
        page = await reader.get(f"people?limit=3&cursor={page['nextCursor']}")
        met += [found["email"] for found in page["data"]]
    assert met == [crowd[number].email for number in (6, 5, 4, 2, 1, 0)]
    assert [len((await reader.get(f"people?limit=4&pageNum={n}"))["data"]) for n in (1, 2, 3)] == [4, 2, 0]


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("people", "directory.people"),
        ("people?q=p", "directory.find"),
        ("people?interests=tea", "directory.find"),
        ("people/suggestions", "directory.suggestions"),
        ("people/p1@mail.test", "directory.profile"),
    ],
)
async def test_each_reading_is_one_statement(world: World, path: str, statement: str) -> None:
    reader, _ = await world.north.people("p0", "p1")
    await reader.get(path)
    world.server.spoken.clear()
    await reader.get(path)
    assert [name for name in world.server.spoken if STATEMENTS[name].tenant] == [statement]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("pageNum=x", "pageNum"),
        ("cursor=abc", "cursor"),
        ("nonsense=1", "nonsense"),
        ("q=" + "x" * 201, "q"),
        ("expertise=" + "x" * 201, "expertise"),
        ("q=a&q=b", "q"),
    ],
)
async def test_a_bad_parameter_is_named(world: World, prefix: str, query: str, field: str) -> None:
    (alice,) = await world.north.people("alice")
    answer = await alice.ask("GET", f"people?{query}")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)
    assert (await alice.refused("GET", "people/suggestions?page=2"))[0] == 400


async def test_the_two_organisations_do_not_see_each_other(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    twin, bob = await world.south.people("alice", "bob")
    await bob.put("people/me", FULL)
    assert await emails(alice, "people?q=baker") == []
    for name in (bob.id, bob.email, twin.id):
        assert await alice.refused("GET", f"people/{name}") == (404, "person.not_found")
    assert (await alice.get(f"people/{twin.email}"))["id"] == alice.id


async def test_a_name_that_is_an_address_is_no_name(world: World) -> None:
    await world.north.settle(maskEmails=True)
    await Person(world.north, "bob@mail.test", name="bob@mail.test").arrive()
    answer = await nobody(world.north, "people")
    assert ("@" in answer.text, answer.json()["data"][0]["firstName"]) == (False, "")
