"""Finds and ends processes of the private PostgreSQL that a killed Plaza or a killed postmaster left behind."""

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from plaza.store.trouble import Trouble

# A fast shutdown writes the small buffer pool out; a second is generous even on a slow disk.
FAST_SECONDS = 10.0
IMMEDIATE_SECONDS = 3.0


class CannotStop(Trouble):
    """A process of an earlier server is still there, and it is not ours to end."""


def mark(cluster: Path) -> str:
    """The name of this cluster's processes, in their titles: safe after a copy or a rename of the folder.

    A pid in a file may have gone to somebody else; a device and an inode number belong to one folder at a time.
    """
    found = cluster.stat()
    return f"plaza-{found.st_dev:x}-{found.st_ino:x}"


def marked(name: str) -> list[int]:
    """The pids of the living processes that carry the mark."""
    return [pid for pid, title in _titles() if _is_postmaster(title, name) or title.startswith(f"postgres: {name}:")]


def postmasters(name: str) -> list[int]:
    """Of these, the ones that lead."""
    return [pid for pid, title in _titles() if _is_postmaster(title, name)]


def _is_postmaster(title: str, name: str) -> bool:
    # It keeps its arguments, its children have the mark at the head of their titles.
    return f" cluster_name={name} " in f"{title} "


def _titles() -> list[tuple[int, str]]:
    if not Path("/proc/self/cmdline").exists():
        return titles_by_ps()
    titles = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                line = Path("/proc", entry, "cmdline").read_bytes()
                titles.append((int(entry), line.replace(b"\0", b" ").decode(errors="replace")))
    return titles


def titles_by_ps() -> list[tuple[int, str]]:
    """The pid and the title of every process, from ps: for systems without /proc."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout  # noqa: S607
    rows = (line.split(maxsplit=1) for line in listed.splitlines())
    return [(int(row[0]), row[1]) for row in rows if len(row) == 2]


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
    raise CannotStop(f"Processes {marked(name)} of an earlier PostgreSQL in this data folder do not end.")


def _tell(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise CannotStop(
            f"Process {pid} of an earlier PostgreSQL in this data folder belongs to another user: end it, then start."
        ) from None


async def _gone(name: str, seconds: float) -> bool:
    for _ in range(int(seconds / 0.02)):
        if not marked(name):
            return True
        await asyncio.sleep(0.02)
    return not marked(name)
