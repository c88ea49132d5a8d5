"""A slow way to the database: a proxy on a socket of its own that holds back what the server asks, and nothing else."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

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
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.url = urlunsplit(parts._replace(query=f"host={quote(str(self._folder), safe='')}"))

    async def __aenter__(self) -> SlowWay:
        self._server = await asyncio.start_unix_server(self._accept, self._folder / SOCKET)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        shutil.rmtree(self._folder)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(self._target)
        for source, sink, most in ((reader, questions, self._most), (answers, writer, 0.0)):
            task = asyncio.create_task(self._carry(source, sink, most))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, most: float) -> None:
        try:
            while data := await source.read(1 << 16):
                if most:
                    self.delays += 1
                    await asyncio.sleep(self._dice.uniform(0, most))
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # one of the two is gone, and the other is told
        finally:
            sink.close()
