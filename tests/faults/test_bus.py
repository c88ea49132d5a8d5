"""A bus that is away loses nothing and makes nobody wait (guarantee G16)."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg

from tests.faults.length import length
from tests.faults.load import FLAPPING, Load
from tests.faults.people import community
from tests.faults.readers import Reader
from tests.faults.records import Recorder
from tests.faults.servers import Served, serving
from tests.faults.watch import memory
from tests.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]
EVERY_SECONDS = length(0.1, 0.05)
"""Between two messages of each of the ten senders: 200 messages a second is the standard load."""
WRITE_SECONDS, DELAY_SECONDS = length(3.0, 1.0), length(5.0, 2.5)
"""The longest write, and the 99th of a hundred delivery delays; in short runs other tests have the cores as well."""
BACK_SECONDS = 10.0
"""How long after its return the bus may take to be what delivers."""
CALM_SECONDS = 2.0
"""Before the fault, to know the machine; the newest messages are still on their way when everybody stops."""
Act = Callable[[], None]


class Outage:
    """What a load met while the bus was away; `one` leads, whoever is on `two` hears by the bus."""

    def __init__(self, load: Load, one: Served, two: Served) -> None:
        self.begun = self.ended = self.back = 0.0
        self.grown = 0.0
        """Megabytes that the one of them took which took more."""
        self._load = load
        self._servers = (one, two)

    async def take(self, begin: Act, end: Act, seconds: float) -> None:
        """Lets the bus be away for so long, and waits until it delivers again; raises when it does not."""
        await asyncio.sleep(CALM_SECONDS)
        before = [memory(served.pid) for served in self._servers]
        self.begun = time.monotonic()
        begin()
        await asyncio.sleep(seconds)
        self.grown = max(memory(served.pid) - most for served, most in zip(self._servers, before, strict=True))
        await asyncio.to_thread(end)
        self.ended = time.monotonic()
        await self.recover()

    async def recover(self) -> None:
        """Waits until for a second nearly all is heard within 200 ms, or as fast as before on a busy machine."""
        fast = max(0.2, 2 * part(self.delays(0, self.begun), 0.8))
        while time.monotonic() - self.ended < BACK_SECONDS + 2:
            await asyncio.sleep(0.1)
            begun = time.monotonic() - 1.5
            late = self.delays(begun, begun + 1)
            if begun > self.ended and late and part(late, 0.8) < fast:
                self.back = begun - self.ended
                await asyncio.sleep(CALM_SECONDS)
                return
        raise AssertionError("it does not come back to live delivery")

    @property
    def steady(self) -> list[Reader]:
        """Those on the process that does not lead, who stay there."""
        port = self._servers[1].port
        readers = [reader for number, reader in enumerate(self._load.readers) if number not in FLAPPING]
        return [reader for reader in readers if reader.port == port]

    def delays(self, after: float, before: float) -> list[float]:
        """Seconds from asking to each delivery as it happened, of what was asked for between two moments, sorted."""
        asked = {message: at for message, _, at in self._asked() if after <= at < before}
        return sorted(
            at - asked[message] for reader in self.steady for message, at in reader.live_at.items() if message in asked
        )

    def unheard(self) -> list[str]:
        """What a reader who stayed did not hear by itself, the newest aside."""
        asked = list(self._asked())
        until = max(at for _, _, at in asked) - CALM_SECONDS
        return [
            f"{reader.name}: {message}"
            for reader in self.steady
            for message, thread, at in asked
            if at < until and thread in reader.heard.threads and message not in reader.live_at
        ]

    def _asked(self) -> Iterator[tuple[str, str, float]]:
        """Each acknowledged message, its conversation, and when it was asked for first."""
        first: dict[str, float] = {}
        for record in self._load.recorder.records:
            if record.kind == "invoke":
                first.setdefault(record.key, record.at)
            elif record.kind == "ok" and record.id is not None:
                yield record.id, record.thread, first[record.key]

    def slowest(self, after: float, before: float) -> float:
        """The longest that a write took which was asked for between two moments."""
        asked: dict[str, float] = {}
        took = [0.0]
        for record in self._load.recorder.records:
            if record.kind == "invoke":
                asked[record.key] = record.at
            elif record.kind == "ok" and after <= asked[record.key] < before:
                took.append(record.at - asked[record.key])
        return max(took)

    def check(self) -> None:
        """Says what was measured, and what every outage must keep: nobody waited, nobody had to ask for what it missed.

        A write may take longer than it should only where it took as long before the fault.
        """
        slowest = self.slowest(self.begun, self.ended)
        before = self.slowest(0, self.begun)
        print(
            f"away {self.ended - self.begun:.1f} s; live again after {self.back:.1f} s; slowest write {slowest:.2f} s,"
            f" {before:.2f} s before; memory {self.grown:+.1f} MB"
        )
        assert slowest <= max(WRITE_SECONDS, 3 * before)
        assert self.back <= BACK_SECONDS
        assert self.unheard() == []
        assert self._load.recorder.attempts() == 1
        assert self._load.recorder.statuses() == {200, 201}
        assert [served.broken() for served in self._servers] == [[], []]


def part(values: list[float], share: float) -> float:
    """What so great a share of sorted values does not exceed."""
    return values[int(len(values) * share)] if values else 0.0


def two(folder: Path, database_url: str, bus_url: str | None) -> tuple[Served, Served]:
    """Two processes on one database, with a bus between them: PostgreSQL's, or the one that is named."""
    one, other = [Served(folder / name, database_url=database_url, bus_url=bus_url) for name in ("one", "two")]
    return one, other


async def test_a_redis_killed_under_load_loses_nothing_and_delays_little(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder, redis_server: RedisServer
) -> None:
    """F-BUS-1: kill -9 Redis under L1 for 20 s, restart: lost 0, gaps 0; p99 delivery <= 2.5 s while down.

    <= 10 s back to <= 200 ms; acked writes never wait on the bus.
    """
    servers = two(tmp_path, fresh_database_url, redis_server.url())
    async with serving(*servers):
        load = Load(await community(fresh_database_url), [one.port for one in servers], recorder, dice, EVERY_SECONDS)
        outage = Outage(load, *servers)
        verdict = await load.through(
            lambda: outage.take(redis_server.kill, redis_server.start, length(5, 20)), lambda: fresh_database_url
        )
        away = outage.delays(outage.begun, outage.ended)
        print(f"{verdict}; p50 {part(away, 0.5):.2f} s, p99 {part(away, 0.99):.2f} s while down, of {len(away)}")
        assert not verdict.violations, verdict
        outage.check()
        assert part(away, 0.99) <= DELAY_SECONDS
        assert [len(served.said("bus.back")) for served in servers] == [2, 2], "each says it once, to speak and to hear"


async def test_a_redis_that_stands_still_blocks_no_request_and_fills_no_memory(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder, redis_server: RedisServer
) -> None:
    """F-BUS-2: blackhole Redis (no RST) 60 s: no request blocked > 1 s; publisher timeouts 500 ms.

    No task or memory growth > 20 MB. A stopped process: its kernel takes connections and bytes, nobody answers.
    """
    servers = two(tmp_path, fresh_database_url, redis_server.url())
    async with serving(*servers):
        load = Load(await community(fresh_database_url), [one.port for one in servers], recorder, dice, EVERY_SECONDS)
        outage = Outage(load, *servers)
        try:
            verdict = await load.through(
                lambda: outage.take(
                    lambda: redis_server.tell(signal.SIGSTOP),
                    lambda: redis_server.tell(signal.SIGCONT),
                    length(5, 60),
                ),
                lambda: fresh_database_url,
            )
        finally:
            redis_server.tell(signal.SIGCONT)
        print(verdict)
        assert not verdict.violations, verdict
        outage.check()
        assert outage.grown <= 20
        for served in servers:
            assert {(line["to"], line["error"]) for line in served.said("bus.away")} == {
                ("speak", "TimeoutError"),
                ("hear", "TimeoutError"),
            }


async def test_a_listening_connection_that_postgresql_ends_loses_nothing(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder
) -> None:
    """As F-BUS-1 with PostgreSQL's bus, whose connections are ended four times: lost 0, gaps 0, back by itself."""
    servers = two(tmp_path, fresh_database_url, None)
    async with serving(*servers):
        load = Load(await community(fresh_database_url), [one.port for one in servers], recorder, dice, EVERY_SECONDS)
        outage = Outage(load, *servers)

        async def fault() -> None:
            await asyncio.sleep(CALM_SECONDS)
            outage.begun = time.monotonic()
            ended = [await end_listening(fresh_database_url) for _ in range(length(4, 20))]
            outage.ended = time.monotonic()
            assert sum(ended) >= len(ended)
            await outage.recover()

        verdict = await load.through(fault, lambda: fresh_database_url)
        print(verdict)
        assert not verdict.violations, verdict
        outage.check()


async def end_listening(database_url: str) -> int:
    """Ends the connections of the bus; how many there were.

    LISTEN stands in the last statement of a connection that has only listened, pg_notify in one that spoke.
    """
    connection = await asyncpg.connect(database_url)
    try:
        await asyncio.sleep(0.7)
        ended = await connection.fetch(
            """select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and (query ilike 'listen %' or query like '%pg_notify%')
                and pid <> pg_backend_pid()"""
        )
        return len(ended)
    finally:
        await connection.close()
