"""The postmaster as a process of ours: launched, waited for, ended, and its log kept small."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from plaza.store import embedded_folder as folder
from plaza.store import embedded_settings as settings
from plaza.store.binaries import Binaries
from plaza.store.embedded_cluster import CannotStart
from plaza.store.privilege import Runner, environment

# A recovery replays at most max_wal_size, which a slow disk reads in much less.
READY_SECONDS = 120.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.005
LOG_BYTES = 4 * 1024 * 1024


class Postmaster:
    """One life of the server; `name` is in the title of each of its processes.

    It ends with the thread that made it, however that ends (Linux), so that nothing of it outlives a killed Plaza.
    """

    def __init__(self, layout: folder.Layout, binaries: Binaries, runner: Runner, sockets: Path, name: str) -> None:
        folder.write(layout.cluster / settings.INCLUDED, settings.taste(binaries.major), runner)
        trim(layout.log)
        arguments = settings.law(layout.cluster, sockets, name)
        with open(layout.log, "ab", opener=_private) as output:
            runner.own(layout.log)
            self._words_from = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 (found by find_binaries, without a shell)
                runner.command(binaries.postgres, *arguments, parent=os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment(),
                # A Ctrl-C in the terminal is meant for us, who then stop the server in order.
                start_new_session=True,
            )
        self._layout = layout
        self.pid = self._process.pid
        self.since = time.monotonic()

    @property
    def status(self) -> int | None:
        """Its exit status, None while it lives."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """What it wrote to its log in this life, the last 2,000 bytes."""
        try:
            with open(self._layout.log, "rb") as file:
                file.seek(self._words_from)
                return file.read()[-2000:].decode(errors="replace").strip()
        except OSError:
            return ""

    async def ready(self) -> None:
        """Waits until it takes connections; raises `CannotStart` with its last words."""
        while time.monotonic() - self.since < READY_SECONDS:
            if self.status is not None:
                raise CannotStart(f"PostgreSQL ended at its start. It said: {self.last_words}")
            if says_ready(self._layout.pid_file) == self.pid:
                return
            await asyncio.sleep(POLL_SECONDS)
        raise CannotStart(f"PostgreSQL was not ready after {READY_SECONDS:.0f} s. It said: {self.last_words}")

    async def end(self) -> None:
        """Fast shutdown, then immediate, then by force; returns when it is gone."""
        for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
            self._process.send_signal(number)
            for _ in range(int(seconds / POLL_SECONDS)):
                if self.status is not None:
                    return
                await asyncio.sleep(POLL_SECONDS)
        self._process.wait()


def says_ready(pid_file: Path) -> int | None:
    """The pid of the server that the file calls ready, None when there is none or it is not."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return None
    return int(lines[0]) if len(lines) >= 8 and lines[7].strip() == "ready" else None


def trim(log: Path) -> None:
    """Keeps the log and one before it, each of 4 MiB and what a minute adds.

    It is copied and emptied, because the server holds it open; a line written in between may be lost.
    """
    try:
        if log.stat().st_size <= LOG_BYTES:
            return
    except FileNotFoundError:
        return
    shutil.copy2(log, log.with_suffix(".log.1"))
    os.truncate(log, 0)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
