"""Upkeep: what goes on by itself in every process, and what ends rights whoever was told of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import structlog

from plaza.admission import Admission
from plaza.domains.accounts import SessionEnded
from plaza.domains.organisations import KeyRetired, OrganisationSuspended
from plaza.domains.people import PersonReassigned, PersonSuspended
from plaza.entry.auth import Authenticator
from plaza.entry.gateway import Gateway
from plaza.entry.limits import SHARE_SECONDS, Limits
from plaza.entry.metrics import Meter
from plaza.entry.switchboard import Switchboard
from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable
from plaza.kernel.outbox import Announced, Fact, Listener
from plaza.kernel.sql import Database
from plaza.store import outbox
from plaza.store.postgres import Postgres
from plaza.store.relay import Relay
from plaza.store.statistics import refresh

log = structlog.get_logger("plaza.upkeep")
Work = Callable[[], Awaitable[Any]]

SWEEP_SECONDS = 5.0
"""How often rights are asked of the store again, should the word of a change have been lost (guarantees, G11)."""
STEP = 500
"""Tokens and sockets looked through at once."""
EXPIRE_SECONDS = 0.5
STATISTICS_SECONDS = 1.0
OUTBOX_SECONDS = 10.0
"""How often the outbox is measured."""
AGAIN_SECONDS = 0.5


class Known(NamedTuple):
    """Who is known here, each with the organisation; people without an id have no person yet.

    `addresses` are those that remembered tokens say; a socket goes by its token at its next event.
    """

    people: set[tuple[int, int, str]]
    """With the signer of the token."""
    addresses: set[tuple[int, int, str | None]]
    sessions: set[tuple[int, int]]
    keys: set[tuple[int, str]]


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
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._store = store
        self._relay = relay
        self._admission = admission
        self._authenticator = authenticator
        self._gateway = gateway
        self._switchboard = switchboard

    def works(self, limits: Limits) -> Sequence[Work]:
        """What is to be kept running."""

        async def expire() -> None:
            self._gateway.expire(self._clock().timestamp())

        async def share() -> None:
            self._switchboard.share(limits.spent())

        return (
            _every(SWEEP_SECONDS, self.sweep),
            _every(SWEEP_SECONDS, self.sweep_keys),
            _every(EXPIRE_SECONDS, expire),
            _every(SHARE_SECONDS, share),
            _every(STATISTICS_SECONDS, self.refresh_statistics),
            _every(OUTBOX_SECONDS, self.measure_outbox),
        )

    async def sweep(self) -> None:
        """Asks the store who of the people here may not be here any more."""
        known = await self._known()
        for org in await self._admission.closed({org for org, _ in known.keys}):
            self._switchboard.forget(org)
        for org, person in await self._admission.suspended(known.people):
            self._switchboard.forget(org, person=person)
        for org, person in await self._admission.moved(known.addresses):
            self._switchboard.ask_again(org, person)
        for org, session in await self._admission.over(known.sessions):
            self._switchboard.forget(org, session=session)

    async def sweep_keys(self) -> None:
        """Asks which of the keys that the tokens here stand on hold no longer; apart, for signers may be slow."""
        for org, key in await self._admission.retired((await self._known()).keys):
            self._switchboard.forget(org, key=key)

    async def _known(self) -> Known:
        """Of tokens that are remembered here and of sockets that are open: the one may outlast the other.

        They may be many: looked through in steps, with other work in between.
        """
        found = Known(set(), set(), set(), set())
        remembered, here = self._authenticator.known(), self._gateway.known()
        for number, (org, principal, told) in enumerate(
            chain(((*one, True) for one in remembered), ((*one, False) for one in here)), 1
        ):
            if principal.id:
                found.people.add((org, principal.id, principal.signer))
            if principal.id and told:
                found.addresses.add((org, principal.id, principal.email))
            if principal.session is not None:
                found.sessions.add((org, principal.session))
            found.keys.add((org, principal.key))
            if number % STEP == 0:
                await asyncio.sleep(0)
        return found

    async def measure_outbox(self) -> None:
        """What waits in the outbox, for the metrics: by the process that leads the relay."""
        leads = self._relay.leads
        found = await outbox.state(self._store) if leads else outbox.OutboxState()
        age = found.age(self._clock())
        self._meter.outbox.set(rows=found.rows, age=age, unknown=found.unknown, failed=found.failed)

    async def refresh_statistics(self) -> None:
        """Once for the whole server: by the process that leads the relay."""
        if self._relay.leads:
            await refresh(self._store)


def endings(switchboard: Switchboard) -> dict[type[Fact], list[Listener]]:
    """What ends rights, said by the relay: for commands, and for processes that ended before they could say it."""

    def ends(*whose: str) -> Listener:
        async def forget(_db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
            for item in announced:
                switchboard.forget(item.org, **{name: getattr(item.fact, name) for name in whose})
            return ()

        return forget

    return {
        SessionEnded: [ends("session")],
        PersonSuspended: [ends("person")],
        PersonReassigned: [ends("person")],
        KeyRetired: [ends("key")],
        OrganisationSuspended: [ends()],
    }


def _every(seconds: float, work: Work) -> Work:
    """A work done again and again; one that an outage of the store keeps away is done the next time."""

    async def forever() -> None:
        while True:
            await asyncio.sleep(seconds)
            with contextlib.suppress(Unavailable):
                await work()

    return forever
