"""Those who carry the bytes of a proxy, each from one stream to another until one of the two is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Hold = Callable[[int], Awaitable[None]]
"""Waits before so many bytes go on."""


class Porters:
    """Carries from stream to stream; ends with its proxy."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, most: int, hold: Hold
    ) -> asyncio.Task[None]:
        """Begins to carry up to `most` bytes at a time, each time after `hold`; the sink is closed in the end."""
        task = asyncio.create_task(_carry(source, sink, most, hold))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self) -> None:
        """Carries nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, most: int, hold: Hold) -> None:
    try:
        while data := await source.read(most):
            await hold(len(data))
            sink.write(data)
            await sink.drain()
    except OSError:
        pass  # one of the two is gone, and the other is told
    finally:
        sink.close()
