"""One's own profile and preferences (contract, section 1.14)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plaza.domains.people import service as people
from plaza.kernel.clock import system_clock
from tests.world import World

EMPTY: dict[str, Any] = {
    "isPublic": True,
    "headline": None,
    "bio": None,
    "expertise": [],
    "interests": [],
    "lookingFor": [],
    "socialLinks": {},
    "visibility": {"showEmail": False, "showPhone": False, "showCompany": True, "showLocation": True},
    "connectionPreferences": {
        "autoAcceptQrScans": False,
        "allowMessagesFromNonConnections": True,
        "sendReadReceipts": True,
    },
}
WHOLE: dict[str, Any] = {
    "firstName": "Alice",
    "lastName": "Archer",
    "image": "https://cdn.test/a.png",
    "company": "Acme",
    "jobTitle": "Potter",
    "about": "About me.",
    "phone": "+49 30 1234",
    "location": "Berlin",
    "communityProfile": {
        "isPublic": False,
        "headline": "h" * 150,
        "bio": "b" * 1_000,
        "expertise": ["Clay", "Glaze"],
        "interests": ["日本"],
        "lookingFor": ["A kiln"],
        "socialLinks": {"mastodon": "https://social.test/@alice"},
        "visibility": {"showEmail": True, "showPhone": True, "showCompany": False, "showLocation": False},
        "connectionPreferences": {
            "autoAcceptQrScans": True,
            "allowMessagesFromNonConnections": False,
            "sendReadReceipts": False,
        },
    },
}


async def test_a_new_profile_is_empty_listed_and_open(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    profile = await alice.get("people/me")
    assert profile["communityProfile"] == EMPTY
    assert (profile["firstName"], profile["company"], profile["version"]) == ("", None, 1)


async def test_the_whole_profile_is_kept_and_what_is_left_out_stays(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    changed = await alice.put("people/me", WHOLE)
    assert {name: changed[name] for name in WHOLE} == WHOLE
    assert (changed["email"], changed["id"], changed["version"]) == (alice.email, alice.id, 2)
    assert changed["updatedAt"] > changed["createdAt"]
    assert await alice.get("people/me") == changed
    again = await alice.put("people/me", {"communityProfile": {"visibility": {"showPhone": False}}})
    expected = {**WHOLE["communityProfile"], "visibility": {**VISIBLE, "showPhone": False}}
    assert again["communityProfile"] == expected
    assert {name: again[name] for name in WHOLE if name != "communityProfile"} == {
        name: value for name, value in WHOLE.items() if name != "communityProfile"
    }
    assert (await alice.put("people/me", {}))["version"] == 4
    assert (await world.south.person("alice").get("people/me"))["firstName"] == ""


VISIBLE = WHOLE["communityProfile"]["visibility"]


async def test_null_clears_and_a_line_of_spaces_is_no_line(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    await alice.put("people/me", WHOLE)
    texts = ("firstName", "lastName", "image", "company", "jobTitle", "about", "phone", "location")
    described = ("headline", "bio", "expertise", "interests", "lookingFor", "socialLinks")
    cleared = await alice.put("people/me", dict.fromkeys(texts) | {"communityProfile": dict.fromkeys(described, None)})
    assert [cleared[name] for name in texts] == ["", "", None, None, None, None, None, None]
    assert {name: cleared["communityProfile"][name] for name in described} == {name: EMPTY[name] for name in described}
    assert cleared["communityProfile"]["visibility"] == VISIBLE
    blank = await alice.put("people/me", {"company": "  ", "firstName": " Al ", "communityProfile": {"bio": "\n"}})
    assert (blank["company"], blank["firstName"], blank["communityProfile"]["bio"]) == (None, "Al", None)


async def test_the_same_word_twice_is_one(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    sent = ["Café", "Tea ", "CAFE", " ", "tea"]
    changed = await alice.put("people/me", {"communityProfile": {"interests": sent}})
    assert changed["communityProfile"]["interests"] == ["Café", "Tea"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"email": "x@mail.test"}, "email"),
    ({"id": "1"}, "id"),
    ({"status": "active"}, "status"),
    ({"createdAt": "2026-01-01T00:00:00.000Z"}, "createdAt"),
    ({"image": "javascript:x"}, "image"),
    ({"image": ""}, "image"),
    ({"firstName": 5}, "firstName"),
    ({"firstName": "x" * 101}, "firstName"),
    ({"about": "x" * 2_001}, "about"),
    ({"phone": "1" * 41}, "phone"),
    ({"location": "x" * 201}, "location"),
    ({"version": -1}, "version"),
    ({"version": "1"}, "version"),
    ({"communityProfile": None}, "communityProfile"),
    ({"communityProfile": {"isPublic": None}}, "communityProfile.isPublic"),
    ({"communityProfile": {"isPublic": "yes"}}, "communityProfile.isPublic"),
    ({"communityProfile": {"headline": "x" * 151}}, "communityProfile.headline"),
    ({"communityProfile": {"bio": "x" * 1_001}}, "communityProfile.bio"),
    ({"communityProfile": {"expertise": "python"}}, "communityProfile.expertise"),
    ({"communityProfile": {"expertise": ["x"] * 31}}, "communityProfile.expertise"),
    ({"communityProfile": {"interests": ["x" * 51]}}, "communityProfile.interests[0]"),
    ({"communityProfile": {"interests": [""]}}, "communityProfile.interests[0]"),
    ({"communityProfile": {"lookingFor": [None]}}, "communityProfile.lookingFor[0]"),
    ({"communityProfile": {"socialLinks": {"x": "ftp://a.test"}}}, "communityProfile.socialLinks[...]"),
    ({"communityProfile": {"socialLinks": {"x": "@alice"}}}, "communityProfile.socialLinks[...]"),
    ({"communityProfile": {"socialLinks": []}}, "communityProfile.socialLinks"),
    ({"communityProfile": {"visibility": {"showAll": True}}}, "communityProfile.visibility"),
    ({"communityProfile": {"visibility": {"showEmail": 1}}}, "communityProfile.visibility.showEmail"),
    ({"communityProfile": {"connectionPreferences": None}}, "communityProfile.connectionPreferences"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=[f"{n}-{field}" for n, (_, field) in enumerate(BAD)])
async def test_a_bad_field_is_named_and_nothing_is_changed(world: World, body: dict[str, Any], field: str) -> None:
    (alice,) = await world.north.people("alice")
    before = await alice.get("people/me")
    answer = await alice.ask("PUT", "people/me", json={"lastName": "Changed"} | body)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field), answer.text
    assert await alice.get("people/me") == before


async def test_a_change_for_another_version_is_refused(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    version = (await alice.put("people/me", {"company": "One"}))["version"]
    assert (await alice.put("people/me", {"company": "Two", "version": version}))["version"] == version + 1
    stale = {"company": "Three", "version": version}
    assert await alice.refused("PUT", "people/me", stale) == (409, "person.version")
    assert (await alice.get("people/me"))["company"] == "Two"
    for named in ('"99"', f'"{version}"', "nonsense"):
        refusal = await alice.refused("PUT", "people/me", {"company": "Three"}, headers={"if-match": named})
        assert refusal == (409, "person.version"), named
    for named in (f'"1", W/"{version + 1}"', "*", str(version + 3)):
        await alice.put("people/me", {"company": "Four"}, headers={"if-match": named})
    assert (await alice.get("people/me"))["version"] == version + 4


async def test_changes_at_one_moment_are_all_kept_and_of_one_version_one_is(world: World) -> None:
    (alice,) = await world.north.people("alice")
    names = ("firstName", "lastName", "company", "jobTitle", "about", "phone")
    await asyncio.gather(*(alice.put("people/me", {name: name.upper()}) for name in names))
    profile = await alice.get("people/me")
    assert [profile[name] for name in names] == [name.upper() for name in names]
    assert profile["version"] == 1 + len(names)
    answers = await asyncio.gather(
        *(alice.ask("PUT", "people/me", json={"company": str(n), "version": profile["version"]}) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


async def test_the_platforms_path_leads_to_the_same_profile(world: World) -> None:
    (alice,) = await world.north.people("alice")
    changed = await alice.put("/client-data/profile", {"firstName": "Alice", "communityProfile": {"bio": "Hi"}})
    assert await alice.get("people/me") == changed
    assert await alice.get("/client-data/profile") == changed


async def test_a_retry_with_a_key_changes_once(world: World, prefix: str) -> None:
    (alice,) = await world.north.people("alice")
    key = {"idempotency-key": "k-1"}
    await alice.put("people/me", {"company": "Acme"}, headers=key)
    now = await alice.put("people/me", {"company": "Other"})
    assert await alice.put("people/me", {"company": "Acme"}, headers=key) == now
    assert (await alice.get("people/me"))["company"] == "Other"


async def test_cards_do_not_show_a_company_that_is_hidden(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.put("people/me", {"company": "Acme", "jobTitle": "Potter"})
    await alice.send(bob)
    await bob.post("blocks", {"targetId": (await world.north.person("carol").arrive()).email}, status=201)
    assert (await bob.get("messages/threads"))[0]["peerInfo"]["company"] == "Acme"
    await alice.put("people/me", {"communityProfile": {"visibility": {"showCompany": False}}})
    card = (await bob.get("messages/threads"))[0]["peerInfo"]
    assert (card["company"], card["jobTitle"], card["email"]) == (None, "Potter", alice.email)
    await world.server_idle()
    assert (await bob.get("notifications"))["data"][0]["actorInfo"]["company"] is None


async def test_a_suspended_person_is_refused_at_the_next_request_and_cut_from_sockets(world: World) -> None:
    (alice,) = await world.north.people("alice")
    (twin,) = await world.south.people("alice")
    socket, other = await alice.socket(), await twin.socket()
    person = await people.suspend(world.store, world.north.org, alice.email, system_clock())
    world.server.loop.call_soon_threadsafe(
        lambda: world.server.plaza.switchboard.forget(world.north.org.id, person=person)
    )
    await socket.closed.wait()
    assert await alice.refused("GET", "people/me") == (403, "person.suspended")
    assert other.client.connected
    await people.suspend(world.store, world.north.org, alice.email, system_clock(), lift=True)
    assert (await alice.get("people/me"))["email"] == alice.email
