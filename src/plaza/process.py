"""One process of the server on a listening socket: uvicorn behind our own door, drained on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
import uvloop

from plaza.app import Plaza
from plaza.entry.logs import configure
from plaza.settings import Settings

log = structlog.get_logger("plaza.process")
DRAIN_SECONDS = 5.0
"""Over how long the sockets are sent away, so that they do not all come back in one moment."""
GRACE_SECONDS = 5
"""How long requests that are under way may take after that."""
BACKLOG = 2_048
COLLECT_AFTER = 25_000, 4
"""Objects more than were freed, of the kinds that can be in a cycle, and so often before older ones are looked at too.

A socket is about ten: two thousand may come before everybody waits for a millisecond, ten thousand before it is five.
"""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(settings: Settings, database_url: str, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is called when people can come in."""
    uvloop.run(serve(settings, database_url, listener, ready))


async def serve(
    settings: Settings,
    database_url: str,
    listener: socket.socket,
    ready: Callable[[], None],
    stop: asyncio.Event | None = None,
    *,
    outbox_key: str | None = None,
) -> None:
    """Serves until `stop`, or until a signal where none is given."""
    configure(settings.log_level)
    raise_open_files()
    stop = stop or _stopped_by_signals()
    plaza = Plaza(settings, database_url, outbox_key=outbox_key)
    await plaza.start()
    spare_collecting()
    server = build(plaza, GRACE_SECONDS)
    serving = asyncio.create_task(server.serve(sockets=plaza.sockets.listeners(listener)))
    while not server.started and not serving.done():  # noqa: ASYNC110 — uvicorn has no event for it
        await asyncio.sleep(0.005)
    ready()
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    await plaza.drain(DRAIN_SECONDS)
    server.should_exit = True
    await serving
    await plaza.stop()


def build(plaza: Plaza, grace: int) -> uvicorn.Server:
    """The HTTP server of a process, which gives requests under way so many seconds when it stops."""
    return _Server(
        uvicorn.Config(
            plaza,
            http=plaza.sockets.http_protocol,
            ws=plaza.sockets.websocket_protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=65,
            timeout_graceful_shutdown=grace,
        )
    )


def _stopped_by_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def spare_collecting() -> None:
    """Keeps the collector, for which all sockets wait, from what stays, and from looking after every few sockets.

    What ends here is freed by its last reference: cycles are rare.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def raise_open_files() -> None:
    """Raises the soft limit of open files to the hard one; each socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        log.warning("open_files.limited", limit=soft)
