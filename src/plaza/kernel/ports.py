"""Ports: what the house needs of the world outside, as protocols that adapters fulfil."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from plaza.kernel.sql import Database

Hear = Callable[[bytes], None]


class Bus(Protocol):
    """Carries small messages to the other processes of the server, in the sender's order, by channels.

    A courtesy: what is lost on it is found in the store again, but whoever may have lost something is told so.
    """

    def publish(self, channel: str, message: bytes) -> None:
        """Sends JSON to the other processes that follow a channel, soon; never waits, never fails."""

    async def follow(self, channel: str) -> None:
        """Hears a channel from now on; waits until that is so, not for long."""

    async def unfollow(self, channel: str) -> None:
        """Hears a channel no longer."""

    def hears(self, channel: str) -> bool:
        """Whether what is said on a channel now will be heard."""

    def subscribe(self, hear: Hear, missed: Callable[[], None]) -> None:
        """Calls `hear` with each message of the others, `missed` where some may be missing before what comes next."""

    def run(self) -> Awaitable[None]:
        """Works until cancelled."""

    async def flush(self) -> None:
        """Waits until everything has been sent, not for ever."""


class Store(Database, Protocol):
    """The store as the whole server sees it."""

    def transaction(self, *, lock_timeout_ms: int | None = None) -> AbstractAsyncContextManager[Database]:
        """One connection in one transaction; commits at the end, rolls back on an exception."""


class Mailer(Protocol):
    """Sends e-mail."""

    async def send(self, *, to: str, subject: str, text: str, message_id: str) -> None:
        """Hands one message to the mail system; raises when it was not taken."""
