"""A server that is told to stop loses nothing and throws nobody out without a word (guarantee G17)."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from tests.faults.load import Load
from tests.faults.people import Person, community
from tests.faults.readers import Parting, Reader
from tests.faults.records import Recorder
from tests.faults.senders import Ports
from tests.faults.servers import Served, serving
from tests.faults.wire import Broken, Line

IDLE = 100
"""Sockets that only listen, beside those of the load: enough for a stampede."""


class Drained(NamedTuple):
    """One stop: of which port, when it was told, when readiness was seen to be off, when it had ended, its status."""

    port: int
    told: float
    unready: float
    ended: float
    status: int
    sent_away: Sequence[datetime]
    """When each socket was, by the server's own clock: the readers of a busy machine see some of them at once."""

    def partings(self, readers: Sequence[Reader]) -> list[Parting]:
        """The sockets that it closed."""
        every = [parting for reader in readers for parting in reader.partings]
        return sorted(
            (one for one in every if one.port == self.port and self.told <= one.at <= self.ended),
            key=lambda one: one.at,
        )

    def summary(self, readers: Sequence[Reader]) -> str:
        """For whoever reads the log."""
        partings = self.partings(readers)
        spread = partings[-1].at - partings[0].at
        times = f"exit {self.ended - self.told:.1f} s, unready {self.unready - self.told:.2f} s"
        return f"{times}, {len(partings)} sockets over {spread:.1f} s"


async def test_a_rolling_restart_loses_nothing_and_sends_everybody_away_in_good_time(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder
) -> None:
    """F-DRAIN-1: SIGTERM under load, rolling restart of 2 processes, three stops one after another.

    Exit within 15 s; 0 lost; 0 x 5xx other than 503 after readiness went false; no message needs more than one retry;
    disconnects spread over 5 s, each after `going_away`.
    """
    one, two = (Served(tmp_path / name, database_url=fresh_database_url) for name in ("one", "two"))
    async with serving(one, two):
        faults = await community(fresh_database_url)
        load = Load(faults, [one.port, two.port], recorder, dice, 0.1)
        load.readers += [
            Reader(f"idle{number}", faults.person(f"idle{number // 10}"), [], Ports(load.ports, number), recorder)
            for number in range(IDLE)
        ]
        drained: list[Drained] = []

        async def restarts() -> None:
            for served in (one, two, one):
                await asyncio.sleep(dice.uniform(0.3, 1.0))
                drained.append(await drain(served, load.people["anna"]))
                await served.start()
            await asyncio.sleep(0.5)

        verdict = await load.through(restarts, lambda: fresh_database_url)
        print(verdict, *(stop.summary(load.readers) for stop in drained), sep="\n")
        assert not verdict.violations, verdict
        check_stops(drained, load.readers)
        check_answers(drained, recorder)
        assert one.broken() + two.broken() == []


async def drain(served: Served, person: Person) -> Drained:
    """Tells a server to stop, looks at its readiness and its door, and waits until it has ended."""
    told, logged = time.monotonic(), len(served.said("socket.closed"))
    served.tell(signal.SIGTERM)
    async with httpx2.AsyncClient(base_url=served.url) as http:
        while (await http.get("/readyz")).status_code == 200:
            assert time.monotonic() - told < 1
        unready = time.monotonic()
    with pytest.raises(Broken):
        await Line.open(served.port, person, lambda _event, _payload: None)
    status = await served.ended(20)
    closed = served.said("socket.closed")[logged:]
    sent_away = [datetime.fromisoformat(line["timestamp"]) for line in closed if line["reason"] == "going_away"]
    return Drained(served.port, told, unready, time.monotonic(), status, sent_away)


def check_stops(drained: Sequence[Drained], readers: Sequence[Reader]) -> None:
    """Each in time, each socket warned, and no more than a few at once."""
    for stop in drained:
        partings = stop.partings(readers)
        assert stop.status == 0
        assert stop.ended - stop.told <= 15
        assert len(partings) >= IDLE / 3
        assert {parting.word for parting in partings} == {"going_away"}
        assert partings[-1].at - stop.told >= 4.8
        assert len(stop.sent_away) >= IDLE / 3
        half_a_second = timedelta(seconds=0.5)
        within = [sum(timedelta() <= other - one < half_a_second for other in stop.sent_away) for one in stop.sent_away]
        print(f"at most {max(within)} of {len(within)} within half a second")
        assert max(within) <= len(within) / 6  # a tenth


def check_answers(drained: Sequence[Drained], recorder: Recorder) -> None:
    """503 only, and only from a server that had said that it is not ready; one retry is always enough."""
    assert recorder.statuses() <= {200, 201, 503}
    for answer in recorder.answers:
        if answer.status == 503:
            assert any(stop.port == answer.port and stop.told <= answer.at <= stop.ended for stop in drained)
    assert set(recorder.codes) == set()
    assert recorder.attempts() <= 2
