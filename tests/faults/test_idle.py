"""Thousands of sockets that only listen cost little, and nobody who speaks notices them (F-IDLE-1)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.faults.crowd import crowd
from tests.faults.length import length
from tests.faults.people import community
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served, serving
from tests.faults.watch import cpu, memory, p99, witness

CROWD = length(1_000, 10_000)
SECONDS = length(5.0, 300.0)
BASE_MB, EACH_MB = 100, 0.05
"""What a server of no sockets may take, and each of them: 600 MB for ten thousand."""
PROMPT_SECONDS = length(1.0, 0.25)
"""How long a send may take, but for one in a hundred; in short runs other tests have the cores as well."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the crowd needs as many loopback addresses as heads")


async def test_a_crowd_that_only_listens_costs_little_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """F-IDLE-1: idle sockets of two client processes, five minutes long.

    All alive; RSS within 600 MB for 10,000; CPU within 20 % of a core while nobody speaks; then send p99 within 250 ms.
    """
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        people = faults.people(*(f"member{number}" for number in range(CROWD)))
        anna, bert = faults.people("anna", "bert")
        send = lambda http: http.post(MESSAGES, json={"to": bert.email, "content": "still there?"})  # noqa: E731
        half = CROWD // 2
        async with crowd(served.port, people[:half]) as some, crowd(served.port, people[half:], half) as others:
            await asyncio.gather(some.ask("come"), others.ask("come"))
            await asyncio.sleep(length(1.0, 10.0))  # what their coming has begun
            before = cpu(served.pid)
            await asyncio.sleep(SECONDS / 2)
            share = (cpu(served.pid) - before) / (SECONDS / 2)
            async with witness(served, anna, send, 0.1) as sender:
                await asyncio.sleep(SECONDS / 2)
            alive = [(await each.ask("look"))["inside"] for each in (some, others)]
            waited = p99(sender.seconds)
            print(f"{alive} alive, {memory(served.pid):.0f} MB, {share:.1%} of a core, send p99 {waited:.3f} s")
            assert alive == [half, CROWD - half]
            assert memory(served.pid) <= BASE_MB + CROWD * EACH_MB
            assert share <= 0.2
            assert waited <= PROMPT_SECONDS
            assert sender.statuses == {201}
        assert served.broken() == []
