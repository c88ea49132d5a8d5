"""Floods without a login: heads without end, silent connections, half bodies; others go on as before."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.faults.child import Child
from tests.faults.flood import flood
from tests.faults.length import length
from tests.faults.people import community
from tests.faults.servers import Served, serving
from tests.faults.watch import Witness, memory, p99, seconds_until, witness

ROUNDS = length(3, 30)
HEADS = length(24, 120)
CROWD, ADDRESSES = length(1_000, 10_000), length(50, 250)
OF_ONE_ADDRESS = 557
GROWTH_MB = 64
FLOOR_SECONDS = length(2.0, 0.25)
"""How long others may wait in any case, but for one in a hundred: in short runs other tests have the cores as well."""
CALM_SECONDS = length(1.0, 5.0)
HEAD_SECONDS = 6
LONGEST_LINE = 8_000
PATH = "/client/community/people/me"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a crowd needs many loopback addresses")


@pytest.fixture
async def server(
    tmp_path: Path, own_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Served, Witness, Child]]:
    """A server with a short deadline for heads, somebody who goes on using it, and a flood that has not begun."""
    monkeypatch.setenv("PLAZA_HEAD_SECONDS", str(HEAD_SECONDS))
    async with serving(Served(tmp_path / "plaza", database_url=own_database_url)) as (served,):
        person = (await community(own_database_url)).person("witness")
        async with (
            witness(served, person, lambda http: http.get(PATH), 0.01) as bystander,
            flood(served.port) as waves,
        ):
            await asyncio.sleep(CALM_SECONDS)
            yield served, bystander, waves
            assert bystander.statuses == {200}
        assert served.broken() == []
        assert max(map(len, served.log.encode().splitlines()), default=0) <= LONGEST_LINE


def waited(bystander: Witness, what: str) -> None:
    """Others waited at most twice as long as before, or as long as a busy machine makes them."""
    calm = p99(bystander.seconds[: bystander.calm])
    meanwhile = p99(bystander.seconds[bystander.calm :])
    print(f"{what}: others' p99 {calm * 1000:.0f} ms before, {meanwhile * 1000:.0f} ms meanwhile")
    assert meanwhile <= max(2 * calm, FLOOR_SECONDS)


async def test_heads_without_end_are_refused_and_nobody_waits(server: tuple[Served, Witness, Child]) -> None:
    served, bystander, waves = server
    bystander.calm = len(bystander.seconds)
    before = memory(served.pid)
    for _ in range(ROUNDS):
        assert await waves.ask("heads", HEADS) == {"431": HEADS}
    print(f"memory {memory(served.pid) - before:+.0f} MB")
    waited(bystander, "heads")
    assert memory(served.pid) - before <= GROWTH_MB


@pytest.mark.parametrize("kind", ["silent", "head", "body"])
async def test_of_one_address_a_hundred_may_owe_something(server: tuple[Served, Witness, Child], kind: str) -> None:
    served, bystander, waves = server
    bystander.calm = len(bystander.seconds)
    before = memory(served.pid)
    for _ in range(ROUNDS):
        seen = await waves.ask("hold", kind, OF_ONE_ADDRESS, 1)
        async with asyncio.timeout(HEAD_SECONDS - 1):  # before their time is over
            while seen["open"] > 100:
                seen = await waves.ask("look")
        assert set(seen) <= {"open", "none", "429"}
        await waves.ask("drop")
    print(f"memory {memory(served.pid) - before:+.0f} MB")
    waited(bystander, kind)
    assert memory(served.pid) - before <= GROWTH_MB


async def test_a_crowd_that_says_nothing_is_gone_in_time(server: tuple[Served, Witness, Child]) -> None:
    served, bystander, waves = server
    bystander.calm = len(bystander.seconds)
    before = memory(served.pid)
    seen = await waves.ask("hold", "silent", CROWD, ADDRESSES)

    async def gone() -> bool:
        return bool((await waves.ask("look"))["open"] == 0)

    seconds = await seconds_until(gone, HEAD_SECONDS + 10)
    print(f"{seen}, gone {seconds:.1f} s later; memory {memory(served.pid) - before:+.0f} MB")
    waited(bystander, "silence")
    assert memory(served.pid) - before <= GROWTH_MB


async def test_a_low_limit_of_open_files_keeps_nobody_out(tmp_path: Path, own_database_url: str) -> None:
    async with serving(Served(tmp_path / "plaza", database_url=own_database_url, files=256)) as (served,):
        person = (await community(own_database_url)).person("witness")
        async with flood(served.port) as waves:
            seen = await waves.ask("hold", "silent", OF_ONE_ADDRESS, 50)
            async with asyncio.timeout(5):
                while seen["open"] >= 256 - 100:
                    seen = await waves.ask("look")
            assert seen["open"] > 0
            async with httpx2.AsyncClient(base_url=served.url, headers=person.headers, timeout=5) as http:
                for _ in range(20):
                    assert (await http.get(PATH)).status_code == 200
        assert served.broken() == []
