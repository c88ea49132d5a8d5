"""The bus of a server that is one process: there is nobody else to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from plaza.kernel.ports import Hear


class LocalBus:
    """Nothing to carry, nothing to lose."""

    def publish(self, channel: str, message: bytes) -> None:
        """Nobody else hears it."""

    async def follow(self, channel: str) -> None:
        """Nobody else speaks."""

    async def unfollow(self, channel: str) -> None:
        """As little."""

    def hears(self, channel: str) -> bool:
        """Nothing is said that would not be heard."""
        return True

    def subscribe(self, hear: Hear, missed: Callable[[], None]) -> None:
        """Neither will be called."""

    async def run(self) -> None:
        """There is nothing to do."""
        await asyncio.Event().wait()

    async def flush(self) -> None:
        """Nothing waits."""
