"""Guesses are slowed down and letters are counted, and neither takes an account from its owner (F6, F7, F22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from plaza.domains.accounts import limits, passwords
from plaza.entry.concurrency import EACH_NETWORK
from tests.api.test_accounts import OTHER, Door
from tests.reached import remember
from tests.server import SETTINGS, Running
from tests.world import PATIENCE, Tenant, World

WRONG = (401, "auth.invalid_credentials")
NO_MORE = (429, "mail.limited")


@pytest.fixture(scope="module")
def limited(module_database_url: str, run_folder: Path) -> Iterator[Running]:
    """A server that limits, behind a proxy that says from which network a request comes."""
    settings = msgspec.structs.replace(
        SETTINGS, rate_limits="on", trusted_proxies=["127.0.0.1"], letters_per_network=3, letters_per_organisation=8
    )
    with Running(module_database_url, settings) as running:
        yield running
        remember(running, run_folder)


@pytest.fixture
async def crowd(limited: Running) -> AsyncIterator[World]:
    async with World(limited, "client/community") as made:
        yield made


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that tries waited."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(limits, "wait", wait)
    return waited


class Elsewhere(Door):
    """A stranger of some network."""

    def __init__(self, tenant: Tenant, name: str, number: int) -> None:
        super().__init__(tenant, name)
        self.network = f"203.0.{number // 250}.{number % 250}"

    async def ask(self, path: str, json: Any, *, token: str | None = None) -> httpx2.Response:
        headers = {"orgid": self.tenant.slug, "x-forwarded-for": self.network}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        return await self.world.http.post(f"/{path}", json=json, headers=headers)


async def test_wrong_passwords_slow_down_the_next_ones_and_never_lock_the_owner_out(
    crowd: World, waits: list[float]
) -> None:
    for tenant in (crowd.north, crowd.south):
        await Elsewhere(tenant, "ann", 1).join()
    waits.clear()
    told = []
    for name in ("ann", "nobody"):
        for number in range(18):
            assert await Elsewhere(crowd.north, name, 10 + number).refused("signin", password=OTHER) == WRONG
        told.append(waits.copy())
        waits.clear()
    assert told[0] == told[1] == [1.0] * 5 + [4.0] * 5 + [8.0] * 3, "the same for an address that nobody has"
    owner = Elsewhere(crowd.north, "ann", 1)
    for _ in range(3):
        await owner.sign_in()
    assert waits == [8.0] * 3, "delayed, a bounded time"
    waits.clear()
    await Elsewhere(crowd.south, "ann", 1).sign_in()
    for _ in range(7):
        await Elsewhere(crowd.south, "ann", 2).sign_in()
    assert waits == [], "neither another organisation's, nor the right password"


async def test_a_try_that_the_server_could_not_check_was_not_wrong(
    crowd: World, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five that met a busy server slowed their owner down like five wrong ones."""
    door = Elsewhere(crowd.north, "eve", 1)
    await door.join()
    waits.clear()
    with monkeypatch.context() as busy:
        busy.setattr(passwords, "MOST_WAITING", 0)
        for number in range(6):
            stranger = Elsewhere(crowd.north, "eve", 50 + number)
            assert await stranger.refused("signin", password=OTHER) == (503, "server.busy")
            code = {"code": "a" * 26, "newPassword": OTHER}
            assert await stranger.refused("password/reset", **code) == (503, "server.busy")
    await door.sign_in()
    await door.post("password/forgot")
    await door.post("password/reset", code=await door.code(), newPassword=OTHER)
    assert waits == []


async def test_codes_are_slowed_down_for_themselves(crowd: World, waits: list[float]) -> None:
    door = Elsewhere(crowd.north, "ann", 1)
    answer = await door.join()
    for number in range(12):
        stranger = Elsewhere(crowd.north, "ann", 20 + number)
        path, more = ("verify", {}) if number % 2 else ("password/reset", {"newPassword": OTHER})
        assert await stranger.refused(path, code="a" * 26, **more) == (400, "auth.invalid_code")
    assert waits == [1.0] * 5 + [4.0] * 2
    waits.clear()
    assert (await door.sign_in())["user"] == answer["user"]
    assert waits == [], "guesses at codes do not slow down the password"
    await door.post("password/forgot")
    await door.post("password/reset", code=await door.code(), newPassword=OTHER)
    assert waits == [4.0]


async def test_one_network_and_one_session_have_few_tries(crowd: World, waits: list[float]) -> None:
    first = Elsewhere(crowd.north, "ann", 1)
    ann = first.holder(await first.join())
    change = {"currentPassword": OTHER, "newPassword": "a third horse 3"}
    answers = [
        await ann.ask("PUT", "/profile/password", json=change, headers={"x-forwarded-for": f"203.0.113.{number}"})
        for number in range(14)
    ]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 4
    assert int(answers[-1].headers["retry-after"]) >= 1
    bob = Elsewhere(crowd.north, "bob", 2)
    holder = bob.holder(await bob.join())
    sessions = [bob.holder(await bob.sign_in()) for _ in range(3)]
    tries = [
        (await session.ask("PUT", "/profile/password", json=change, headers={"x-forwarded-for": "203.0.113.99"}))
        for session in [holder, *sessions] * 7
    ]
    assert [answer.status_code for answer in tries][:20] == [401] * 20
    assert 429 in [answer.status_code for answer in tries], "a network has twenty at once, whatever it tries"
    stranger = Elsewhere(crowd.north, "carl", 113 * 250)
    stranger.network = "203.0.113.99"
    assert await stranger.refused("signin", password=OTHER) == (429, "rate.limited")
    assert waits


async def test_whatever_went_to_an_address_a_forgotten_password_gets_its_letter(world: World) -> None:
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann")
        for _ in range(7):
            await door.post("password/forgot")
        assert len(await door.mails()) == 5, "letters that say there is no account"
        await door.join()
        for _ in range(7):
            await door.sign_up(OTHER)
        before = len(await door.mails())
        assert before == 5 + 5
        assert await door.post("password/forgot") == {"success": True}
        assert len(await door.mails()) == before + 1
        await door.post("password/reset", code=await door.code(), newPassword=OTHER)
        await door.sign_in(OTHER)


async def test_of_requests_at_one_moment_only_as_many_get_a_letter_as_there_are(world: World) -> None:
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann")
        await door.join()
        await asyncio.gather(*(door.post("password/forgot") for _ in range(12)))
        await asyncio.gather(*(door.sign_up(OTHER) for _ in range(6)))
        subjects = [mail["subject"] for mail in await door.mails()]
        assert sum("Choose a new password" in subject for subject in subjects) == 5
        assert sum("already have an account" in subject for subject in subjects) == 4, "one was the first sign-up's"


async def test_after_an_hour_there_is_room_again(world: World) -> None:
    door = Door(world.north, "ann")
    await door.join()
    for _ in range(6):
        await door.post("password/forgot")
    await world.rows(
        "update mail_quota set sent = array(select at - interval '61 minutes' from unnest(sent) at) where org = $1",
        world.north.org.id,
    )
    before = len(await door.mails())
    for _ in range(6):
        await door.post("password/forgot")
    assert len(await door.mails()) == before + 5
    (row,) = await world.rows(
        "select cardinality(sent) as count from mail_quota where org = $1 and kind = 'recovery'", world.north.org.id
    )
    assert row["count"] == 5, "what is past is forgotten"


async def test_one_network_causes_few_letters_and_its_neighbours_get_their_accounts_back(
    crowd: World, waits: list[float]
) -> None:
    member = Elsewhere(crowd.north, "member", 1)
    await member.join()
    for number in range(3):
        await Elsewhere(crowd.north, f"new-{number}", 2).sign_up()
    for name in ("new", "member", "new-0"):
        assert await Elsewhere(crowd.north, name, 2).refused("signup", password=OTHER) == NO_MORE
    neighbour = Elsewhere(crowd.north, "member", 2)
    assert await neighbour.post("password/forgot") == {"success": True}
    assert "Choose a new password" in (await neighbour.mails())[0]["subject"]
    await Elsewhere(crowd.south, "new", 2).sign_up()
    await Elsewhere(crowd.north, "new", 3).sign_up()
    for number in range(9):
        assert await Elsewhere(crowd.north, f"other-{number}", 2).post("password/forgot") == {"success": True}
    for name in ("member", "nobody"):
        assert await Elsewhere(crowd.north, name, 2).refused("password/forgot") == NO_MORE


async def test_a_sign_up_that_fails_causes_no_letter(crowd: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as busy:
        busy.setattr(passwords, "MOST_WAITING", 0)
        for number in range(4):
            door = Elsewhere(crowd.north, f"busy-{number}", 60)
            assert await door.refused("signup", password=OTHER) == (503, "server.busy")
    for number in range(3):
        await Elsewhere(crowd.north, f"busy-{number}", 60).sign_up()
    assert await Elsewhere(crowd.north, "busy-3", 60).refused("signup", password=OTHER) == NO_MORE


async def test_many_networks_cannot_use_up_what_gets_an_account_back(crowd: World, waits: list[float]) -> None:
    member = Elsewhere(crowd.north, "member", 1)
    await member.join()
    for number in range(7):
        await Elsewhere(crowd.north, f"new-{number}", 10 + number).sign_up()
    assert await Elsewhere(crowd.north, "late", 30).refused("signup", password=OTHER) == NO_MORE
    assert await Elsewhere(crowd.north, "member", 31).refused("signup", password=OTHER) == NO_MORE
    for number in range(3):
        for name in ("nobody", "member"):
            door = Elsewhere(crowd.north, name, 40 + number)
            assert await door.post("password/forgot") == {"success": True}, "the same answer for everybody"
    assert len(await Elsewhere(crowd.north, "nobody", 1).mails()) == 0
    assert len(await member.mails()) == 2, "one in the hour, beside that of the sign-up"
    await member.post("password/reset", code=await member.code(), newPassword=OTHER)
    await Elsewhere(crowd.south, "new", 10).sign_up()


async def test_those_who_wait_after_wrong_tries_take_nobodys_place(
    crowd: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight that waited held all that a network may have in the store: its neighbours' requests were refused."""
    waiting, begun, over = 0, asyncio.Event(), asyncio.Event()

    async def wait(_seconds: float) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == EACH_NETWORK:
            begun.set()
        await over.wait()

    monkeypatch.setattr(limits, "wait", wait)
    for number in range(5):
        assert await Elsewhere(crowd.north, "ann", 30 + number).refused("signin", password=OTHER) == WRONG
    tries = [
        asyncio.create_task(Elsewhere(crowd.north, "ann", 40).refused("signin", password=OTHER))
        for _ in range(EACH_NETWORK)
    ]
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
    for tenant in (crowd.north, crowd.south):
        headers = {"orgid": tenant.slug, "x-forwarded-for": Elsewhere(tenant, "bob", 40).network}
        assert (await crowd.http.get("/client/community/people", headers=headers)).status_code == 200
        assert await Elsewhere(tenant, "bob", 40).refused("signin", password=OTHER) == WRONG
    over.set()
    assert await asyncio.gather(*tries) == [WRONG] * EACH_NETWORK
