"""Counters are what a recount gives, whatever happens at one moment and whatever is killed (guarantee G8)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx2

from tests.faults.length import length
from tests.faults.people import Person, community
from tests.faults.servers import Served, serving

CLIENTS, TARGETS = 16, 5
STEPS = length(1_000, 10_000)


class Act(NamedTuple):
    """What a client does, and how often; `WHOM` is a target, `FIRST` the id of the first that `listed` shows."""

    weight: int
    method: str
    path: str
    body: dict[str, str] | None = None
    listed: str = ""


ACTS = [
    Act(8, "POST", "follow", {"following": "WHOM"}),
    Act(6, "DELETE", "follow/WHOM"),
    Act(8, "POST", "connections/request", {"targetId": "WHOM"}),
    Act(4, "PUT", "connections/FIRST/respond", {"action": "accept"}, "connections/pending"),
    Act(1, "PUT", "connections/FIRST/respond", {"action": "reject"}, "connections/pending"),
    Act(1, "POST", "connections/accept-all"),
    Act(3, "DELETE", "connections/FIRST", None, "connections"),
    Act(2, "DELETE", "connections/FIRST", None, "connections/sent"),
    Act(1, "POST", "blocks", {"targetId": "WHOM"}),
    Act(3, "DELETE", "blocks/WHOM"),
    Act(2, "POST", "messages", {"to": "WHOM", "content": "x"}),
    Act(1, "DELETE", "messages/FIRST", None, "messages/thread/WHOM"),
]
EXPECTED = {200, 201, 403, 404, 409, 503}


class Toggling:
    """Sixteen people who tie and untie themselves with five of them at once, one step after another each."""

    def __init__(self, people: list[Person], url: str, dice: random.Random) -> None:
        self.answers: Counter[int] = Counter()
        self.unanswered = 0
        self._people = people
        self._http = httpx2.AsyncClient(base_url=f"{url}/client/community/", timeout=10)
        self._dice = dice

    @property
    def done(self) -> int:
        """Steps that were answered."""
        return sum(self.answers.values())

    async def through(self) -> None:
        """All the steps."""
        async with self._http:
            await asyncio.gather(*(self._client(person) for person in self._people))

    async def _client(self, me: Person) -> None:
        targets = [person.email for person in self._people[:TARGETS] if person != me]
        while self.done < STEPS:
            (act,) = self._dice.choices(ACTS, [act.weight for act in ACTS])
            try:
                self.answers[await self._step(act, me, self._dice.choice(targets))] += 1
            except httpx2.HTTPError:
                self.unanswered += 1
                await asyncio.sleep(0.05)

    async def _step(self, act: Act, me: Person, whom: str) -> int:
        first = await self._first(me, act.listed.replace("WHOM", whom)) if act.listed else ""
        path = act.path.replace("WHOM", whom).replace("FIRST", first)
        body = act.body and {name: whom if value == "WHOM" else value for name, value in act.body.items()}
        return (await self._http.request(act.method, path, json=body, headers=me.headers)).status_code

    async def _first(self, me: Person, path: str) -> str:
        """The id of the first in a list; one that is nobody's where there is none."""
        answer = await self._http.get(f"{path}?limit=1", headers=me.headers)
        listed = answer.json().get("data")
        return listed[0]["id"] if listed else "1"


async def test_ten_thousand_toggles_and_two_kills_leave_every_counter_what_a_recount_gives(
    tmp_path: Path, dice: random.Random
) -> None:
    """S-CNT-1: 16 clients, 10,000 concurrent toggles (follow, block, remove …), kill -9 twice.

    Every counter = recount; never < 0; the repair command then changes 0 rows.
    """
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        toggling = Toggling([faults.person(f"p{number}") for number in range(CLIENTS)], served.url, dice)
        supervisor = asyncio.create_task(served.supervise())

        async def kill(after: float) -> None:
            while toggling.done < STEPS * after:
                await asyncio.sleep(0.005)
            os.kill(served.pid, signal.SIGKILL)

        await asyncio.gather(toggling.through(), kill(0.3), kill(0.7))
        supervisor.cancel()
        print(dict(toggling.answers), f"{toggling.unanswered} without an answer")
        assert [death.status for death in served.deaths] == [-signal.SIGKILL] * 2
        assert set(toggling.answers) <= EXPECTED
        assert toggling.answers[200] + toggling.answers[201] > STEPS / 3
        assert await said(served, "--dry-run") == ["0 counters differ"]
        assert await said(served) == ["0 counters repaired"]
        await check_sums(served.database_url)
        assert served.broken() == []


async def said(served: Served, *flags: str) -> list[str]:
    """What `plaza counts repair` says beside the running server."""
    command = [sys.executable, "-m", "plaza", "counts", "repair", *served.store_options, *flags]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()


async def check_sums(url: str) -> None:
    """A recount of our own: every edge counts once on either side, and there are some."""
    connection = await asyncpg.connect(url)
    try:
        kept = await connection.fetchrow(
            """select sum(followers), sum(following), sum(connections), min(least(followers, following, connections))
            from tie_count"""
        )
        follows = await connection.fetchval("select count(*) from follow")
        connections = await connection.fetchval("select count(*) from connection where status = 'accepted'")
    finally:
        await connection.close()
    assert tuple(kept)[:3] == (follows, follows, 2 * connections)
    assert kept[3] >= 0
    assert follows
