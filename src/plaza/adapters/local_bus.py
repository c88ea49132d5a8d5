"""The bus of a server that is one process."""

from __future__ import annotations

import asyncio

from plaza.kernel.ports import Hear


class LocalBus:
    """Calls those who listen, in order, at once."""

    def __init__(self) -> None:
        self._hearers: list[Hear] = []

    def publish(self, message: bytes) -> None:
        """Hands the message to every listener."""
        for hear in self._hearers:
            hear(message)

    def subscribe(self, hear: Hear) -> None:
        """Adds a listener."""
        self._hearers.append(hear)

    async def run(self) -> None:
        """There is nothing to do."""
        await asyncio.Event().wait()

    async def flush(self) -> None:
        """Nothing waits."""
