"""What was acknowledged is there, and everybody learns of it, whatever is killed (guarantees G1, G2, G5)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

from tests.faults.load import Load
from tests.faults.people import community
from tests.faults.readers import Reader
from tests.faults.records import Answer, Recorder
from tests.faults.servers import Death, Served, serving


async def test_nothing_acknowledged_is_lost_when_the_app_is_killed_five_times(
    tmp_path: Path, dice: random.Random, recorder: Recorder
) -> None:
    """F-DUR-1: kill -9 of the app at random moments under load, supervisor restarts, 5 rounds.

    Lost, duplicated, unexpected, order and gaps all 0; ready again within 5 s; every unknown retried with the same id
    and acknowledged within 10 s.
    """
    async with serving(Served(tmp_path / "plaza")) as (served,):
        load = Load(await community(served.database_url), [served.port], recorder, dice, 0.1)

        async def kills() -> None:
            supervisor = asyncio.create_task(served.supervise())
            for round_ in range(1, 6):
                await asyncio.sleep(dice.uniform(0.7, 1.7))
                os.kill(served.pid, signal.SIGKILL)
                while len(served.deaths) < round_:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            supervisor.cancel()

        verdict = await load.through(kills, lambda: served.database_url)
        print(verdict)
        assert not verdict.violations, verdict
        assert verdict.recovered > 0
        assert sum(reader.resets for reader in load.readers) == 0
        check_deaths(served.deaths, recorder)
        assert served.broken() == []


def check_deaths(deaths: list[Death], recorder: Recorder) -> None:
    """Five kills, each over in time; what the machine took for other tests is not the server's."""
    for death in deaths:
        print(f"away for {death.away:.2f} s, {death.queued:.2f} s of them waiting for a core")
    print(f"unknown for {recorder.doubt():.2f} s at most")
    assert [death.status for death in deaths] == [-signal.SIGKILL] * 5
    assert max(death.away - death.queued for death in deaths) <= 5
    assert recorder.doubt() - max(death.queued for death in deaths) <= 10


class Outage(NamedTuple):
    """One end of the database: when it was killed, and when its successor took connections."""

    killed: float
    ready: float

    def refusals(self, recorder: Recorder) -> list[Answer]:
        """The requests that were answered 503 meanwhile, and until the app had noticed."""
        return [one for one in recorder.answers if one.status == 503 and self.killed < one.at < self.ready + 2]

    def live_after(self, reader: Reader) -> float:
        """How long after it a reader heard the first message as it happened."""
        return min((at for at in reader.live_at.values() if at > self.ready), default=float("inf")) - self.ready


async def test_nothing_acknowledged_is_lost_when_the_database_is_killed_three_times(
    tmp_path: Path, dice: random.Random, recorder: Recorder
) -> None:
    """F-DUR-2: kill -9 of the database's main process under load, 3 rounds.

    All 0; the app does not exit; 503 + Retry-After while down, never 500; resumes within 5 s after the database is
    ready, live delivery included, with no restart of the app.
    """
    async with serving(Served(tmp_path / "plaza")) as (served,):
        load = Load(await community(served.database_url), [served.port], recorder, dice, 0.1)
        pid, outages = served.pid, []

        async def kills() -> None:
            for _ in range(3):
                await asyncio.sleep(dice.uniform(0.3, 1.3))
                dead, killed = served.postmaster(), time.monotonic()
                os.kill(dead, signal.SIGKILL)
                outages.append(Outage(killed, await served.database_ready(dead)))
                await resumed(outages[-1], load.readers)

        verdict = await load.through(kills, lambda: served.database_url)
        print(verdict, f"{sum(reader.resets for reader in load.readers)} resets", sep="; ")
        assert not verdict.violations, verdict
        assert (served.pid, served.status) == (pid, None)
        check_outages(outages, load.readers, recorder)
        assert served.broken() == []


async def resumed(outage: Outage, readers: list[Reader]) -> None:
    """Waits until somebody hears live messages again, so that one outage is not counted as part of the next."""
    async with asyncio.timeout(10):
        while min(outage.live_after(reader) for reader in readers) == float("inf"):
            await asyncio.sleep(0.02)


def check_outages(outages: list[Outage], readers: list[Reader], recorder: Recorder) -> None:
    """Said in time and in the right words, and over in time."""
    refusals = [outage.refusals(recorder) for outage in outages]
    served = [recorder.served_after(outage.ready) for outage in outages]
    live = [min(outage.live_after(reader) for reader in readers) for outage in outages]
    for outage, refused, again, told in zip(outages, refusals, served, live, strict=True):
        times = f"down {outage.ready - outage.killed:.2f} s, served again after {again:.2f} s, live after {told:.2f} s"
        print(f"{times}, {len(refused)} answers 503")
    assert recorder.statuses() == {200, 201, 503}
    assert set(recorder.codes) <= {"store.unavailable"}
    assert all(refusals)
    assert all(answer.retry_after for refused in refusals for answer in refused)
    assert max(served) <= 5
    assert max(live) <= 5
    assert recorder.doubt() <= 10
