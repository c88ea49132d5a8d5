"""Processes as the kernel sees them: started on a core, asked for their time and memory, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Memory:
    """Proportional and resident memory of a process, in bytes; `rss_file` is the part that files back."""

    pss: int
    pss_file: int
    rss_file: int
    rss: int


@contextlib.contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """What this thread starts meanwhile runs on these cores, and so does the thread."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(command: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts a server whose words go to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> float:
    """Stops a process of ours in order, by force after twenty seconds; the seconds it took."""
    began = time.perf_counter()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return time.perf_counter() - began


def tree(root: int) -> list[int]:
    """The process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(folder.name))[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def is_postgres(pid: int) -> bool:
    """Whether a process is PostgreSQL's."""
    with contextlib.suppress(OSError):
        return (_PROC / str(pid) / "comm").read_text().strip() == "postgres"
    return False


def pin(pids: Iterable[int], cores: Iterable[int]) -> None:
    """Moves running processes of one thread, and what they start from now on, to these cores."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(pid, cores)


def cpu_seconds(pids: Iterable[int]) -> float:
    """The time that processes have had, with what their ended children had."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += sum(int(field) for field in _stat(pid)[11:15])
    return total * _TICK


def run_seconds(pids: Iterable[int]) -> float:
    """The time that the threads of processes have had, to the nanosecond; what ended is not in it."""
    total = 0
    for pid in pids:
        for thread in (_PROC / str(pid) / "task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e9


def busy_seconds() -> float:
    """The time that all cores together have worked since the machine started, for whomever."""
    user, nice, system, _idle, _wait, irq, softirq, steal = (
        int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * _TICK


def memory(pid: int) -> Memory:
    """The memory of a process."""
    sizes: dict[str, int] = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, size = line.partition(":")
        sizes[name] = int(size.split()[0]) * 1024
    # Of files, the kernel gives the proportional part only; resident is what is left of the whole.
    rss_file = int((_PROC / str(pid) / "statm").read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    return Memory(sizes["Pss"], sizes["Pss_File"], rss_file, sizes["Rss"])


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` behind the name, which may have spaces: the state is the first."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
