"""Who sees what of a person, on every surface that shows one; and that nobody learns of those whom they do not see."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

from plaza.kernel.sql import STATEMENTS
from tests.api.test_directory import leave_directory, nobody, tie
from tests.world import Person, World

BOB, CAROL, NEVER = "bob@mail.test", "carol@mail.test", "never@mail.test"
CANARIES = {
    "firstName": "Firstcanary",
    "lastName": "Lastcanary",
    "image": "https://canary.test/image.png",
    "company": "Companycanary",
    "jobTitle": "Jobcanary",
    "about": "Aboutcanary",
    "phone": "+49 555 0001",
    "location": "Locationcanary",
}
SAID = {"headline": "Headlinecanary", "bio": "Biocanary"}
HIDING = {"showEmail": False, "showPhone": False, "showCompany": False, "showLocation": False}

PATHS = {
    "people": "people",
    "search": "people?q=firstcanary",
    "by company": "people?q=companycanary",
    "address": f"people/{BOB}",
    "id": "people/{id}",
    "suggestions": "people/suggestions",
    "followers": "followers",
    "following": "following",
    "connections": "connections",
    "pending": "connections/pending",
    "sent": "connections/sent",
    "rejected": "connections?status=rejected",
    "mutual": f"connections/mutual/{CAROL}",
    "threads": "messages/threads",
    "thread": f"messages/thread/{BOB}",
    "blocks": "blocks",
    "notifications": "notifications",
    "online": "presence/online",
}
NAMES = {"address", "id"}
CARD = NAMES | {"firstName", "lastName", "image", "company", "jobTitle"}
PROFILE = CARD | {"about", "location", "headline", "bio"}
FOUND = {"people": PROFILE, "search": PROFILE, "by company": PROFILE, "address": PROFILE, "id": PROFILE}
KNOWN = {"address": PROFILE, "id": PROFILE, "online": NAMES, "live": CARD}
"""Of somebody who has left the directory, whom the viewer has something to do with."""
VEILED = {"address"}
HERE = {"online": NAMES, "live": {"address"}}
OWN_STEPS = ("following", "sent", "threads", "thread", "live")
"""Where somebody stands whom the viewer alone has followed, asked and written to."""
HIDDEN = {"company", "location"}


def less(seen: dict[str, set[str]], fields: set[str]) -> dict[str, set[str]]:
    return {surface: kept for surface, known in seen.items() if (kept := known - fields)}


def but(seen: dict[str, set[str]], *surfaces: str) -> dict[str, set[str]]:
    return {surface: known for surface, known in seen.items() if surface not in surfaces}


UNBLOCKABLE = dict.fromkeys(("address", "id"), NAMES | {"firstName", "lastName", "image"})
"""Whom the viewer blocks: who it is, so that the block can be lifted."""
STEPS = dict.fromkeys(OWN_STEPS, CARD) | {"thread": VEILED}
TIED = {"followers": CARD, "connections": CARD, "threads": CARD, "thread": CARD, "mutual": CARD, "notifications": CARD}
SEEN: dict[tuple[str, str], dict[str, set[str]]] = {
    ("anonymous", "open"): less(FOUND, {"address"}),
    ("anonymous", "hiding"): less(but(FOUND, "by company"), HIDDEN | {"address"}),
    ("anonymous", "left"): {},
    ("stranger", "open"): FOUND | {"suggestions": PROFILE} | HERE,
    ("stranger", "hiding"): less(but(FOUND, "by company") | {"suggestions": PROFILE} | HERE, HIDDEN),
    ("stranger", "left"): {},
    # Who steps up alone: follows, asks and writes, by the address.
    ("suitor", "open"): FOUND | HERE | STEPS,
    ("suitor", "hiding"): less(but(FOUND, "by company") | HERE | STEPS, HIDDEN),
    ("suitor", "left"): dict.fromkeys(OWN_STEPS, VEILED),
    ("follower", "open"): FOUND | HERE | {"following": CARD},
    ("follower", "hiding"): less(but(FOUND, "by company") | HERE | {"following": CARD}, HIDDEN),
    ("follower", "left"): KNOWN | {"following": CARD, "live": {"address"}},
    ("connection", "open"): FOUND | HERE | TIED | {"live": CARD},
    ("connection", "hiding"): less(but(FOUND, "by company") | HERE | TIED | {"live": CARD}, HIDDEN),
    ("connection", "left"): KNOWN | TIED,
    # Who was asked and said no is a stranger again.
    ("refuser", "open"): FOUND | HERE | {"rejected": CARD, "notifications": CARD, "suggestions": set(), "live": CARD},
    ("refuser", "left"): {"rejected": VEILED, "notifications": VEILED, "live": CARD},
    # Whoever is blocked, or blocks, after all of that.
    ("blocked", "open"): {"live": CARD},
    ("blocked", "left"): {"live": CARD},
    ("blocker", "open"): {"blocks": CARD, "live": CARD} | UNBLOCKABLE,
    ("blocker", "left"): {"blocks": CARD, "live": CARD} | UNBLOCKABLE,
    ("staff", "open"): FOUND | {"suggestions": PROFILE} | HERE,
    ("staff", "left"): {"address": PROFILE | {"phone"}, "id": PROFILE | {"phone"}},
}
for surface in ("people", "search", "by company", "address", "id", "suggestions"):
    SEEN["staff", "open"] |= {surface: SEEN["staff", "open"][surface] | {"phone"}}
SEEN["staff", "hiding"] = but(SEEN["staff", "open"], "by company")


@pytest.mark.parametrize(("viewer", "state"), SEEN)
async def test_each_viewer_sees_on_each_surface_what_they_may_see_and_nothing_else(
    world: World, viewer: str, state: str
) -> None:
    bob, carol = await world.north.people("bob", "carol")
    described = {"communityProfile": SAID | {"visibility": HIDING if state == "hiding" else {}}}
    await bob.put("people/me", CANARIES | described)
    who = world.north.person("viewer", role="staff" if viewer == "staff" else "customer")
    await who.arrive()
    socket = await who.socket()
    await before(viewer, who, bob, carol)
    if state == "left":
        await leave_directory(bob)
    await who.world.server_idle()
    await after(viewer, who, bob)
    await bob.socket()
    await socket.settles()
    seen = {surface: canaries(await text(who, viewer, path.format(id=bob.id)), bob) for surface, path in PATHS.items()}
    if viewer != "anonymous":
        seen["live"] = canaries(json.dumps(socket.heard), bob)
    assert {surface: found for surface, found in seen.items() if found} == {
        surface: set(known) for surface, known in SEEN[viewer, state].items() if known
    }


async def before(viewer: str, who: Person, bob: Person, carol: Person) -> None:
    """What lies between the two before he leaves the directory."""
    if viewer == "follower":
        await who.post("follow", {"following": BOB}, status=201)
    if viewer in ("connection", "blocked", "blocker"):
        await bob.post("follow", {"following": who.email}, status=201)
        await bob.send(who)
        for one, other in ((bob, who), (who, carol), (bob, carol)):
            await tie(one, other)
    if viewer == "refuser":
        asked = await bob.post("connections/request", {"targetId": who.email}, status=201)
        await who.world.server_idle()
        await who.put(f"connections/{asked['id']}/respond", {"action": "reject"})


async def after(viewer: str, who: Person, bob: Person) -> None:
    """And afterwards."""
    if viewer == "suitor":
        await who.post("follow", {"following": BOB}, status=201)
        await who.post("connections/request", {"targetId": BOB}, status=201)
        await who.send(BOB)
    if viewer in ("blocked", "blocker"):
        one, other = (bob, who) if viewer == "blocked" else (who, bob)
        await one.post("blocks", {"targetId": other.email}, status=201)


async def text(who: Person, viewer: str, path: str) -> str:
    """What an answer says, but for the path that was asked."""
    return said(await (nobody(who.tenant, path) if viewer == "anonymous" else who.ask("GET", path)))


def said(answer: httpx2.Response) -> str:
    body = answer.json()
    if isinstance(body, dict):
        body = {field: value for field, value in body.items() if field not in ("path", "requestId")}
    return json.dumps(body, ensure_ascii=False)


def canaries(text: str, bob: Person) -> set[str]:
    """The fields of Bob that a text tells."""
    told = CANARIES | SAID | {"address": bob.email, "id": bob.id}
    return {field for field, canary in told.items() if canary in text}


BY_ADDRESS: list[tuple[str, str, Any]] = [
    ("GET", "people/{}", None),
    ("GET", "messages/thread/{}", None),
    ("GET", "connections/mutual/{}", None),
    ("PUT", "follow/{}", {"muted": True}),
    ("POST", "messages/thread/{}/read", None),
    ("DELETE", "blocks/{}", None),
    ("POST", "follow", {"following": "{}"}),
    ("POST", "follow", {"following": "{}", "muted": True}),
    ("PUT", "follow/{}", {"notifyOnPost": False}),
    ("GET", "following", None),
    ("POST", "connections/request", {"targetId": "{}", "message": "hi", "context": {"source": "qr_scan"}}),
    ("POST", "connections/request", {"targetId": "{}"}),
    ("GET", "connections/sent", None),
    ("GET", "connections?status=pending", None),
    ("GET", "connections", None),
    ("GET", "connections/stats", None),
    ("POST", "messages", {"to": "{}", "content": "hello", "clientId": "c-1"}),
    ("POST", "messages", {"to": "{}", "content": "hello", "clientId": "c-1"}),
    ("GET", "messages/threads", None),
    ("GET", "messages/thread/{}", None),
    ("POST", "messages/thread/{}/read", None),
    ("GET", "connections/mutual/{}", None),
    ("GET", "people/{}", None),
    ("POST", "blocks", {"targetId": "{}"}),
    ("GET", "blocks", None),
    ("GET", "following", None),
    ("GET", "messages/threads", None),
    ("POST", "messages", {"to": "{}", "content": "blocked"}),
    ("DELETE", "blocks/{}", None),
    ("DELETE", "follow/{}", None),
    ("GET", "presence/online", None),
]
"""What a stranger can do with an address, and see of it."""
BY_ID: list[tuple[str, str, Any]] = [
    ("GET", "people/{}", None),
    ("GET", "messages/thread/{}", None),
    ("GET", "connections/mutual/{}", None),
    ("PUT", "follow/{}", {"muted": True}),
    ("DELETE", "follow/{}", None),
    ("POST", "messages/thread/{}/read", None),
    ("POST", "follow", {"following": "{}"}),
    ("POST", "connections/request", {"targetId": "{}"}),
    ("POST", "messages", {"to": "{}", "content": "hello"}),
    ("POST", "blocks", {"targetId": "{}"}),
    ("DELETE", "blocks/{}", None),
]


@pytest.mark.parametrize("by", ["address", "id"])
async def test_who_has_left_the_directory_answers_a_stranger_like_nobody(world: World, prefix: str, by: str) -> None:
    alice, eve, bob = await world.north.people("alice", "eve", "bob")
    shown = {"communityProfile": SAID | {"connectionPreferences": {"autoAcceptQrScans": True}}}
    await bob.put("people/me", CANARIES | shown)
    await leave_directory(bob)
    await bob.socket()
    await world.server_idle()
    left, never = (BOB, NEVER) if by == "address" else (bob.id, "123456789012345678")
    steps = BY_ADDRESS if by == "address" else BY_ID
    for seen, unknown in zip(await walk(alice, left, steps), await walk(eve, never, steps), strict=True):
        assert seen == unknown


async def walk(stranger: Person, name: str, steps: list[tuple[str, str, Any]]) -> list[Any]:
    """What a stranger is told at each step, and what the server asked of its store to say so.

    What the relay and jobs ask, they ask about all organisations.
    """
    told = []
    for method, path, body in steps:
        before = len(stranger.world.server.spoken)
        answer = await stranger.ask(method, path.format(name), json=named(body, name))
        asked = [spoken for spoken in stranger.world.server.spoken[before:] if STATEMENTS[spoken].tenant]
        heard = said(answer).replace(name, "*").replace(stranger.email, "me").replace(stranger.id, "me")
        told.append((method, path, answer.status_code, re.sub(r"\d{15,19}|20\d\d-[-:.\dT]+Z", "#", heard), asked))
        await stranger.world.server_idle()
    return told


def named(body: Any, name: str) -> Any:
    return body and {field: name if value == "{}" else value for field, value in body.items()}


async def test_a_stranger_does_not_learn_how_a_message_fared_until_it_is_answered(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await leave_directory(bob)
    hers, his = await alice.socket(), await bob.socket()
    await alice.send(BOB)
    await his.hears("newMessage")
    await world.server_idle()
    await bob.post(f"messages/thread/{alice.email}/read")
    await hers.settles()
    assert hers.all("messageRead") == []
    (message,) = (await alice.get(f"messages/thread/{BOB}"))["data"]
    assert (message["status"], message["deliveredAt"], message["readAt"]) == ("sent", None, None)
    await bob.send(alice, "an answer")
    (_, message) = (await alice.get(f"messages/thread/{BOB}"))["data"]
    assert message["status"] == "read"
    assert (await alice.get("messages/threads"))[0]["peerInfo"]["id"] == bob.id
