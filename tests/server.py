"""A real server in a thread: its own event loop, its own port, the whole of Plaza."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType

import msgspec
import uvloop

from plaza.app import Plaza
from plaza.cli.serve import listen
from plaza.entry.logs import configure
from plaza.process import build
from plaza.settings import Settings
from plaza.store.relay import RETRY_SECONDS

SETTINGS = Settings(rate_limits="off", log_level="error")


class Running:
    """Serves while it is entered; `spoken` collects the names of the statements it spoke."""

    def __init__(
        self,
        database_url: str,
        settings: Settings = SETTINGS,
        *,
        lease_seconds: float = 40,
        grace_seconds: float = 0.05,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        outbox_key: str | None = None,
    ) -> None:
        self.database_url = database_url
        self._outbox_key = outbox_key
        self._retry_seconds = retry_seconds
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self.plaza: Plaza
        self.spoken: list[str] = []
        self._listener = listen(settings.host, 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = msgspec.structs.replace(settings, port=self.port)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        self._ready.wait(20)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        configure(self._settings.log_level)
        self.plaza = Plaza(
            self._settings,
            self.database_url,
            lease_seconds=self._lease_seconds,
            grace_seconds=self._grace_seconds,
            retry_seconds=self._retry_seconds,
            outbox_key=self._outbox_key,
        )
        measured = self.plaza.meter.statement

        def spoken(name: str, seconds: float) -> None:
            self.spoken.append(name)
            measured(name, seconds)

        self.plaza.store.spoken = spoken
        await self.plaza.start()
        server = build(self.plaza, 1)
        serving = asyncio.create_task(server.serve(sockets=self.plaza.sockets.listeners(self._listener)))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._ready.set()
        await self._stop.wait()
        await self.plaza.drain(0)
        server.should_exit = True
        await serving
        await self.plaza.stop()
