"""Ten thousand sockets that only listen: what they take while they stay, and how quick a message still is.

The budgets are those of the guarantee F-IDLE-1.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import machine, processes
from bench.audience import Audience
from bench.live import expect_files
from bench.options import Options
from bench.report import Report, Table
from bench.senders import Failed, Recipient, Sender, Tally
from bench.servers import ORG, Side, plaza

SOCKETS = 10_000
SOCKETS_EACH = 8
EVERY_SECONDS = 1.0
"""Between two messages."""
_SPARE_FILES = 200
_REST_SECONDS = 5.0
_PATIENCE = 10.0
_MB = 1e6


@dataclass(frozen=True)
class Stay:
    """What was seen: bytes (the most), shares of a core, milliseconds; `alive` sockets at the end."""

    seconds: float
    alive: int
    rss: int
    before: int
    server: float
    postgres: float
    load: float
    ack_p50: float
    ack_p99: float
    arrival_p99: float
    messages: int


async def run(options: Options) -> Report:
    """Everybody comes in, then stays for `options.idle` seconds."""
    expect_files(SOCKETS + _SPARE_FILES)
    with machine.folder(options) as folder, processes.on_cores({options.load_core}):
        async with plaza(options, folder, SOCKETS // SOCKETS_EACH + 2) as side:
            stay = await _stay(side, options)
            described = await machine.described(options, folder, side)
    rows = [
        ["sockets alive at the end", f"{stay.alive:,}", f"{SOCKETS:,}", _held(stay.alive == SOCKETS)],
        ["server, resident memory", f"{stay.rss / _MB:.0f} MB", "≤ 600 MB", _held(stay.rss <= 600 * _MB)],
        ["server, share of a core", f"{stay.server:.1%}", "≤ 20 %", _held(stay.server <= 0.2)],
        ["message acknowledged, p99", f"{stay.ack_p99:.1f} ms", "≤ 250 ms", _held(stay.ack_p99 <= 250)],
        ["message arrived, p99", f"{stay.arrival_p99:.1f} ms", "≤ 250 ms", _held(stay.arrival_p99 <= 250)],
        ["message acknowledged, p50", f"{stay.ack_p50:.1f} ms", "", ""],
        ["server, memory before anybody came", f"{stay.before / _MB:.0f} MB", "", ""],
        ["its PostgreSQL, share of a core", f"{stay.postgres:.1%}", "", ""],
        ["load generator, share of its core", f"{stay.load:.1%}", "", ""],
    ]
    return Report(
        "idle",
        f"{SOCKETS:,} idle sockets",
        [Table("While they stay", ["figure", "measured", "target", "holds?"], rows)],
        [
            f"{SOCKETS:,} sockets of {SOCKETS // SOCKETS_EACH:,} people on one process of `plaza serve` for "
            f"{stay.seconds:.0f} s; the server pings each every 25 s and every ping was answered. Two more people "
            f"wrote to each other, one message every {EVERY_SECONDS:g} s, {stay.messages} in all.",
            "Memory is the most that was resident of the server at the time, its PostgreSQL apart.",
        ],
        described,
        {"stay": asdict(stay)},
    )


def _held(held: bool) -> str:
    return "yes" if held else "NO"


async def _stay(side: Side, options: Options) -> Stay:
    audience, before = Audience([side.port], ORG), _rss(side)
    crowd = (side.members[2:] * SOCKETS_EACH)[:SOCKETS]
    audience.invite(one.token for one in crowd)
    seconds = audience.admit()
    machine.say(f"{SOCKETS:,} sockets came in within {seconds:.0f} s, {_rss(side) / _MB:.0f} MB")
    over = threading.Event()
    staying = asyncio.create_task(asyncio.to_thread(_answer, audience, over))
    try:
        await asyncio.sleep(_REST_SECONDS)
        return await _watch(side, options, staying, before)
    finally:
        over.set()
        await staying
        audience.leave()


def _answer(audience: Audience, over: threading.Event) -> None:
    """Answers pings, on a thread of its own beside the two who write to each other."""
    while not over.is_set():
        audience.read(0.2)


async def _watch(side: Side, options: Options, staying: asyncio.Task[None], before: int) -> Stay:
    tally, most = Tally(counting=True), 0
    writer, reader = side.members[:2]
    sender = Sender(side.port, writer, reader.email, tally)
    recipient = Recipient(side.port, reader, sender, tally)
    for one in (recipient, sender):
        await one.connect()
    used, began = _used(side), time.perf_counter()
    while (now := time.perf_counter()) - began < options.idle and not staying.done():
        sender.send()
        async with asyncio.timeout(_PATIENCE):
            await sender.idle.wait()
        most = max(most, _rss(side))
        await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.perf_counter() - now)))
    seconds, after = time.perf_counter() - began, _used(side)
    alive = await asyncio.to_thread(_connected, side) - 2
    for one in (sender, recipient):
        one.leave()
    if tally.trouble or not tally.acks or not tally.deliveries:
        raise Failed(tally.trouble or "no message arrived")
    server, postgres, load = ((late - early) / seconds for early, late in zip(used, after, strict=True))
    acks, arrivals = sorted(tally.acks), sorted(tally.deliveries)
    times = (_at(acks, 0.5), _at(acks, 0.99), _at(arrivals, 0.99))
    return Stay(seconds, alive, most, before, server, postgres, load, *times, len(acks))


def _connected(side: Side) -> int:
    """Sockets by the server's own count."""
    connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    return int(float(next(line.split()[1] for line in lines if line.startswith("plaza_sockets "))))


def _used(side: Side) -> tuple[float, float, float]:
    """Seconds of processor time so far: the server's, its PostgreSQL's, the load generator's."""
    return processes.run_seconds(side.server_pids()), processes.run_seconds(side.postgres_pids()), time.process_time()


def _rss(side: Side) -> int:
    return sum(processes.memory(pid).rss for pid in side.server_pids())


def _at(ordered: Sequence[float], share: float) -> float:
    """A quantile in milliseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000
