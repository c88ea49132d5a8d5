"""Whether the store has room to write: by the file system of a local data folder, and by what PostgreSQL answers.

Without room, writes are refused before they are begun and reads go on; the process finds out by itself when there is
room again.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from plaza.kernel.errors import StoreFull, Unavailable
from plaza.settings import Settings
from plaza.store.postgres import Postgres

log = structlog.get_logger("plaza.store")
CHECK_SECONDS = 5.0
"""How often the folder is looked at, and PostgreSQL is asked again after it had no room."""
MARGIN = 0.2
"""Above the mark by such a part of it must be free before writing goes on, so that the state does not flap."""
PROBE = """
create temporary table room_probe on commit drop as
    select repeat(md5(n::text), 100) as filling from generate_series(1, 2400) n
"""
"""Extends a file by 8 MB, which is none of the tables' and gone afterwards."""
Probe = Callable[[], Awaitable[bool]]


class Room:
    """The state of one process: `full` where nothing may be written."""

    def __init__(self, folder: Path | None, percent: float, probe: Probe) -> None:
        self._folder = folder
        """Where the private PostgreSQL keeps its files; None where PostgreSQL is not ours."""
        self._percent = percent
        self._probe = probe
        self._low = False
        self._refused = False

    @property
    def full(self) -> bool:
        """Whether nothing may be written."""
        return self._low or self._refused

    def check(self) -> None:
        """Refuses a write where there is no room."""
        if self._low or self._refused:
            raise StoreFull(retry_after=5)

    def refused(self) -> None:
        """PostgreSQL answered a write with "disk full"."""
        if not self.full:
            log.error("store.full", reason="PostgreSQL has no room on its disk")
        self._refused = True

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(CHECK_SECONDS)

    async def look(self) -> None:
        """Looks once at the folder, and asks PostgreSQL whether it has room again where it had none."""
        before = self.full
        free = 100.0 if self._folder is None else await asyncio.to_thread(_free, self._folder)
        self._low = free < self._percent * (1 + MARGIN if self._low else 1)
        if self._refused and not self._low:
            self._refused = not await self._probe()
        if self.full and not before:
            log.error("store.full", reason="little space is free", percent=round(free, 1), folder=str(self._folder))
        elif before and not self.full:
            log.info("store.writable", percent=round(free, 1))


def watched(store: Postgres, settings: Settings) -> Room:
    """The room of a store; with a mark of free space only where the private PostgreSQL runs here."""
    own = settings.database_url is None and settings.free_space_percent > 0
    folder = Path(settings.data_dir) if own else None
    room = Room(folder, settings.free_space_percent, functools.partial(has_room, store))
    store.refused = room.refused
    return room


async def has_room(store: Postgres) -> bool:
    """Whether PostgreSQL can make a file of some size; what it made is taken back."""
    try:
        async with store.acquire() as db:
            transaction = db.connection.transaction()
            await transaction.start()
            try:
                await db.connection.execute(PROBE)
            finally:
                await transaction.rollback()
    except Unavailable:
        return False
    return True


def _free(folder: Path) -> float:
    """The percentage of a file system that is free; 100 where there is none."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return 100.0
    return 100.0 * usage.free / max(usage.total, 1)
