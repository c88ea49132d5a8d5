"""A bad way to a server: a TCP proxy that is slow, stands still, breaks off, or resets what goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType

from tests.faults.porters import Porters

SMALL = 4_096
"""Of the kernel's buffers on the way, so that a reader who takes nothing is soon felt at the other end."""


class BadWay:
    """Carries connections to a port of this machine; what the server says is held back as it is told meanwhile.

    `rate` in bytes a second for each connection (None: as fast as it goes, 0: nothing), `delay` in seconds, both ways.
    """

    port: int

    def __init__(self, to: int, *, rate: float | None = None, delay: float = 0.0) -> None:
        self.rate = rate
        self.delay = delay
        self._to = to
        self._writers: set[asyncio.StreamWriter] = set()
        self._porters = Porters()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> BadWay:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accept, sock=listener)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await self._porters.end()
        self.reset()
        await self._server.wait_closed()

    def set(self, rate: float | None) -> None:
        """From now on at another rate."""
        self.rate = rate
        self._changed.set()
        self._changed = asyncio.Event()

    def cut(self) -> None:
        """Ends every connection in order, as a proxy that is restarted."""
        for writer in self._writers:
            writer.close()

    def reset(self) -> None:
        """Ends every connection with a reset, as a network that forgets."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = socket.socket()
        upstream.setblocking(False)
        upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        await asyncio.get_running_loop().sock_connect(upstream, ("127.0.0.1", self._to))
        answers, questions = await asyncio.open_connection(sock=upstream, limit=SMALL)
        self._writers |= {writer, questions}
        for source, sink, hold in ((reader, questions, self._wait), (answers, writer, self._hold)):
            task = self._porters.carry(source, sink, SMALL, hold)
            task.add_done_callback(lambda _, sink=sink: self._writers.discard(sink))  # type: ignore[misc]

    async def _wait(self, _size: int) -> None:
        await asyncio.sleep(self.delay)

    async def _hold(self, size: int) -> None:
        """Waits as long as so many bytes take at the rate, or until it is another."""
        await asyncio.sleep(self.delay)
        while self.rate is not None:
            changed = self._changed
            try:
                async with asyncio.timeout(size / self.rate if self.rate else None):
                    await changed.wait()
            except TimeoutError:
                return
