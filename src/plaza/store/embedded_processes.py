"""Finds and ends processes of the private PostgreSQL that a killed Plaza or a killed postmaster left behind."""

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from plaza.store.trouble import Trouble

# A fast shutdown writes the small buffer pool out: milliseconds, and seconds on a busy disk.
FAST_SECONDS = 10.0
IMMEDIATE_SECONDS = 3.0


class CannotStop(Trouble):
    """A process of an earlier server is still there, whatever it was told."""


def mark(folder: Path) -> str:
    """A name for a folder that its copies do not share and that it keeps when it is moved.

    For the cluster's folder, the name in the titles of its processes: a pid in a file may be somebody else's by now.
    """
    found = folder.stat()
    return f"plaza-{found.st_dev:x}-{found.st_ino:x}"


def marked(name: str) -> list[int]:
    """The pids of the living processes that carry the mark."""
    return [pid for pid, title in titles() if _is_postmaster(title, name) or title.startswith(f"postgres: {name}:")]


def postmasters(name: str) -> list[int]:
    """Of these, the ones that lead."""
    return [pid for pid, title in titles() if _is_postmaster(title, name)]


def _is_postmaster(title: str, name: str) -> bool:
    # It keeps its arguments; its children have the mark at the head of their titles.
    return "/postgres -D " in title and f" cluster_name={name} " in f"{title} "


def titles() -> list[tuple[int, str]]:
    """The pid and the title of every process that we may end: anybody can give a process any title."""
    if not Path("/proc/self/cmdline").exists():
        return titles_by_ps()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                if _may_end(entry.stat().st_uid):
                    line = Path(entry.path, "cmdline").read_bytes()
                    found.append((int(entry.name), line.replace(b"\0", b" ").decode(errors="replace")))
    return found


def titles_by_ps() -> list[tuple[int, str]]:
    """The same from ps, for systems without /proc."""
    command = ["ps", "-A", "-ww", "-o", "pid=,uid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 (the system's own)
    rows = (line.split(maxsplit=2) for line in listed.splitlines())
    return [(int(row[0]), row[2]) for row in rows if len(row) == 3 and _may_end(int(row[1]))]


def _may_end(uid: int) -> bool:
    return os.geteuid() in (0, uid)


async def sweep(name: str) -> int:
    """Ends every process that carries the mark, gently at first, and returns how many there were."""
    found = marked(name)
    if not found:
        return 0
    for number, whom, seconds in (
        # A postmaster ends its children itself; without one, each is told.
        (signal.SIGINT, postmasters, FAST_SECONDS if postmasters(name) else 0.0),
        (signal.SIGQUIT, marked, IMMEDIATE_SECONDS),
        (signal.SIGKILL, marked, IMMEDIATE_SECONDS),
    ):
        for pid in whom(name):
            _tell(pid, number)
        if await _gone(name, seconds):
            return len(found)
    raise CannotStop(f"Processes {marked(name)} of an earlier PostgreSQL in this data folder do not end: end them.")


def _tell(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def _gone(name: str, seconds: float) -> bool:
    for _ in range(int(seconds / 0.02)):
        if not marked(name):
            return True
        await asyncio.sleep(0.02)
    return not marked(name)
