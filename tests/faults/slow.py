"""A slow way to the database: a proxy on a socket of its own that holds back what the server asks, and nothing else."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from tests.faults.porters import Porters

SOCKET = ".s.PGSQL.5432"


class SlowWay:
    """Every message to PostgreSQL waits a random time up to `most` seconds; those of one connection keep their order.

    A write of several statements is held up before its COMMIT as well, with its locks taken and its numbers drawn.
    """

    def __init__(self, database_url: str, most: float, dice: random.Random) -> None:
        parts = urlsplit(database_url)
        (folder,) = parse_qs(parts.query)["host"]
        self.delays = 0
        self._target = Path(folder) / SOCKET
        # Short, unlike a test's own folder: the path of a socket has 107 characters at most.
        self._folder = Path(tempfile.mkdtemp(prefix="slow-"))
        self._most = most
        self._dice = dice
        self._porters = Porters()
        self._server: asyncio.Server
        self.url = urlunsplit(parts._replace(query=f"host={quote(str(self._folder), safe='')}"))

    async def __aenter__(self) -> SlowWay:
        self._server = await asyncio.start_unix_server(self._accept, self._folder / SOCKET)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await self._porters.end()
        await self._server.wait_closed()
        shutil.rmtree(self._folder)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(self._target)
        self._porters.carry(reader, questions, 1 << 16, self._hold)
        self._porters.carry(answers, writer, 1 << 16, _at_once)

    async def _hold(self, _size: int) -> None:
        self.delays += 1
        await asyncio.sleep(self._dice.uniform(0, self._most))


async def _at_once(_size: int) -> None:
    pass
