"""Several processes on one port: the parent holds the listening socket and the private PostgreSQL, children serve.

A child is told everything on its standard input, and the pipe stays open: when the parent is gone, however it went, the
child hears the end of the file and stops as on a signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable

import msgspec
import structlog
import uvloop

from plaza import process
from plaza.settings import Settings
from plaza.store.serving_lock import ServingLock

log = structlog.get_logger("plaza.supervisor")
STOP_SECONDS = 15.0
CALM_SECONDS = 30.0


class Orders(msgspec.Struct, frozen=True):
    """What a child needs to know."""

    settings: Settings
    database_url: str
    listener: int
    outbox_key: str


class Supervisor:
    """Keeps `settings.workers` children alive until it is told to stop."""

    def __init__(self, settings: Settings, database_url: str, listener: socket.socket, outbox_key: str) -> None:
        self._settings = settings
        self._orders = msgspec.json.encode(Orders(settings, database_url, listener.fileno(), outbox_key)) + b"\n"
        self._listener = listener
        self._stop = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        """Starts the children, calls `ready` when all of them serve, and ends when all of them have ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        up = [asyncio.Event() for _ in range(self._settings.workers)]
        keepers = [asyncio.create_task(self._keep(event)) for event in up]
        waiting = asyncio.create_task(self._announce(up, ready))
        await asyncio.gather(*keepers)
        waiting.cancel()

    async def _announce(self, up: list[asyncio.Event], ready: Callable[[], None]) -> None:
        for event in up:
            await event.wait()
        ready()

    async def _keep(self, up: asyncio.Event) -> None:
        """One child after another, until told to stop; one that fails at once is given time."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            begun = loop.time()
            await self._one(up)
            if not self._stop.is_set():
                log.error("worker.died")
                await asyncio.sleep(1.0 if loop.time() - begun < CALM_SECONDS else 0.0)

    async def _one(self, up: asyncio.Event) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "plaza.supervisor",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(self._orders)
        await child.stdin.drain()
        if await child.stdout.readline():
            up.set()
        ended = asyncio.create_task(child.wait())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            child.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), STOP_SECONDS)
        if not ended.done():
            child.kill()
        await ended


async def serve_as_child() -> None:
    """What a child does: reads its orders, serves, and stops when the parent is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    orders = msgspec.json.decode(await reader.readline(), type=Orders)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(_until_orphaned(reader, stop))
    listener = socket.socket(fileno=orders.listener)
    async with ServingLock(orders.database_url, stop_serving):
        await process.serve(
            orders.settings, orders.database_url, listener, _say_ready, stop, outbox_key=orders.outbox_key
        )
    watching.cancel()


async def _until_orphaned(reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    await reader.read()
    stop.set()


def stop_serving() -> None:
    """Ends this process as its supervisor would: drained."""
    signal.raise_signal(signal.SIGTERM)


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve_as_child())
