"""Connections (contract, section 1.9; seed 1), on both prefixes, in two organisations with the same addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plaza.domains.connections.fragments import COMPARED
from plaza.kernel.paging import encode
from plaza.kernel.sql import STATEMENTS
from tests.api.test_directory_search import make_people
from tests.world import Person, World

ALICE, BOB = "alice@mail.test", "bob@mail.test"
MEETING = {"message": "Hi Bob — saw your design talk.", "context": {"event": "figma-conf-2026"}}


async def ask(person: Person, whom: Person | str, **more: Any) -> Any:
    """A request; its record."""
    target = whom if isinstance(whom, str) else whom.email
    return await person.post("connections/request", {"targetId": target, **more}, status=201)


async def answer(person: Person, request: Any, action: str = "accept") -> Any:
    """The answer to a request; its record."""
    return await person.put(f"connections/{request['id']}/respond", {"action": action})


async def connect(one: Person, other: Person) -> Any:
    """Two people are connected; the record."""
    return await answer(other, await ask(one, other))


async def peers(person: Person, path: str = "connections") -> list[str]:
    """The others of a list."""
    return [item["peer"] for item in (await person.get(path))["data"]]


async def counted(person: Person) -> int:
    """How many connections a person has, as the counter says."""
    rows = await person.world.rows(
        "select connections from tie_count where org = $1 and person = $2", person.tenant.org.id, int(person.id)
    )
    return rows[0][0] if rows else 0


async def test_the_samples_of_the_documentation(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    twins = await world.south.people("alice", "bob")
    request = await ask(alice, BOB, **MEETING)
    assert {key: value for key, value in request.items() if not key.endswith("Info")} == {
        "id": request["id"],
        "peer": BOB,
        "requesterEmail": ALICE,
        "targetEmail": BOB,
        "status": "pending",
        "message": MEETING["message"],
        "context": MEETING["context"],
        "requestedAt": request["requestedAt"],
        "respondedAt": None,
    }
    assert request["requesterInfo"]["id"] == alice.id
    assert request["targetInfo"]["id"] == request["peerInfo"]["id"] == bob.id
    (waiting,) = (await bob.get("connections/pending"))["data"]
    assert waiting == request | {"peer": ALICE, "peerInfo": request["requesterInfo"]}
    assert (await alice.get("connections/sent"))["data"] == [request]
    assert (await alice.get("connections/pending"))["data"] == (await bob.get("connections/sent"))["data"] == []
    accepted = await answer(bob, request)
    assert accepted == waiting | {"status": "accepted", "respondedAt": accepted["respondedAt"]}
    assert accepted["respondedAt"] >= accepted["requestedAt"]
    assert (await bob.get("connections?status=accepted"))["data"] == [accepted]
    listed = await alice.get("connections?limit=20&page=1")
    assert listed["data"] == [request | {"status": "accepted", "respondedAt": accepted["respondedAt"]}]
    assert (listed["total"], listed["pageNum"], listed["limit"], listed["hasNext"]) == (1, 1, 20, False)
    assert (await bob.get("connections/pending"))["total"] == (await alice.get("connections/sent"))["total"] == 0
    for twin in twins:
        assert await twin.get("connections/stats") == {"total": 0, "accepted": 0, "pending": 0, "sent": 0}
        assert (await twin.get("connections"))["data"] == []
        assert await twin.refused("DELETE", f"connections/{request['id']}") == (404, "connection.not_found")


async def test_what_one_prefix_writes_the_other_reads(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    request = await alice.post("/community/connections/request", {"targetId": BOB}, status=201)
    await bob.put(f"/client/community/connections/{request['id']}/respond", {"action": "accept"})
    assert await peers(alice, "/community/connections") == await peers(alice, "/client/community/connections") == [BOB]


async def test_the_stats_add_up(world: World, prefix: str) -> None:
    alice, bob, carol, dan, eve, fred = await world.north.people("alice", "bob", "carol", "dan", "eve", "fred")
    await connect(alice, bob)
    await connect(carol, alice)
    await ask(dan, alice)
    await ask(alice, eve)
    await answer(alice, await ask(fred, alice), "reject")
    assert await alice.get("connections/stats") == {"total": 4, "accepted": 2, "pending": 1, "sent": 1}
    assert sorted(await peers(alice)) == [bob.email, carol.email]
    assert sorted(await peers(alice, "connections?status=pending")) == [dan.email, eve.email]
    assert await peers(alice, "connections?status=rejected") == await peers(alice, "connections?status=rejected&page=1")
    assert await peers(alice, "connections?status=rejected") == [fred.email]
    assert (await alice.get("connections?status=pending"))["total"] == 2
    assert [await counted(person) for person in (alice, bob, carol, dan)] == [2, 1, 1, 0]


async def test_a_request_is_answered_by_the_person_asked_alone_and_once(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    request = await ask(alice, BOB)
    path = f"connections/{request['id']}/respond"
    twin = await world.south.person("bob").arrive()
    for action in ("accept", "reject"):
        assert await alice.refused("PUT", path, {"action": action}) == (403, "connection.not_yours")
        assert await carol.refused("PUT", path, {"action": action}) == (404, "connection.not_found")
        assert await twin.refused("PUT", path, {"action": action}) == (404, "connection.not_found")
    await answer(bob, request)
    for action in ("accept", "reject"):
        assert await bob.refused("PUT", path, {"action": action}) == (409, "connection.not_pending")
    assert await alice.refused("PUT", path, {"action": "accept"}) == (403, "connection.not_yours")
    assert await counted(bob) == 1


async def test_a_second_request_is_refused_while_the_first_one_stands(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    request = await ask(alice, BOB)
    for again in (BOB, BOB.upper(), bob.id):
        assert await alice.refused("POST", "connections/request", {"targetId": again}) == (409, "connection.exists")
    await answer(bob, request)
    for person, other in ((alice, BOB), (bob, ALICE)):
        assert await person.refused("POST", "connections/request", {"targetId": other}) == (409, "connection.exists")
    assert await alice.get("connections/stats") == {"total": 1, "accepted": 1, "pending": 0, "sent": 0}


async def test_a_request_to_somebody_who_has_asked_already_accepts(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    request = await ask(alice, BOB, message="first")
    met = await ask(bob, ALICE, message="second", context={"source": "search"})
    assert (met["id"], met["status"], met["message"], met["requesterEmail"]) == (
        request["id"],
        "accepted",
        "first",
        ALICE,
    )
    assert met["peer"] == ALICE
    assert (await counted(alice), await counted(bob)) == (1, 1)


async def test_either_side_cancels_a_request_and_removes_a_connection(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    for who in (alice, bob):
        request = await ask(alice, BOB)
        assert await carol.refused("DELETE", f"connections/{request['id']}") == (404, "connection.not_found")
        assert await who.delete(f"connections/{request['id']}") == {"success": True}
        assert await bob.refused("PUT", f"connections/{request['id']}/respond", {"action": "accept"}) == (
            404,
            "connection.not_found",
        )
        record = await connect(alice, bob)
        assert record["id"] != request["id"]
        assert await who.delete(f"connections/{record['id']}") == {"success": True}
        assert await who.refused("DELETE", f"connections/{record['id']}") == (404, "connection.not_found")
        assert await alice.get("connections/stats") == {"total": 0, "accepted": 0, "pending": 0, "sent": 0}
        assert (await counted(alice), await counted(bob)) == (0, 0)


async def test_whoever_was_rejected_waits_a_week_and_the_other_side_does_not(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    request = await ask(alice, BOB)
    rejected = await answer(bob, request, "reject")
    assert rejected["status"] == "rejected"
    assert await alice.refused("POST", "connections/request", {"targetId": BOB}) == (409, "connection.rejected")
    for person in (alice, bob):
        assert await person.refused("DELETE", f"connections/{request['id']}") == (409, "connection.over")
    scan = {"targetId": BOB, "context": {"source": "qr_scan"}}
    assert await alice.refused("POST", "connections/request", scan) == (409, "connection.rejected")
    ages = "update connection set responded_at = responded_at - interval '7 days' where org = $1 returning 1"
    await world.rows(ages, world.north.org.id)
    again = await ask(alice, BOB, message="once more")
    assert (again["status"], again["message"], again["respondedAt"]) == ("pending", "once more", None)
    assert again["id"] != request["id"]
    await answer(bob, again, "reject")
    turned = await ask(bob, ALICE)
    assert (turned["status"], turned["requesterEmail"], turned["targetEmail"]) == ("pending", BOB, ALICE)
    assert (await answer(alice, turned))["status"] == "accepted"
    assert (await counted(alice), await counted(bob)) == (1, 1)


async def test_accept_all_accepts_what_was_sent_to_the_caller(world: World, prefix: str) -> None:
    alice, bob, carol, dan, pest = await world.north.people("alice", "bob", "carol", "dan", "pest")
    for person in (bob, carol, pest):
        await ask(person, alice)
    await ask(alice, dan)
    await ask(bob, carol)
    await alice.post("blocks", {"targetId": pest.email}, status=201)
    assert await alice.post("connections/accept-all") == {"accepted": 2}
    assert await alice.post("connections/accept-all") == {"accepted": 0}
    assert await peers(alice) == [carol.email, bob.email]
    assert await alice.get("connections/stats") == {"total": 3, "accepted": 2, "pending": 0, "sent": 1}
    assert [await counted(person) for person in (alice, bob, carol, dan, pest)] == [2, 1, 1, 0, 0]
    await alice.delete(f"blocks/{pest.email}")
    assert await alice.post("connections/accept-all") == {"accepted": 1}


async def test_scanning_the_code_of_somebody_who_allows_it_connects_at_once(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    preferences = {"connectionPreferences": {"autoAcceptQrScans": True}}
    await bob.put("people/me", {"communityProfile": preferences})
    scan = {"context": {"event": "figma-conf-2026", "source": "qr_scan"}}
    assert (await ask(alice, carol, **scan))["status"] == "pending"
    earlier = await ask(alice, BOB)
    scanned = await ask(alice, BOB, **scan)
    assert (scanned["id"], scanned["status"]) == (earlier["id"], "accepted")
    record = await ask(carol, BOB, **scan)
    assert record["status"] == "accepted"
    assert record["respondedAt"] == record["requestedAt"]
    assert [await counted(person) for person in (alice, bob, carol)] == [1, 2, 1]
    await world.server_idle()
    (told,) = (await bob.get("notifications?type=connection_accepted&limit=1"))["data"]
    assert (told["actor"], told["target"]) == (carol.email, record["id"])


async def test_bad_input(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    elsewhere = await world.south.person("bob").arrive()
    for myself in (alice.email, alice.email.upper(), alice.id):
        assert await alice.refused("POST", "connections/request", {"targetId": myself}) == (400, "connection.self")
    for nobody in ("1", elsewhere.id):
        refused = await alice.refused("POST", "connections/request", {"targetId": nobody})
        assert refused == (404, "person.not_found")
        assert await alice.refused("GET", f"connections/mutual/{nobody}") == (404, "person.not_found")
    for more in (
        {"message": "x" * 501},
        {"message": 5},
        {"context": "qr_scan"},
        {"context": {"source": "telepathy"}},
        {"context": {"source": 5}},
        {"context": {"event": "x" * 201}},
        {"context": {"event": ["x"]}},
        {"context": {"event": 1.5}},
        {"context": {"": "x"}},
        {"context": {"k" * 65: "x"}},
        {"context": {f"k{number}": "x" for number in range(21)}},
        {"status": "accepted"},
        {"requesterEmail": BOB},
    ):
        body = {"targetId": BOB, **more}
        assert await alice.refused("POST", "connections/request", body) == (400, "request.invalid"), more
    for response in ({}, {"action": "accepted"}, {"action": "accept", "id": "1"}):
        assert await alice.refused("PUT", "connections/1/respond", response) == (400, "request.invalid")
    for gone in ("1", "nothing", "9" * 30):
        assert await alice.refused("PUT", f"connections/{gone}/respond", {"action": "accept"}) == (
            404,
            "connection.not_found",
        )
        assert await alice.refused("DELETE", f"connections/{gone}") == (404, "connection.not_found")
    assert await alice.refused("GET", "connections?status=cancelled") == (400, "request.invalid")
    assert await alice.get("connections/stats") == {"total": 0, "accepted": 0, "pending": 0, "sent": 0}


async def test_the_longest_word_and_the_fullest_context_are_kept_whole(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    longest = {
        "message": "\N{PILE OF POO}" * 500,
        "context": {"source": "event", "booth": 12, "again": True, "none": None}
        | {f"key{number}": "\N{PILE OF POO}" * 200 for number in range(16)},
    }
    await ask(alice, BOB, **longest)
    (stored,) = (await bob.get("connections/pending"))["data"]
    assert {key: stored[key] for key in longest} == longest


async def test_an_address_nobody_uses_yet_can_be_asked_and_finds_the_request(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    request = await ask(alice, "Late@mail.test")
    assert request["targetEmail"] == "late@mail.test"
    late = await world.north.person("late").arrive()
    assert (await answer(late, request))["peer"] == ALICE
    assert await peers(alice) == ["late@mail.test"]


async def test_a_block_hides_what_is_between_two_people_and_stops_every_new_step(world: World, prefix: str) -> None:
    alice, bob, carol, dan = await world.north.people("alice", "bob", "carol", "dan")
    request = await ask(alice, BOB)
    await connect(carol, bob)
    await connect(dan, bob)
    await bob.post("blocks", {"targetId": carol.email}, status=201)
    await alice.post("blocks", {"targetId": BOB}, status=201)
    assert await bob.refused("PUT", f"connections/{request['id']}/respond", {"action": "accept"}) == (
        403,
        "connection.blocked",
    )
    for person, other in ((alice, BOB), (bob, ALICE), (carol, BOB), (bob, carol.email)):
        assert await person.refused("POST", "connections/request", {"targetId": other}) == (403, "connection.blocked")
    assert await peers(bob) == [dan.email]
    assert await bob.get("connections/stats") == {"total": 1, "accepted": 1, "pending": 0, "sent": 0}
    assert (await bob.get("connections"))["total"] == 1
    for person in (alice, carol):
        assert await person.get("connections/stats") == {"total": 0, "accepted": 0, "pending": 0, "sent": 0}
        assert (await person.get("connections"))["total"] == (await person.get("connections/sent"))["total"] == 0
    await bob.delete(f"blocks/{carol.email}")
    await alice.delete(f"blocks/{BOB}")
    assert await bob.get("connections/stats") == {"total": 3, "accepted": 2, "pending": 1, "sent": 0}
    assert (await answer(bob, request))["status"] == "accepted"


async def test_mutual_connections_are_those_of_both(world: World, prefix: str) -> None:
    alice, bob, carol, dan, eve, fred = await world.north.people("alice", "bob", "carol", "dan", "eve", "fred")
    for one, other in ((alice, carol), (carol, bob), (dan, alice), (bob, dan), (alice, eve), (bob, fred), (alice, bob)):
        await connect(one, other)
    await ask(fred, alice)
    for person, other in ((alice, bob), (bob, alice)):
        for name in (other.email, other.email.upper(), other.id):
            listed = await person.get(f"connections/mutual/{name}")
            assert [item["peer"] for item in listed["data"]] == [dan.email, carol.email]
            assert listed["total"] == 2
    assert listed["data"][0]["peerInfo"]["id"] == dan.id
    page = await alice.get(f"connections/mutual/{BOB}?limit=1")
    assert (page["total"], page["hasNext"]) == (2, True)
    page = await alice.get(f"connections/mutual/{BOB}?limit=1&cursor={page['nextCursor']}")
    assert ([item["peer"] for item in page["data"]], page["hasNext"]) == ([carol.email], False)
    assert await peers(alice, "connections/mutual/stranger@mail.test") == []
    await alice.post("blocks", {"targetId": carol.email}, status=201)
    assert await peers(alice, f"connections/mutual/{BOB}") == [dan.email]
    await bob.post("blocks", {"targetId": ALICE}, status=201)
    assert await peers(alice, f"connections/mutual/{BOB}") == []
    assert await alice.refused("GET", f"connections/mutual/{bob.id}") == (404, "person.not_found")


async def test_mutual_connections_with_somebody_who_has_many(world: World, prefix: str) -> None:
    alice, star, *crowd = await world.north.people("alice", "star", *(f"p{number}" for number in range(12)))
    await asyncio.gather(*(connect(star, person) for person in crowd))
    await connect(alice, crowd[3])
    for person, other in ((alice, star), (star, alice)):
        assert await peers(person, f"connections/mutual/{other.email}") == [crowd[3].email]


async def test_of_two_people_with_thousands_the_newest_connections_of_one_are_compared(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    first, count = 10_000_000, COMPARED + 200
    await make_people(world, world.north.org.id, count, "many", first=first)
    for person, others in ((alice, count - 1), (bob, count), (carol, 1)):
        await connect_with_many(world, person, first, others)
    newest = [str(first + n) for n in reversed(range(count - 1 - COMPARED, count - 1))]
    for person, other in ((alice, bob), (bob, alice)):
        met: list[str] = []
        page: Any = {"hasNext": True, "nextCursor": ""}
        while page["hasNext"]:
            cursor = f"&cursor={page['nextCursor']}" if page["nextCursor"] else ""
            page = await person.get(f"connections/mutual/{other.email}?limit=100{cursor}")
            met += [item["peerInfo"]["id"] for item in page["data"]]
            assert page["total"] == COMPARED
        assert met == newest
    assert await peers(carol, f"connections/mutual/{BOB}") == ["many0@mail.test"]
    assert await peers(bob, f"connections/mutual/{carol.email}") == ["many0@mail.test"]


async def connect_with_many(world: World, person: Person, first: int, count: int) -> None:
    """Connections with so many people by their ids, half of them asked for by the others, straight into the store."""
    await world.rows(
        """
        with connected as (
            insert into connection (org, low, high, id, position, requester, status, requested_at)
            select $1, least($2, other), greatest($2, other), n + $2, n, case when n % 2 = 0 then $2 else other end,
                'accepted', now()
            from (select n, $3 + n as other from generate_series(0, $4::bigint - 1) n) others
        )
        insert into tie_count (org, person, connections) values ($1, $2, $4)
        """,
        world.north.org.id,
        int(person.id),
        first,
        count,
    )


async def test_who_has_left_the_directory_has_nobody_in_common_with_a_stranger(world: World, prefix: str) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    for person in (alice, bob):
        await connect(person, carol)
    assert await peers(alice, f"connections/mutual/{bob.id}") == [carol.email]
    await bob.put("people/me", {"communityProfile": {"isPublic": False}})
    assert await alice.refused("GET", f"connections/mutual/{bob.id}") == (404, "person.not_found")
    assert await peers(alice, f"connections/mutual/{BOB}") == []
    assert await peers(bob, f"connections/mutual/{alice.id}") == [carol.email]
    await connect(alice, bob)
    assert await peers(alice, f"connections/mutual/{bob.id}") == [carol.email]


async def test_each_step_notifies_the_one_whose_step_it_is_not(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.put("people/me", {"firstName": "Alice", "lastName": "Arden"})
    request = await ask(alice, BOB)
    await world.server_idle()
    (asked,) = (await bob.get("notifications"))["data"]
    assert (asked["type"], asked["target"], asked["targetType"]) == ("connection_request", request["id"], "connection")
    assert asked["summary"] == "Alice Arden wants to connect with you"
    assert (await alice.get("notifications"))["total"] == 0
    await answer(bob, request)
    await world.server_idle()
    (agreed,) = (await alice.get("notifications?type=connection_accepted"))["data"]
    assert (agreed["type"], agreed["actor"], agreed["read"]) == ("connection_accepted", BOB, False)
    assert agreed["summary"] == "You and bob are connected"
    assert [item["read"] for item in (await bob.get("notifications?type=connection_request"))["data"]] == [True]
    await bob.delete(f"connections/{request['id']}")
    await world.server_idle()
    for person in (alice, bob):
        assert [item["type"] for item in (await person.get("notifications"))["data"]] == ["badge_earned"]
        await person.post("notifications/read-all")
    cancelled = await ask(alice, BOB)
    await alice.delete(f"connections/{cancelled['id']}")
    await world.server_idle()
    assert (await bob.get("notifications"))["total"] == 1
    await answer(bob, await ask(alice, BOB), "reject")
    await world.server_idle()
    assert await bob.get("notifications/unread-count") == await alice.get("notifications/unread-count") == {"count": 0}


async def test_messages_between_connections_only_follow_the_connection(world: World, prefix: str) -> None:
    await world.north.settle(dmPolicy="connections")
    alice, bob = await world.north.people("alice", "bob")
    wish = {"to": BOB, "content": "hello"}
    request = await ask(alice, BOB)
    assert await alice.refused("POST", "messages", wish) == (403, "message.not_connected")
    await answer(bob, request)
    await alice.send(bob)
    await alice.delete(f"connections/{request['id']}")
    assert await alice.refused("POST", "messages", wish) == (403, "message.not_connected")


@pytest.mark.parametrize("path", ["connections", "connections/pending", "connections/sent"])
async def test_a_list_pages_by_number_and_by_cursor_while_others_write(world: World, path: str) -> None:
    alice, *others = await world.north.people("alice", *(f"peer{number}" for number in range(6)))

    async def tie(number: int) -> None:
        other = others[number]
        if path == "connections":
            await (connect(alice, other) if number % 2 else connect(other, alice))
        else:
            await (ask(alice, other) if path == "connections/sent" else ask(other, alice))

    for number in range(5):
        await tie(number)
    emails = [other.email for other in others]
    numbered = await peers(alice, f"{path}?limit=2&page=2")
    page = await alice.get(f"{path}?limit=2")
    assert [item["peer"] for item in page["data"]] == [emails[4], emails[3]]
    await tie(5)
    page = await alice.get(f"{path}?limit=2&cursor={page['nextCursor']}")
    assert [item["peer"] for item in page["data"]] == [emails[2], emails[1]] == numbered
    page = await alice.get(f"{path}?limit=2&cursor={page['nextCursor']}")
    assert [item["peer"] for item in page["data"]] == [emails[0]]
    assert (page["hasNext"], page["nextCursor"], page["total"]) == (False, None, 6)
    assert await peers(alice, f"{path}?limit=4&page=2") == [emails[1], emails[0]]
    assert (await alice.get(f"{path}?limit=1000000"))["limit"] == 100


async def test_two_requests_that_cross_are_one_accepted_connection(world: World) -> None:
    people = await world.north.people(*(f"p{number}" for number in range(20)))
    for distance in (1, 2, 3, 4, 5):
        await cross([(person, people[(place + distance) % 20]) for place, person in enumerate(people)])
    assert {await counted(person) for person in people} == {0}


async def cross(pairs: list[tuple[Person, Person]]) -> None:
    """Each pair asks each other at one moment, and parts again."""
    wishes = [wish for one, other in pairs for wish in ((one, other), (other, one))]
    answers = await asyncio.gather(
        *(one.ask("POST", "connections/request", json={"targetId": other.email}) for one, other in wishes)
    )
    assert {item.status_code for item in answers} == {201}
    records = [item.json() for item in answers]
    for first, second in zip(records[::2], records[1::2], strict=True):
        assert first["id"] == second["id"]
        assert {first["status"], second["status"]} == {"pending", "accepted"}
    await asyncio.gather(
        *(one.delete(f"connections/{record['id']}") for (one, _), record in zip(pairs, records[::2], strict=True))
    )


@pytest.mark.parametrize("race", ["twice", "both", "cancel", "all"])
async def test_steps_that_meet_have_one_effect(world: World, race: str) -> None:
    for number in range(10):
        alice, bob = await world.north.people(f"alice{number}", f"bob{number}")
        request = await ask(alice, bob)
        path = f"connections/{request['id']}"
        accept = ("PUT", f"{path}/respond", {"action": "accept"}, bob)
        other, expected = {
            "twice": (accept, {(200, 409), (409, 200)}),
            "both": (("PUT", f"{path}/respond", {"action": "reject"}, bob), {(200, 409), (409, 200)}),
            "cancel": (("DELETE", path, None, alice), {(200, 200), (404, 200), (409, 200)}),
            "all": (("POST", "connections/accept-all", None, bob), {(200, 200), (409, 200)}),
        }[race]
        answers = await asyncio.gather(
            *(who.ask(method, where, json=json) for method, where, json, who in (accept, other))
        )
        statuses = tuple(item.status_code for item in answers)
        assert statuses in expected
        left = {"cancel": None, "both": "accepted" if statuses[0] == 200 else "rejected"}.get(race, "accepted")
        rows = await world.rows(
            "select status from connection where org = $1 and id = $2", world.north.org.id, int(request["id"])
        )
        assert [row["status"] for row in rows] == ([left] if left else [])
        connections = 1 if left == "accepted" else 0
        assert (await counted(alice), await counted(bob)) == (connections, connections)


@pytest.mark.parametrize(
    ("method", "path", "json", "spoken"),
    [
        ("POST", "connections/request", {"targetId": BOB}, "connections.request"),
        ("PUT", "connections/1/respond", {"action": "accept"}, "connections.respond"),
        ("GET", "connections", None, "connections.list"),
        ("GET", "connections/pending", None, "connections.pending"),
        ("GET", "connections/sent", None, "connections.sent"),
        ("GET", "connections/stats", None, "connections.stats"),
        ("GET", f"connections/mutual/{BOB}", None, "connections.mutual"),
        ("POST", "connections/accept-all", None, "connections.accept_all"),
        ("DELETE", "connections/1", None, "connections.end"),
    ],
)
async def test_each_route_is_one_statement(world: World, method: str, path: str, json: Any, spoken: str) -> None:
    alice, _ = await world.north.people("alice", "bob")
    await world.server_idle()
    before = len(world.server.spoken)
    await alice.ask(method, path, json=json)
    ours = [name for name in world.server.spoken[before:] if STATEMENTS[name].tenant]
    assert [name for name in ours if name not in ("connections.show", "people.due")] == [spoken]


@pytest.mark.parametrize("path", ["connections", "connections/pending", "connections/sent"])
async def test_a_walk_by_cursor_passes_over_nobody_where_several_have_one_position(
    world: World, prefix: str, path: str
) -> None:
    alice, *others = await world.north.people("alice", "bob", "carol", "dora", "emil")
    for number, other in enumerate(others):
        # Of either direction, where the list has both.
        sent = path == "connections/sent" or (path == "connections" and number % 2 == 1)
        asking, asked = (alice, other) if sent else (other, alice)
        request = await ask(asking, asked)
        if path == "connections":
            await answer(asked, request)
    # Two accept-alls of one millisecond give such positions; so did earlier versions, and those rows are still there.
    await world.rows("update connection set position = 7 where org = $1", world.north.org.id)
    whole, walked, cursor = await peers(alice, path), [], ""
    while cursor is not None:
        page = await alice.get(f"{path}?limit=1{cursor and f'&cursor={cursor}'}")
        assert page["total"] == len(others)
        walked += [item["peer"] for item in page["data"]]
        cursor = page["nextCursor"]
    assert walked == whole
    assert sorted(walked) == sorted(other.email for other in others)


async def test_a_cursor_of_a_position_alone_begins_below_it(world: World, prefix: str) -> None:
    alice, *others = await world.north.people("alice", "bob", "carol")
    for other in others:
        await connect(alice, other)
    newest = (await world.rows("select max(position) from connection where org = $1", world.north.org.id))[0][0]
    page = await alice.get(f"connections?cursor={encode(newest)}")
    assert [item["peer"] for item in page["data"]] == ["bob@mail.test"]
