"""Upkeep: what goes on by itself in every process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from plaza.admission import Admission
from plaza.entry.auth import Authenticator
from plaza.entry.gateway import Gateway
from plaza.entry.switchboard import Switchboard
from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable
from plaza.store.postgres import Postgres
from plaza.store.relay import Relay
from plaza.store.statistics import refresh

log = structlog.get_logger("plaza.upkeep")
Work = Callable[[], Awaitable[Any]]

SWEEP_SECONDS = 5.0
"""How often rights are asked of the store again, should the word of a change have been lost (guarantees, G11)."""
EXPIRE_SECONDS = 0.5
STATISTICS_SECONDS = 1.0
AGAIN_SECONDS = 0.5


async def keep(work: Work) -> None:
    """Runs a work until cancelled; starts it again when it failed, and says so."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("work.failed", work=getattr(work, "__qualname__", str(work)))
        await asyncio.sleep(AGAIN_SECONDS)


class Upkeep:
    """Rights that ended unheard, tokens whose time is over, statistics that fell behind."""

    def __init__(
        self,
        store: Postgres,
        relay: Relay,
        admission: Admission,
        authenticator: Authenticator,
        gateway: Gateway,
        switchboard: Switchboard,
    ) -> None:
        self._store = store
        self._relay = relay
        self._admission = admission
        self._authenticator = authenticator
        self._gateway = gateway
        self._switchboard = switchboard

    def works(self, clock: Clock) -> Sequence[Work]:
        """What is to be kept running."""

        async def expire() -> None:
            self._gateway.expire(clock().timestamp())

        return (
            _every(SWEEP_SECONDS, self.sweep),
            _every(EXPIRE_SECONDS, expire),
            _every(STATISTICS_SECONDS, self.refresh_statistics),
        )

    async def sweep(self) -> None:
        """Asks the store who of the people here may not be here any more."""
        for org, person in await self._admission.suspended(self._authenticator.people()):
            self._switchboard.forget(org, person=person)
        for org, session in await self._admission.over(self._authenticator.sessions()):
            self._switchboard.forget(org, session=session)

    async def refresh_statistics(self) -> None:
        """Once for the whole server: by the process that leads the relay."""
        if self._relay.leads:
            await refresh(self._store)


def _every(seconds: float, work: Work) -> Work:
    """A work done again and again; one that an outage of the store keeps away is done the next time."""

    async def forever() -> None:
        while True:
            await asyncio.sleep(seconds)
            with contextlib.suppress(Unavailable):
                await work()

    return forever
