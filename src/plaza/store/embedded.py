"""A private PostgreSQL in the data folder: started with Plaza, stopped with it, reachable by nobody else."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

import asyncpg
import msgspec

from plaza.store import embedded_folder as folder
from plaza.store import embedded_processes as processes
from plaza.store import embedded_settings as settings
from plaza.store.binaries import Binaries, Source, find_binaries
from plaza.store.durability import check_durability
from plaza.store.privilege import Runner, environment, runner_for

log = logging.getLogger("plaza.store")

NAME = "plaza"
SUPERUSER = "postgres"
INITDB_SECONDS = 120.0
# Recovery replays at most max_wal_size; a slow disk reads that in much less.
READY_SECONDS = 120.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.005


class CannotStart(Exception):
    """PostgreSQL did not start; the text has its own last words."""


class Started(msgspec.Struct, frozen=True):
    """A running server: `url` for asyncpg and libpq (it has the password: never print it), `seconds` it took.

    `how`: created (first start), started, or recovered (it was not stopped in order the last time).
    """

    url: str
    version: str
    seconds: float
    how: Literal["created", "started", "recovered"]
    pid: int


class PrivatePostgres:
    """One private server and the lock on its data folder; also an async context manager.

    The server ends with the thread that called `start` (on Linux, however that ends), so call it from the main one.
    """

    def __init__(self, data_dir: Path, binaries: Source = "auto") -> None:
        self._layout = folder.Layout(data_dir.absolute())
        self._source = binaries
        self._lock: int | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None
        self.started: Started | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster, None when there is none."""
        return self._server.pid if self._server else None

    async def start(self) -> Started:
        """Takes the folder and starts the server; raises what the modules of this package say, and `CannotStart`."""
        began = time.perf_counter()
        if folder.make(self._layout.root, parents=True):
            folder.sync_folder(self._layout.root.parent)
        self._lock = folder.take_lock(self._layout)
        try:
            self.started = await self._bring_up(began)
        except BaseException:
            await self.stop()
            raise
        return self.started

    async def stop(self) -> None:
        """Stops the server in order (fast, then by force) and gives the folder back; harmless when it does not run."""
        if self._server:
            await _end(self._server)
            self._server = None
        if self._sockets and not self._sockets.is_relative_to(self._layout.home):
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._sockets = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def __aenter__(self) -> Started:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _bring_up(self, began: float) -> Started:
        """Sweeps what is left, makes the cluster when there is none, starts, and looks whether it keeps its word."""
        layout = self._layout
        major = layout.major()
        binaries = find_binaries(self._source, major=major)
        runner = runner_for(layout.home if layout.home.exists() else layout.root, binaries.directory)
        if folder.make(layout.home):
            runner.own(layout.home)
        password = folder.secret(layout, runner)
        unclean = await self._clear()
        if major is None:
            await _create_cluster(layout, binaries, runner)
        self._sockets = self._sockets or folder.socket_folder(layout, runner)
        self._server = self._launch(binaries, runner)
        await self._ready()
        url = _url(self._sockets, NAME, password, NAME)
        await _ensure_database(url, _url(self._sockets, SUPERUSER, password, "postgres"), password)
        seconds = time.perf_counter() - began
        how: Literal["created", "started", "recovered"] = "recovered" if unclean else "started"
        return Started(url, binaries.version, seconds, "created" if major is None else how, self._server.pid)

    async def _clear(self) -> bool:
        """Ends what an earlier server left; True when the last one was not stopped in order."""
        for partial in self._layout.home.glob("cluster.*.partial"):
            shutil.rmtree(partial)
        if not self._layout.cluster.exists():
            return False
        swept = await processes.sweep(processes.mark(self._layout.cluster))
        # Nobody of this cluster lives: the pid in the file is nobody's or, worse, somebody else's by now.
        unclean = self._layout.pid_file.exists()
        self._layout.pid_file.unlink(missing_ok=True)
        return unclean or swept > 0

    def _launch(self, binaries: Binaries, runner: Runner) -> subprocess.Popen[bytes]:
        layout, sockets = self._layout, self._sockets
        assert sockets
        folder.write(layout.cluster / settings.INCLUDED, settings.taste(binaries.major), runner)
        arguments = settings.law(layout.cluster, sockets, processes.mark(layout.cluster))
        with open(layout.log, "ab", opener=_private) as output:
            runner.own(layout.log)
            return subprocess.Popen(  # noqa: S603 (found by find_binaries, without a shell)
                runner.command(binaries.postgres, *arguments, parent=os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment(),
                # A Ctrl-C in the terminal is meant for us, who then stop the server in order.
                start_new_session=True,
            )

    async def _ready(self) -> None:
        """Waits until the server answers; raises `CannotStart` with its last words."""
        assert self._server
        before = time.monotonic()
        while time.monotonic() - before < READY_SECONDS:
            if self._server.poll() is not None:
                raise CannotStart(f"PostgreSQL ended at its start. It said: {_last_words(self._layout.log)}")
            if _says_ready(self._layout.pid_file, self._server.pid):
                return
            await asyncio.sleep(0.005)
        raise CannotStart(f"PostgreSQL was not ready after {READY_SECONDS:.0f} s. {_last_words(self._layout.log)}")


async def _create_cluster(layout: folder.Layout, binaries: Binaries, runner: Runner) -> None:
    """Makes the cluster aside and renames it, so that a start that was killed leaves none instead of half of one."""
    partial = layout.home / f"cluster.{os.getpid()}.partial"
    arguments: list[str | Path] = [
        *("-D", partial, "-U", SUPERUSER, "--pwfile", layout.password, "--auth=scram-sha-256", "--data-checksums"),
        *("--encoding=UTF8", *settings.locale(binaries.major), "--no-instructions"),
    ]
    initdb = subprocess.Popen(  # noqa: S603, ASYNC220 (found by find_binaries; returns as soon as it is forked)
        runner.command(binaries.initdb, *arguments, parent=os.getpid()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment(),
        start_new_session=True,
    )
    try:
        said, _ = await asyncio.to_thread(initdb.communicate, timeout=INITDB_SECONDS)
    finally:
        initdb.kill()
        initdb.wait()
    if initdb.returncode != 0:
        raise CannotStart(f"PostgreSQL could not make its folder. It said: {said.decode(errors='replace')[-2000:]}")
    _include_settings(partial)
    partial.rename(layout.cluster)
    folder.sync_folder(layout.home)


def _include_settings(cluster: Path) -> None:
    with open(cluster / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"include_if_exists '{settings.INCLUDED}'\n")
        conf.flush()
        os.fsync(conf.fileno())


async def _ensure_database(url: str, superuser_url: str, password: str) -> None:
    """Makes the role and the database when they are not there yet, then checks what the server promises."""
    try:
        connection = await asyncpg.connect(url)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError):
        await _create_database(superuser_url, password)
        connection = await asyncpg.connect(url)
    try:
        await check_durability(connection)
    finally:
        await connection.close()


async def _create_database(superuser_url: str, password: str) -> None:
    # The server of Plaza is no superuser: who finds a hole in a statement must not read files through it.
    connection = await asyncpg.connect(superuser_url)
    try:
        if not await connection.fetchval("select true from pg_catalog.pg_roles where rolname = $1", NAME):
            # The password is of an alphabet without quotes; the statement takes no parameters.
            await connection.execute(f"create role {NAME} login createdb password '{password}'")
        if not await connection.fetchval("select true from pg_catalog.pg_database where datname = $1", NAME):
            await connection.execute(f"create database {NAME} owner {NAME}")
    finally:
        await connection.close()


async def _end(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate, then by force; returns when the process is gone."""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
        server.send_signal(number)
        for _ in range(int(seconds / POLL_SECONDS)):
            if server.poll() is not None:
                return
            await asyncio.sleep(POLL_SECONDS)
    server.wait()


def _url(sockets: Path, user: str, password: str, database: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={quote(str(sockets), safe='')}"


def _says_ready(pid_file: Path, pid: int) -> bool:
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _last_words(path: Path) -> str:
    return path.read_bytes()[-2000:].decode(errors="replace").strip()
