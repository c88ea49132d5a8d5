"""Who is connected to one process misses nothing because another, or the way between them, has died (G3, G5)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from plaza.store.embedded import PrivatePostgres
from plaza.store.embedded_folder import Layout
from plaza.store.embedded_server import says_ready
from tests.faults.load import Load
from tests.faults.people import community
from tests.faults.records import Recorder
from tests.faults.servers import Served, serving


async def test_readers_of_one_process_miss_nothing_when_the_other_is_killed(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder
) -> None:
    """F-DUR-1 with 2 app processes: kill -9 of one and of the other in turn under load, 3 rounds; all 0.

    Half of the time it is the one that relays, between its commit and its word to the other one.
    """
    servers = [Served(tmp_path / name, database_url=fresh_database_url) for name in ("one", "two")]
    async with serving(*servers):
        ports = [served.port for served in servers]
        load = Load(await community(fresh_database_url), ports, recorder, dice, 0.05)

        async def kills() -> None:
            supervisors = [asyncio.create_task(served.supervise()) for served in servers]
            for round_ in range(3):
                await asyncio.sleep(dice.uniform(0.7, 1.5))
                served = servers[round_ % 2]
                os.kill(served.pid, signal.SIGKILL)
                while len(served.deaths) <= round_ // 2:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(1.5)
            for supervisor in supervisors:
                supervisor.cancel()

        verdict = await load.through(kills, lambda: fresh_database_url)
        print(verdict)
        assert not verdict.violations, verdict
        assert [len(served.deaths) for served in servers] == [2, 1]
        assert [served.broken() for served in servers] == [[], []]


@contextlib.asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[PrivatePostgres, str]]:
    """A PostgreSQL of the test's own that is started again whenever it dies."""
    private = PrivatePostgres(folder)
    url = (await private.start()).url
    watching = asyncio.create_task(private.watch())
    try:
        yield private, url
    finally:
        await private.stop()
        await watching
        shutil.rmtree(folder)


async def test_readers_of_two_processes_miss_nothing_when_their_database_is_killed(
    tmp_path: Path, dice: random.Random, recorder: Recorder
) -> None:
    """F-DUR-2 with 2 app processes, whose bus is that database: kill -9 of its main process, 2 rounds; all 0."""
    layout = Layout(tmp_path / "database")
    async with watched(layout.root) as (private, url):
        servers = [Served(tmp_path / name, database_url=url) for name in ("one", "two")]
        async with serving(*servers):
            load = Load(await community(url), [served.port for served in servers], recorder, dice, 0.05)

            async def kills() -> None:
                for _ in range(2):
                    await asyncio.sleep(dice.uniform(0.7, 1.5))
                    dead = private.pid
                    assert dead is not None
                    os.kill(dead, signal.SIGKILL)
                    while private.pid == dead or says_ready(layout.pid_file) != private.pid:
                        await asyncio.sleep(0.02)
                    await asyncio.sleep(1.5)

            verdict = await load.through(kills, lambda: url)
            print(verdict)
            assert not verdict.violations, verdict
            assert recorder.statuses() == {200, 201, 503}
            assert [served.status for served in servers] == [None, None]
            assert [served.broken() for served in servers] == [[], []]
