"""Ports: what the house needs of the world outside, as protocols that adapters fulfil."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from plaza.kernel.sql import Database

Hear = Callable[[bytes], None]


class Bus(Protocol):
    """Carries small messages to every process of the server, the sender's own included, in the sender's order.

    A courtesy: what is lost on it is found in the store again.
    """

    def publish(self, message: bytes) -> None:
        """Sends it soon; never waits, never fails."""

    def subscribe(self, hear: Hear) -> None:
        """Calls `hear` with each message of each process."""

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
