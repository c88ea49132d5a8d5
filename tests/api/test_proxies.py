"""Behind reverse proxies each client counts for itself, and nobody says where they are but whom the operator trusts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from plaza.kernel.limits import SIGN_INS
from tests.server import SETTINGS, Running
from tests.world import Tenant, World

PROXIES = ["127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"]
PASSED, REFUSED = 400, 429
ALICE, BOB = "203.0.113.7", "203.0.113.8"
Lines = list[tuple[str, str]]


@contextlib.asynccontextmanager
async def behind(database_url: str, *proxies: str) -> AsyncIterator[World]:
    """A world that limits, seen from 127.0.0.1."""
    settings = msgspec.structs.replace(SETTINGS, rate_limits="on", trusted_proxies=list(proxies))
    with Running(database_url, settings) as server:
        async with World(server, "client/community") as world:
            yield world


async def signs_in(tenant: Tenant, *lines: tuple[str, str], http: httpx2.AsyncClient | None = None) -> int:
    """The status of an attempt, for which the address pays before anybody looks at what is in it."""
    headers = [("orgid", tenant.slug), *lines]
    answer = await (http or tenant.world.http).post("/profile/customer/signin", json={}, headers=headers)
    return answer.status_code


async def spends(tenant: Tenant, *lines: tuple[str, str]) -> None:
    """Takes all that an address may."""
    statuses = [await signs_in(tenant, *lines) for _ in range(SIGN_INS.capacity + 5)]
    assert statuses[: SIGN_INS.capacity] == [PASSED] * SIGN_INS.capacity
    assert REFUSED in statuses


async def spent(tenant: Tenant, *lines: tuple[str, str]) -> bool:
    """Whether an address has nothing left: one token may have come since, not three."""
    return REFUSED in [await signs_in(tenant, *lines) for _ in range(3)]


def forwarded(text: str) -> tuple[str, str]:
    return ("x-forwarded-for", text)


async def test_who_trusts_no_proxy_counts_the_peer_whatever_it_says(own_database_url: str) -> None:
    async with behind(own_database_url) as world:
        names = ("x-forwarded-for", "x-real-ip", "forwarded", "x-client-ip", "cf-connecting-ip")
        statuses = [
            await signs_in(world.north, *((name, f"203.0.113.{number}") for name in names))
            for number in range(SIGN_INS.capacity + 5)
        ]
        assert REFUSED in statuses
        assert await spent(world.north)
        assert not await spent(world.south), "attempts count for each organisation"


async def test_clients_behind_a_trusted_proxy_count_each_for_themselves(own_database_url: str) -> None:
    async with behind(own_database_url, *PROXIES) as world:
        await spends(world.north, forwarded(ALICE))
        assert not await spent(world.north, forwarded(BOB))
        assert not await spent(world.south, forwarded(ALICE))
        for lines in (
            [forwarded(f"{BOB}, 198.51.100.1, {ALICE}")],
            [forwarded(BOB), forwarded(ALICE)],
            [forwarded(f"{ALICE}, 10.0.0.5,10.1.2.3")],
            [forwarded(f"{BOB},{ALICE}"), forwarded("10.0.0.5"), forwarded("2001:db8:ffff::1")],
            [forwarded(ALICE), ("x-real-ip", BOB), ("forwarded", f"for={BOB}")],
        ):
            assert await spent(world.north, *lines), lines
        assert not await spent(world.north, forwarded(ALICE), forwarded("198.51.100.2")), "a line is not the last word"


@pytest.mark.parametrize(
    ("one", "other", "stranger"),
    [
        ("203.0.113.7", "203.0.113.7:4711", "203.0.113.70"),
        ("203.0.113.7", "::ffff:203.0.113.7", "::ffff:203.0.113.9"),
        ("::ffff:203.0.113.7", "[::FFFF:cb00:7107]:443", "::ffff:cb00:7108"),
        ("2001:db8:1:2::5", "[2001:db8:1:2:ffff::9]:4711", "2001:db8:1:3::5"),
        ("2001:db8::1", "[2001:0DB8:0:0:8000::]", "2001:db8:0:1::1"),
    ],
    ids=["port", "mapped", "mapped in brackets", "network", "network of zeros"],
)
async def test_an_address_is_the_same_however_it_is_written(
    own_database_url: str, one: str, other: str, stranger: str
) -> None:
    async with behind(own_database_url, *PROXIES) as world:
        await spends(world.north, forwarded(one))
        assert await spent(world.north, forwarded(other))
        assert not await spent(world.north, forwarded(stranger))


async def test_what_is_no_address_counts_for_the_last_proxy_that_said_one(own_database_url: str) -> None:
    async with behind(own_database_url, *PROXIES) as world:
        await spends(world.north)
        for text in (
            "," * 1_024,
            "unknown",
            "",
            "203.0.113.300",
            f"{ALICE},",
            "[]",
            "[2001:db8::1",
            "127.1",
            ALICE + ";",
        ):
            assert await spent(world.north, forwarded(text)), text
        for name, value in (("x-real-ip", ALICE), ("forwarded", f"for={ALICE}")):
            assert await spent(world.north, (name, value)), "of these nothing is read, from nobody"
        assert not await spent(world.north, forwarded("unknown, 10.0.0.5")), "that proxy is another one"
        assert not await spent(world.south, forwarded("unknown"))


async def test_a_proxy_that_is_not_trusted_is_a_client_like_any_other(own_database_url: str) -> None:
    async with behind(own_database_url, "10.0.0.0/8", "127.0.0.1/32") as world:
        way = httpx2.AsyncHTTPTransport(local_address="127.0.0.9")
        async with httpx2.AsyncClient(base_url=world.url, transport=way) as elsewhere:
            statuses = [
                await signs_in(world.north, forwarded(f"203.0.113.{number}"), http=elsewhere)
                for number in range(SIGN_INS.capacity + 5)
            ]
        assert REFUSED in statuses
        assert await spent(world.north, forwarded("127.0.0.9"))
        assert not await spent(world.north, forwarded("203.0.113.1")), "nobody spends what is another's"


async def test_mail_is_not_shown_where_a_proxy_brings_people_in(own_database_url: str) -> None:
    async with behind(own_database_url, *PROXIES) as world:
        for headers in ({}, dict([forwarded(ALICE)])):
            assert (await world.http.get("/outbox", headers=headers)).status_code == 404
