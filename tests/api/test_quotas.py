"""What a person and an organisation may write in a day, in bytes: on REST and sockets together, repeated or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.reached import remember
from tests.server import SETTINGS, Running
from tests.world import Person, World

PERSON, ORGANISATION = 20_000, 50_000
QUOTAS = msgspec.structs.replace(
    SETTINGS, rate_limits="on", person_bytes_a_day=PERSON, organisation_bytes_a_day=ORGANISATION
)
MINE, EVERYBODYS = (429, "quota.person_bytes"), (429, "quota.organisation_bytes")
TEXT = "x" * 6_000


@pytest.fixture
async def quotas(own_database_url: str, run_folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    chosen = request.getfixturevalue("prefix") if "prefix" in request.fixturenames else "client/community"
    with Running(own_database_url, QUOTAS) as server:
        async with World(server, chosen) as world:
            yield world
        remember(server, run_folder)


def body(to: Person, **more: Any) -> dict[str, Any]:
    return {"to": to.email, "content": TEXT, **more}


async def test_bytes_of_a_person_are_counted_on_rest_and_sockets_together(quotas: World, prefix: str) -> None:
    alice, bob = await quotas.north.people("alice", "bob")
    elsewhere, other = await quotas.south.people("alice", "bob")
    socket = await alice.socket()
    await alice.post("messages", body(bob), status=201)
    assert (await socket.ask("sendMessage", body(bob)))["success"] is True
    await alice.post("messages", body(bob, clientId="again"), status=201, headers={"idempotency-key": "k"})
    over = await alice.ask("POST", "messages", json=body(bob))
    assert (over.status_code, over.json()["reason"]) == MINE
    assert 1 < int(over.headers["retry-after"]) <= 86_400
    assert (await socket.ask("sendMessage", body(bob)))["code"] == "quota.person_bytes"
    again = {"headers": {"idempotency-key": "k"}}
    assert await alice.refused("POST", "messages", body(bob, clientId="again"), **again) == MINE, "repeated or not"
    assert (
        await alice.refused("PUT", "people/me", {"about": "z" * 990, "communityProfile": {"bio": "z" * 990}}) == MINE
    ), "every write counts"
    # What reads, and what is small, goes on; so do others.
    assert (await alice.get(f"messages/thread/{bob.email}"))["total"] == 3
    assert isinstance(await socket.ask("getOnlineUsers"), list)
    await alice.post("messages", {"to": bob.email, "content": "short"}, status=201)
    await bob.post("messages", body(alice), status=201)
    await elsewhere.post("messages", body(other), status=201)


async def test_bytes_of_an_organisation_are_everybodys(quotas: World, prefix: str) -> None:
    people = await quotas.north.people("alice", "bob", "carol", "dora")
    elsewhere, other = await quotas.south.people("alice", "bob")
    alice, bob, carol, dora = people
    for sender, to, count in ((alice, bob, 3), (bob, alice, 3), (carol, alice, 2)):
        for _ in range(count):
            await sender.post("messages", body(to), status=201)
    assert await dora.refused("POST", "messages", body(alice)) == EVERYBODYS
    socket = await dora.socket()
    assert (await socket.ask("sendMessage", body(alice)))["code"] == "quota.organisation_bytes"
    await elsewhere.post("messages", body(other), status=201)


async def test_a_refused_byte_costs_nothing(quotas: World) -> None:
    alice, bob = await quotas.north.people("alice", "bob")
    for _ in range(2):
        await alice.post("messages", body(bob), status=201)
    for _ in range(5):
        assert await alice.refused("POST", "messages", {"to": bob.email, "content": "y" * 9_000}) == MINE
    await alice.post("messages", body(bob), status=201)


async def test_strangers_cannot_use_up_what_the_members_may_write(quotas: World) -> None:
    """A sign-in of blanks costs its sender nothing; three of them took the organisation's day."""
    (alice, bob), blanks = await quotas.north.people("alice", "bob"), " " * 20_000
    for _ in range(4):
        answer = await quotas.http.post(
            "/profile/customer/signin",
            content=f'{{"email":"nobody@mail.test",{blanks}"password":"wrong 12345"}}',
            headers={"orgid": quotas.north.slug, "content-type": "application/json"},
        )
        assert (answer.status_code, answer.json()["reason"]) == (401, "auth.invalid_credentials")
    await alice.post("messages", body(bob), status=201)
