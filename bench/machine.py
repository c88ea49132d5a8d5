"""The machine that the figures come from, without its name or any place on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench import processes
from bench.options import Options, cores
from bench.servers import PEER, ROOT, Side, node, node_version

_SYNCS = 200
_LISTEN_SECONDS = 0.5


def say(line: str) -> None:
    """A line about how far the bench is."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def folder(options: Options) -> Iterator[Path]:
    """A folder for data, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="plaza-bench-", dir=options.folder) as made:
        yield Path(made)


async def others() -> list[str]:
    """A warning where the machine works while this bench does nothing."""
    before, began = processes.busy_seconds(), time.perf_counter()
    await asyncio.sleep(_LISTEN_SECONDS)
    return warning((processes.busy_seconds() - before) / (time.perf_counter() - began))


def warning(share: float) -> list[str]:
    """Says that others had more than a tenth of a core."""
    return [f"Other work ran meanwhile: up to {share:.0%} of a core. Measure again."] if share > 0.1 else []


async def described(options: Options, data: Path, *sides: Side, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Processor, memory, disk, and the versions of what took part, the peers' packages among it."""
    found: dict[str, Any] = {
        "processor": f"{_field('/proc/cpuinfo', 'model name')}, {len(cores())} cores",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.0f} GiB",
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "disk": f"{_filesystem(data)}, fdatasync of 8 KiB {await asyncio.to_thread(_sync_ms, data):.2f} ms (median)",
        "load": f"{os.getloadavg()[2]:.1f} processes wanted a core in the last 15 minutes, this bench included",
        "Plaza": _revision(),
        "Python": f"{platform.python_version()}, {_build()} (uvloop {version('uvloop')}, asyncpg {version('asyncpg')})",
    }
    if packages:
        found["Node"] = f"{node_version(node(options))} ({_versions(packages)})"
    for side in sides:
        (row,) = await side.ask("show server_version")
        found["PostgreSQL"] = row[0].split()[0]
    return found


def _build() -> str:
    """Whose interpreter it is; one compiled apart is often neither optimised by profile nor in one piece."""
    return "the distribution's" if sys.base_prefix == "/usr" else "compiled apart"


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _filesystem(place: Path) -> str:
    found = subprocess.run(["df", "--output=fstype", str(place)], capture_output=True, text=True, check=False)
    return (found.stdout.split() or ["unknown"])[-1]


def _sync_ms(place: Path) -> float:
    taken = []
    with (place / "sync").open("wb") as file:
        for _ in range(_SYNCS):
            file.write(b"\0" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1000


def _revision() -> str:
    def git(*arguments: str) -> str:
        ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return ran.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "src") else ""
    return f"{version('plaza')}, commit {git('rev-parse', '--short', 'HEAD') or 'unknown'}{changed}"


def _versions(packages: Sequence[str]) -> str:
    lock = json.loads((PEER / "package-lock.json").read_text())["packages"]
    return ", ".join(f"{name} {lock[f'node_modules/{name}']['version']}" for name in packages)
