"""What a process remembers of tokens and organisations: for how long, of how many, and what takes it back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from plaza.entry import auth
from plaza.entry.auth import ORGANISATION_SECONDS, Authenticator, key_of
from plaza.entry.circular import Forget
from plaza.kernel.context import Organisation, OrgSettings, Principal

NORTH = Organisation(1, "north", "North", OrgSettings())
SOUTH = Organisation(2, "south", "South", OrgSettings())
SECONDS = 60
"""What a token lives."""


class House:
    """A store of two organisations that lets everybody in, counts who asks it, and can keep them waiting."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.passed = 1.0
        self.found = 0
        self.admitted: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.entry = Authenticator(self.find, self.admit, lambda: self.now, lambda: self.passed)

    async def find(self, slug: str) -> Organisation:
        self.found += 1
        await self.open.wait()
        return {"north": NORTH, "south": SOUTH}[slug]

    async def admit(self, org: Organisation, token: str) -> tuple[Principal, int]:
        self.admitted.append(token)
        await self.open.wait()
        return Principal(len(token), f"{token}@{org.slug}.test"), int(self.now.timestamp()) + SECONDS


async def test_a_token_is_verified_once_until_it_expires_and_for_one_organisation_alone() -> None:
    house = House()
    assert house.entry.known_token(NORTH, key_of("t")) is None
    let_in = await house.entry.remembered(NORTH, "t")
    house.now += timedelta(seconds=SECONDS - 1)
    assert await house.entry.remembered(NORTH, "t") is house.entry.known_token(NORTH, key_of("t")) is let_in
    assert house.entry.known_token(SOUTH, key_of("t")) is None
    assert (await house.entry.remembered(SOUTH, "t")).principal.email == "t@south.test"
    house.now += timedelta(seconds=1)
    assert house.entry.known_token(NORTH, key_of("t")) is None
    await house.entry.remembered(NORTH, "t")
    assert house.admitted == ["t", "t", "t"]


async def test_an_organisation_is_found_once_in_a_while_whatever_the_clock_is_set_to() -> None:
    house = House()
    assert house.entry.known_organisation("north") is None
    await house.entry.organisation("north")
    house.passed += ORGANISATION_SECONDS - 0.1
    assert await house.entry.organisation("north") is house.entry.known_organisation("north") is NORTH
    assert house.found == 1
    house.now -= timedelta(hours=1)
    assert house.entry.known_organisation("north") is NORTH
    house.passed += 0.2
    assert house.entry.known_organisation("north") is None


async def test_of_too_many_the_oldest_are_dropped_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MOST_TOKENS", 64)
    house = House()
    for number in range(1_000):
        await house.entry.remembered(NORTH, f"t{number}")
        assert len(list(house.entry.known())) <= 64
    kept = [number for number in range(1_000) if house.entry.known_token(NORTH, key_of(f"t{number}"))]
    assert kept == list(range(1_000 - len(kept), 1_000))
    assert len(kept) >= 56


async def test_what_is_taken_back_while_it_is_asked_for_is_not_remembered() -> None:
    house = House()
    house.open.clear()
    coming = asyncio.ensure_future(house.entry.organisation("north"))
    knocking = asyncio.ensure_future(house.entry.remembered(SOUTH, "t"))
    await asyncio.sleep(0)
    house.entry.forget(Forget(SOUTH.id))
    house.open.set()
    await asyncio.gather(coming, knocking)
    assert house.entry.known_organisation("north") is None
    assert house.entry.known_token(SOUTH, key_of("t")) is None


async def test_whoever_is_let_in_is_so_by_the_organisation_as_it_is_now() -> None:
    house = House()
    long_ago = await house.entry.organisation("north")
    await house.entry.remembered(long_ago, "t")
    assert house.found == 1
    house.entry.forget(Forget(NORTH.id))
    await house.entry.remembered(long_ago, "t")
    assert (house.found, house.admitted) == (2, ["t", "t"])


async def test_only_what_is_meant_is_taken_back() -> None:
    house = House()
    for org in (NORTH, SOUTH):
        await house.entry.organisation(org.slug)
        for token in ("1", "22"):
            await house.entry.remembered(org, org.slug[0] + token)  # of one organisation alone, as tokens are
    house.entry.forget(Forget(NORTH.id, person=3))
    assert [who.email for org, who in house.entry.known() if org == NORTH.id] == ["n1@north.test"]
    assert house.entry.known_token(SOUTH, key_of("s22")) is not None
    assert house.entry.known_organisation("north") is None
    assert house.entry.known_organisation("south") is SOUTH
