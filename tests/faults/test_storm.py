"""Everybody is cut off in one moment and comes back: soon all are in, and others are served meanwhile (G14)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx2
import pytest

from tests.faults.crowd import crowd
from tests.faults.length import length
from tests.faults.people import community
from tests.faults.servers import Served, queued, serving
from tests.faults.watch import memory, p99, witness

CROWD = length(500, 5_000)
PROMPT_SECONDS = length(3.0, 1.0)
"""How long a request may take, but for one in a hundred; in short runs other tests have the cores as well."""
ME = "/client/community/people/me"
ONLINE = "/client/community/presence/online"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the crowd needs as many loopback addresses as heads")


async def test_a_storm_of_reconnections_passes_and_does_not_stop_anybody_else(tmp_path: Path) -> None:
    """F-STORM-1: sockets dropped at once and reconnecting (i) as Socket.IO does by default, (ii) without delay.

    All back within 20 s (i) and 60 s (ii), not counting for how long the server had no core; no OOM; REST p99 within
    1 s during the storm; who is turned away at the door gets 503 with `Retry-After`. The store is asked about presence
    and nothing else.
    """
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        people = faults.people(*(f"member{number}" for number in range(CROWD)))
        asking = lambda http: http.get(ME)  # noqa: E731
        async with (
            crowd(served.port, people) as members,
            witness(served, faults.person("witness"), asking, 0.02) as bystander,
        ):
            await members.ask("come")
            before, admitted = memory(served.pid), await spoken(bystander.http, "people")
            for manner, most in (("patient", 20), ("rude", 60)):
                bystander.seconds.clear()
                stolen = queued(served.pid)
                back = await members.ask("storm", manner, 3 * most)
                stolen = queued(served.pid) - stolen
                waited = p99(bystander.seconds)
                print(f"{manner}: {back}, REST p99 {waited:.3f} s, {memory(served.pid) - before:+.0f} MB")
                print(f"the server waited {stolen:.1f} s for a core")
                assert back["inside"] == CROWD
                assert back["seconds"] - stolen <= most
                assert set(back["count"]) <= {"503", "retry-after"}
                assert back["count"].get("503") == back["count"].get("retry-after")
                assert waited <= PROMPT_SECONDS
            assert memory(served.pid) - before <= 50
            assert await spoken(bystander.http, "people") == admitted
            assert len((await bystander.http.get(ONLINE)).json()) == CROWD
            assert bystander.statuses == {200}
        assert served.broken() == []


async def spoken(http: httpx2.AsyncClient, domain: str) -> int:
    """How many statements of a domain have been spoken to let people in."""
    counted = re.findall(
        rf'_seconds_count{{name="{domain}\.(?:arrive|by_subject)"}} ([\d.]+)', (await http.get("/metrics")).text
    )
    return int(sum(map(float, counted)))
