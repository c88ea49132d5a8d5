"""Health: `/healthz` says that the process lives, `/readyz` that it should be sent requests."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec

from plaza.entry.http import Request, Send, respond
from plaza.kernel.errors import StoreFull, Unavailable

CHECK_SECONDS = 1.0
"""How long an answer of the store holds, so that probes cost it nothing."""


class Health(msgspec.Struct):
    """A state, and the reason for a bad one."""

    status: str
    reason: str | None = None


class Status:
    """`draining` turns readiness off before anything else happens; so does a store that is `full`."""

    def __init__(self, ask: Callable[[], Awaitable[None]], full: Callable[[], bool]) -> None:
        self.draining = False
        self._ask = ask
        self._full = full
        self._checked = float("-inf")

    async def health(self, request: Request, send: Send) -> None:
        """Answers `/healthz`."""
        await respond(send, request, 200, msgspec.json.encode(Health("ok")))

    async def ready(self, request: Request, send: Send) -> None:
        """Answers `/readyz`: 200, or 503 with the reason."""
        reason = await self._reason()
        body = msgspec.json.encode(Health("ok" if reason is None else "unavailable", reason))
        headers = {} if reason is None else {"Retry-After": "1"}
        await respond(send, request, 200 if reason is None else 503, body, headers=headers)

    async def _reason(self) -> str | None:
        if self.draining:
            return "draining"
        if time.monotonic() - self._checked > CHECK_SECONDS:
            try:
                await self._ask()
            except Unavailable:
                return "store"
            self._checked = time.monotonic()
        return StoreFull.reason if self._full() else None
