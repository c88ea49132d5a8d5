"""Servers to be killed: `plaza serve` as a child process of the test, watched, restarted, ended by its own pid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from plaza.store import embedded
from plaza.store import embedded_processes as processes
from plaza.store.embedded_folder import Layout
from plaza.store.embedded_server import says_ready

GLANCE_SECONDS = 0.02
START_SECONDS = 30.0
"""When a start is given up; the promise is checked by the tests."""
BROKEN = ("request.failed", "event.failed", "connect.failed", "work.failed", "a handler failed")
"""What the log of a server says when something in it broke, as opposed to the fault that was made."""


class Death(NamedTuple):
    """One end of the process: when, with which status, and when its successor was ready.

    `queued` are the seconds for which the successor had work to do and no core to do it on: of the time until it was
    ready these are the machine's, which runs other tests meanwhile.
    """

    at: float
    status: int
    ready_at: float
    queued: float

    @property
    def away(self) -> float:
        """How long nobody served."""
        return self.ready_at - self.at


class Served:
    """One `plaza serve`, on the same port whenever it runs; with a private PostgreSQL unless a database is named.

    `tree` is the source tree of another version, which it runs in place of this one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        workers: int = 1,
        bus_url: str | None = None,
        tree: Path | None = None,
        files: int | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.deaths: list[Death] = []
        self._folder = folder
        self._layout = Layout(folder / "data")
        self._database_url = database_url
        self._workers = workers
        self._bus = {"PLAZA_BUS_URL": bus_url} if bus_url else {}
        self._files = files
        self._tree = {"PYTHONPATH": str(tree)} if tree else {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, None while it lives."""
        return None if self._process is None else self._process.poll()

    @property
    def store_options(self) -> list[str]:
        """The options of `plaza serve`, and of any other command, that name its store."""
        if self._database_url is None:
            return ["--data-dir", str(self._layout.root)]
        return ["--database-url", self._database_url]

    @property
    def database_url(self) -> str:
        """Where its rows are."""
        url = self._database_url or embedded.running(self._layout.root)
        assert url is not None, "the private PostgreSQL does not run"
        return url

    @property
    def log(self) -> str:
        """What it has said, in all of its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "stderr.log"

    def broken(self) -> list[str]:
        """The lines of its log that say that something in it broke."""
        return [
            line
            for line in self.log.splitlines()
            if line.startswith("Traceback") or any(f'"event": "{word}"' in line for word in BROKEN)
        ]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [json.loads(line) for line in self.log.splitlines() if f'"event": "{event}"' in line]

    def launch(self) -> None:
        """Starts the process and does not wait."""
        command = [sys.executable, "-m", "plaza", "serve", "--port", str(self.port), "--workers", str(self._workers)]
        command += self.store_options
        if self._files is not None:
            command = ["sh", "-c", f'ulimit -n {self._files}; exec "$@"', "sh", *command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, **self._bus, **self._tree, "PLAZA_RATE_LIMITS": "off"},
            )

    async def ready(self) -> float:
        """Waits until it says that it is ready; the moment when it did."""
        async with httpx2.AsyncClient(timeout=1) as http, asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return time.monotonic()
                assert self.status is None, f"it ended at its start: {self.log[-2_000:]}"
                await asyncio.sleep(GLANCE_SECONDS)

    async def start(self) -> float:
        """Starts the process; how many seconds it took to be ready."""
        begun = time.monotonic()
        self.launch()
        return await self.ready() - begun

    def tell(self, number: signal.Signals) -> None:
        """Sends the process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, seconds: float) -> int:
        """Waits for the end of the process; its status."""
        async with asyncio.timeout(seconds):
            while self.status is None:
                await asyncio.sleep(GLANCE_SECONDS)
        return int(self.status)

    async def supervise(self) -> None:
        """What an operator's supervisor does until cancelled: starts the process again each time it ends."""
        while True:
            while (status := self.status) is None:
                await asyncio.sleep(GLANCE_SECONDS)
            died = time.monotonic()
            self.launch()
            ready = await self.ready()
            self.deaths.append(Death(died, status, ready, queued(self.pid)))

    async def stop(self) -> None:
        """Ends the process in order, by force when it does not, and takes its PostgreSQL away."""
        if self.status is None and self._process is not None:
            self.tell(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await self.ended(20)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._layout.cluster.exists():
            await processes.sweep(processes.mark(self._layout.cluster))
            shutil.rmtree(self._layout.root)

    def postmaster(self) -> int:
        """The main process of the private PostgreSQL."""
        (pid,) = processes.postmasters(processes.mark(self._layout.cluster))
        return pid

    async def database_ready(self, instead_of: int) -> float:
        """Waits until another postmaster than this one takes connections; the moment when it did."""
        async with asyncio.timeout(START_SECONDS):
            while (pid := says_ready(self._layout.pid_file)) is None or pid == instead_of:
                await asyncio.sleep(0.005)
        return time.monotonic()


@contextlib.asynccontextmanager
async def serving(*servers: Served) -> AsyncIterator[Sequence[Served]]:
    """Starts the servers, one after another, and ends them."""
    try:
        for server in servers:
            await server.start()
        yield servers
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


def queued(pid: int) -> float:
    """For how many seconds a process has waited for a core so far (Linux; elsewhere nobody counts)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to clients.

    A client that keeps knocking at a dead server's port could otherwise be given that very port, and meet itself. By
    the system's chance: two tests at once must not try the same ports in the same order.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
