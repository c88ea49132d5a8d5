"""What Plaza takes when nobody is there: memory at rest, and the seconds until it is ready.

The budgets are those of the product's promise: 150 MB, a first start under 3 s, a later one under 1 s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench import machine, processes
from bench.options import Options
from bench.report import Report, Table
from bench.servers import plaza, ready, serve

REST_SECONDS = 3.0
_MB = 1e6


@dataclass(frozen=True)
class Life:
    """One server: seconds to its readiness on a new data folder and again on the same, seconds to stop, bytes at rest.

    `strict` counts in full what the server shares with the Python of this bench, of which the kernel's proportional
    size gives each a part.
    """

    first: float
    later: float
    stop: float
    server: int
    postgres: int
    strict: int


async def run(options: Options) -> Report:
    """Several lives, one after the other, on all cores as a user would start it."""
    lives, warnings = [], []
    with machine.folder(options) as folder:
        for number in range(1, options.starts + 1):
            warnings += await machine.others()
            lives.append(await _live(folder / str(number)))
            machine.say(f"life {number}: first start {lives[-1].first:.2f} s, later {lives[-1].later:.2f} s")
        async with plaza(options, folder) as side:
            described = await machine.described(options, folder, side)
    rows = [_row("server", lives, lambda life: life.server / _MB, "{:.0f} MB", None)]
    rows += [_row("its PostgreSQL", lives, lambda life: life.postgres / _MB, "{:.0f} MB", None)]
    rows += [_row("both", lives, lambda life: (life.server + life.postgres) / _MB, "{:.0f} MB", 150)]
    rows += [_row("both, nothing shared", lives, lambda life: life.strict / _MB, "{:.0f} MB", 150)]
    rows += [_row("first start", lives, lambda life: life.first, "{:.2f} s", 3)]
    rows += [_row("later start", lives, lambda life: life.later, "{:.2f} s", 1)]
    rows += [_row("stop", lives, lambda life: life.stop, "{:.2f} s", 15)]
    return Report(
        "footprint",
        "Footprint of an idle Plaza",
        [Table("At rest and at the start", ["figure", "median", "least", "most", "budget"], rows)],
        [
            *warnings[:1],
            f"Servers: {options.starts}, each on a data folder of its own, started twice. A start lasts from the "
            "command to the first 200 of /readyz; the first one makes the database.",
            f"Memory {REST_SECONDS:g} s after the later start: proportional set sizes (PSS), summed over the "
            "processes of the server and its PostgreSQL. The line `nothing shared` counts the server's program and "
            "libraries in full, which the PSS divides among all processes that use them.",
        ],
        described,
        {"lives": [asdict(life) for life in lives]},
    )


async def _live(folder: Path) -> Life:
    folder.mkdir()
    first, _ = await _start(folder, stay=False)
    later, life = await _start(folder, stay=True)
    assert life is not None
    return Life(first, later, *life)


async def _start(folder: Path, *, stay: bool) -> tuple[float, tuple[float, int, int, int] | None]:
    """Starts a server and stops it again; measured at rest in between if it is to stay for a while."""
    began = time.perf_counter()
    port, process = serve(folder / "plaza", folder / "plaza.log")
    sizes = (0, 0, 0)
    try:
        await ready(process, port, folder / "plaza.log")
        seconds = time.perf_counter() - began
        if stay:
            await asyncio.sleep(REST_SECONDS)
            sizes = _sizes(process.pid)
    finally:
        stop = await asyncio.to_thread(processes.end, process)
    return seconds, (stop, *sizes) if stay else None


def _sizes(root: int) -> tuple[int, int, int]:
    """Bytes of the server, of its PostgreSQL, and of both with the server's files in full."""
    server = postgres = unshared = 0
    for pid in processes.tree(root):
        memory = processes.memory(pid)
        if processes.is_postgres(pid):
            postgres += memory.pss
        else:
            server += memory.pss
            unshared += memory.rss_file - memory.pss_file
    return server, postgres, server + postgres + unshared


def _row(label: str, lives: list[Life], figure: Callable[[Life], float], form: str, budget: float | None) -> list[str]:
    values = [figure(life) for life in lives]
    shown = [form.format(value) for value in (median(values), min(values), max(values))]
    if budget is None:
        return [label, *shown, ""]
    unit = form.split()[1]
    return [label, *shown, f"{budget:g} {unit}: {'kept' if median(values) < budget else 'MISSED'}"]
