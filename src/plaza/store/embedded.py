"""A private PostgreSQL in the data folder: started with Plaza, stopped with it, reachable by nobody else."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from plaza.store import embedded_cluster as cluster
from plaza.store import embedded_folder as folder
from plaza.store import embedded_processes as processes
from plaza.store.binaries import Binaries, Source, find_binaries
from plaza.store.embedded_server import Postmaster, says_ready, trim
from plaza.store.privilege import Runner, runner_for
from plaza.store.trouble import Trouble

log = logging.getLogger("plaza.store")

WATCH_SECONDS = 0.1
TRIM_SECONDS = 60.0
CALM_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0


class Started(msgspec.Struct, frozen=True):
    """A running server: `url` for asyncpg and libpq, `seconds` it took to start, `pid` of its postmaster.

    `how`: created (first start), started, or recovered (it was not stopped in order the last time).
    """

    url: str
    version: str
    seconds: float
    how: Literal["created", "started", "recovered"]
    pid: int

    def __repr__(self) -> str:
        # Without the url, which has the password: a struct ends in a log sooner or later.
        return f"Started(version={self.version!r}, seconds={self.seconds:.3f}, how={self.how!r}, pid={self.pid})"


class PrivatePostgres:
    """One private server and the lock on its data folder; also an async context manager.

    The server ends with the thread that called `start` or `watch` (Linux), so call them from one that lives as long.
    """

    def __init__(self, data_dir: Path, binaries: Source = "auto") -> None:
        self._layout = folder.Layout(data_dir.absolute())
        self._source = binaries
        self._lock: int | None = None
        self._made = False
        self._stopping = False
        self._watching: asyncio.Task[None] | None = None
        self._sockets: Path | None = None
        self._postmaster: Postmaster | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster, None when it does not run."""
        return self._postmaster.pid if self._postmaster else None

    async def start(self) -> Started:
        """Takes the folder (`FolderBusy`) and starts the server in it; every refusal is a `Trouble` (trouble.py)."""
        began = time.perf_counter()
        self._take_folder()
        try:
            return await self._bring_up(began)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops the server in order, by force after ten seconds, and gives the folder back; harmless when it is off."""
        self._stopping = True
        if self._watching and self._watching is not asyncio.current_task():
            # In the middle of a new start it would go on in a folder that is somebody else's by then.
            self._watching.cancel()
            await asyncio.wait([self._watching])
        try:
            while self._postmaster:
                ending, self._postmaster = self._postmaster, None
                await ending.end()
                # One that was killed has children that do not know it yet.
                await processes.sweep(processes.mark(self._layout.cluster))
        finally:
            self._give_folder_back()

    async def watch(self) -> None:
        """Starts the server again each time it dies; runs until `stop` (or until it is cancelled)."""
        self._watching = asyncio.current_task()
        try:
            await self._revive_for_ever()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._watching = None

    async def __aenter__(self) -> Started:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _revive_for_ever(self) -> None:
        pause = FIRST_PAUSE
        while dead := await self._death():
            lived = time.monotonic() - dead.since
            pause = FIRST_PAUSE if lived > CALM_SECONDS else min(pause * 2, LONGEST_PAUSE)
            log.error("PostgreSQL %s died (status %s) after %.0f s; starting it again", dead.pid, dead.status, lived)
            await asyncio.sleep(pause)
            try:
                again = await self._bring_up(time.perf_counter())
            except Exception as error:
                # Of any kind: a watch that ends would leave Plaza without a store for good.
                log.error("PostgreSQL did not start again: %s", error)
                if self._postmaster:
                    await self._postmaster.end()
            else:
                log.warning("PostgreSQL is back after %.1f s, process %s", again.seconds, again.pid)

    def _take_folder(self) -> None:
        root = self._layout.root
        try:
            self._made = folder.make(root, parents=True)
            if self._made:
                folder.sync_folder(root.parent)
            self._lock = folder.take_lock(self._layout)
        except OSError as error:
            raise Trouble(f"The data folder {root} is of no use: {error.strerror}. Choose another.") from error
        self._stopping = False

    def _give_folder_back(self) -> None:
        if self._sockets:
            folder.drop_short_socket_folder(self._layout)
        self._sockets = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _bring_up(self, began: float) -> Started:
        """Sweeps what is left, makes the cluster when there is none, starts, and looks whether it keeps its word."""
        layout = self._layout
        major = layout.major()
        binaries = find_binaries(self._source, major=major)
        runner = runner_for(layout.home if layout.home.exists() else layout.root, binaries.directory, made=self._made)
        if folder.make(layout.home):
            runner.own(layout.home)
        password = folder.secret(layout, runner)
        unclean = await self._clear()
        if major is None:
            await cluster.create_cluster(layout, binaries, runner)
        postmaster = self._launch(binaries, runner)
        await postmaster.ready()
        assert self._sockets
        await cluster.ensure_database(self._sockets, password, fresh=major is None)
        how: Literal["created", "started", "recovered"] = "recovered" if unclean else "started"
        return Started(
            url=cluster.url(self._sockets, password),
            version=binaries.version,
            seconds=time.perf_counter() - began,
            how="created" if major is None else how,
            pid=postmaster.pid,
        )

    async def _clear(self) -> bool:
        """Ends what an earlier server left; True when the last one was not stopped in order."""
        cluster.clear_partial(self._layout)
        if not self._layout.cluster.exists():
            return False
        swept = await processes.sweep(processes.mark(self._layout.cluster))
        # Nobody of this cluster lives: the pid in the file is nobody's or, worse, somebody else's by now.
        unclean = self._layout.pid_file.exists()
        self._layout.pid_file.unlink(missing_ok=True)
        return unclean or swept > 0

    def _launch(self, binaries: Binaries, runner: Runner) -> Postmaster:
        self._sockets = self._sockets or folder.socket_folder(self._layout, runner)
        name = processes.mark(self._layout.cluster)
        self._postmaster = Postmaster(self._layout, binaries, runner, self._sockets, name)
        return self._postmaster

    async def _death(self) -> Postmaster | None:
        """Waits until the server is dead and returns it; None when it was stopped."""
        trimmed = time.monotonic()
        while self._postmaster:
            if self._postmaster.status is not None:
                return self._postmaster
            if time.monotonic() - trimmed > TRIM_SECONDS:
                trimmed = time.monotonic()
                trim(self._layout.log)
            await asyncio.sleep(WATCH_SECONDS)
        return None


def running(data_dir: Path) -> str | None:
    """The url of the server that another process of Plaza runs in the folder, None when there is none."""
    layout = folder.Layout(data_dir.absolute())
    if says_ready(layout.pid_file) is None or not processes.marked(processes.mark(layout.cluster)):
        return None
    sockets = layout.pid_file.read_text().splitlines()[4]
    return cluster.url(Path(sockets), layout.password.read_text().strip())


@asynccontextmanager
async def reached(data_dir: Path, binaries: Source = "auto") -> AsyncIterator[str]:
    """The url of the folder's server: of the one that runs, else of one that is started for as long as this lasts."""
    server = PrivatePostgres(data_dir, binaries)
    try:
        url = (await server.start()).url
    except folder.FolderBusy:
        if (found := running(data_dir)) is None:
            raise
        url = found
    try:
        yield url
    finally:
        await server.stop()
