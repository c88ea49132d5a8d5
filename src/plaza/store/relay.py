"""The relay: moves facts from the outbox to those who hear them, in order, after their commit.

One process at a time leads (an advisory lock); it works on the very connection that holds the lock, so that a leader
that lost its place cannot commit anything any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import msgspec
import structlog

from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable, locate
from plaza.kernel.outbox import EVERYONE, Announced, Facts, LiveEvent, Logged, StateReset, batches
from plaza.kernel.sql import Statement
from plaza.store.effects import Effects, Failure, isolate
from plaza.store.outbox import CLAIM, DUE, NEVER, RELEASE, OutboxRow, claim, defer, park
from plaza.store.postgres import Connected, Postgres, is_outage, outages

log = structlog.get_logger("plaza.relay")


class Stage(Protocol):
    """Where live events are shown, to the sockets of every process."""

    def begin(self, head: int) -> None:
        """A leader begins; what was committed up to here may have been shown to nobody."""

    def show(self, event: LiveEvent, payloads: Sequence[msgspec.Raw], position: int) -> None:
        """One event with what its audience may see of it, and its place in the log."""

    def shown(self, head: int) -> None:
        """Everything that was committed up to here has been shown."""


class Observer(Protocol):
    """Counts what goes wrong."""

    def fact_failed(self, kind: str, count: int) -> None:
        """Facts of a kind failed in one try."""

    def fact_parked(self, kind: str, count: int) -> None:
        """Facts of a kind failed in every try, and were moved to `outbox_failed`."""


LOCK = 7_041_963
BATCH = 500
ISOLATED_BATCH = 100
"""Facts taken at once where some of them fail: few enough that the others do not wait for a second."""
RETRY_BATCH = 20
RETRY_TURN_SECONDS = 0.1
"""Facts tried again at once, and the pause while there are more of them, in which the others go on."""
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Pauses between the tries of a fact that fails; it has one try more than there are pauses."""
PRESENTED_BYTES = 2 << 20
"""Of live events, by weight, whose payloads are read at once."""
SKIPPED = 1_000_000
"""Places left out when a leader begins: more than one before it can have given away and lost.

The relay's commits are not waited for on disk (a batch lost in a crash is still in the outbox, whole, and is relayed
again), but its cursors are out at once: none of them may mean anything else later.
"""
POLL_SECONDS = 1.0
"""How long facts of a crashed process, or of one whose word got lost, may wait."""
FINISH_SECONDS = 3.0
"""How long a batch may go on when the process stops."""
REMEMBERED = timedelta(days=8)
"""How long the log keeps what a client may ask for; a cursor lives at least seven days (guarantees, G5)."""
FORGET_SECONDS = 600.0


LEAD = Statement("relay.lead", bool, "select pg_try_advisory_lock(:lock::bigint)", tenant=False)
SKIP = Statement(
    "relay.skip",
    int,
    """
    update event_log
    set head = head + :places, gaps = gaps + int8multirange(int8range(head, head + :places, '()'))
    returning head
    """,
    tenant=False,
)
FORGET = Statement(
    "relay.forget",
    int,
    """
    with gone as (delete from event where created_at < :before returning position),
    log as (
        update event_log
        set floor = greatest(floor, forgotten), gaps = gaps - int8multirange(int8range(null, forgotten))
        from (select max(position) as forgotten from gone) f
        where forgotten is not null
    )
    select count(*) from gone
    """,
    tenant=False,
)
UNHEEDED = Statement(
    "relay.unheeded",
    bool,
    """
    select exists (select 1 from outbox where org = :org and kind = :kind)
        and exists (
            select 1 from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
            where l.locktype = 'advisory' and l.objid::bigint = :lock
        )
    """,
)


class Relay:
    """Works until cancelled; `wake` tells it that there may be something to do.

    Facts whose effects fail are isolated and tried again after pauses, beside the others; what failed in every try is
    moved to `outbox_failed`. Outages and deadlocks are no tries: the whole batch is relayed again.
    """

    def __init__(
        self,
        store: Postgres,
        facts: Facts,
        stage: Stage,
        observer: Observer,
        clock: Clock,
        pauses: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self.leads = False
        self._observer = observer
        self._pauses = pauses
        self._effects = Effects(facts)
        self._retry_at = 0.0
        self._store = store
        self._facts = facts
        self._stage = stage
        self._clock = clock
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._head = 0

    def wake(self) -> None:
        """There may be facts."""
        self._wake.set()

    async def idle(self) -> None:
        """Waits until nothing is left to relay: the facts that are committed now have been shown."""
        self._settled.clear()
        self.wake()
        await self._settled.wait()

    async def run(self) -> None:
        """Leads when nobody else does, and survives every outage of the store."""
        while True:
            try:
                with outages():
                    db = await self._store.connect(synchronous_commit="off")
                try:
                    await self._serve(db)
                finally:
                    self.leads = False
                    db.connection.terminate()
            except Unavailable:
                log.warning("relay.waits")
                await asyncio.sleep(POLL_SECONDS / 2)

    async def _serve(self, db: Connected) -> None:
        with outages():
            while not await db.one(LEAD, lock=LOCK):  # noqa: ASYNC110 — another process ends, and no event tells
                await asyncio.sleep(POLL_SECONDS)
            self._head = await db.one(SKIP, places=SKIPPED)
            await db.one(RELEASE, never=NEVER, kinds=sorted(self._facts.kinds))
        self._retry_at = 0.0
        self.leads = True
        self._stage.begin(self._head)
        log.info("relay.leads")
        forgotten = float("-inf")
        while True:
            self._wake.clear()
            while await self.drain(db):
                self._stage.shown(self._head)
            self._stage.shown(self._head)
            if not self._wake.is_set():
                self._settled.set()
            now = asyncio.get_running_loop().time()
            if now - forgotten > FORGET_SECONDS:
                forgotten = now
                with outages():
                    await db.one(FORGET, before=self._clock() - REMEMBERED)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL_SECONDS, max(self._retry_at - now, 0.0))):
                    await self._wake.wait()

    async def drain(self, db: Connected) -> bool:
        """Relays one batch, to its end even when the process stops meanwhile; whether there was anything.

        What is committed and not shown waits for the next leader, who has everybody look into the log.
        """
        batch = asyncio.create_task(self._relay(db))
        try:
            return await asyncio.shield(batch)
        except asyncio.CancelledError:
            await asyncio.wait([batch], timeout=FINISH_SECONDS)
            raise

    async def _relay(self, db: Connected) -> bool:
        found = await self._relay_batch(db)
        now = asyncio.get_running_loop().time()
        if now >= self._retry_at:
            self._retry_at = now + POLL_SECONDS
            with outages():
                due, logged = await self._relay_isolated(db, DUE, batch=RETRY_BATCH, now=self._clock())
                await self._show(db, logged)
            if due == RETRY_BATCH:
                self._retry_at = min(self._retry_at, asyncio.get_running_loop().time() + RETRY_TURN_SECONDS)
        return found > 0

    async def _relay_batch(self, db: Connected) -> int:
        with outages():
            try:
                async with db.connection.transaction():
                    rows, found = await claim(db, CLAIM, self._facts.kinds, batch=BATCH)
                    logged = await self._effects.apply(db, rows) if rows else []
            except Exception as error:
                if is_outage(db, error):
                    raise
                log.warning("relay.batch_failed", error=locate(error))
                found, logged = await self._relay_isolated(db, CLAIM, batch=ISOLATED_BATCH)
            await self._show(db, logged)
        return found

    async def _relay_isolated(
        self, db: Connected, statement: Statement[OutboxRow], **values: object
    ) -> tuple[int, list[Logged]]:
        """Relays facts of which some may fail, and sets those aside; how many there were, and their live events."""
        async with db.connection.transaction():
            rows, found = await claim(db, statement, self._facts.kinds, **values)
            if not rows:
                return found, []
            logged, failures = await isolate(db, rows, self._effects.apply)
            last = [failure for failure in failures if failure.row.tries >= len(self._pauses)]
            await self._defer(db, [failure for failure in failures if failure.row.tries < len(self._pauses)])
            return found, logged + await self._park(db, last)

    async def _defer(self, db: Connected, failures: Sequence[Failure]) -> None:
        """Puts facts back, to be tried again after a pause."""
        if not failures:
            return
        pauses = [self._pauses[failure.row.tries] for failure in failures]
        next_tries = [self._clock() + timedelta(seconds=pause) for pause in pauses]
        await defer(db, [failure.row for failure in failures], next_tries)
        self._retry_at = min(self._retry_at, asyncio.get_running_loop().time() + min(pauses))
        for (kind, error), ids in _grouped(failures).items():
            self._observer.fact_failed(kind, len(ids))
            log.warning("relay.facts_failed", kind=kind, error=error, facts=ids)

    async def _park(self, db: Connected, failures: Sequence[Failure]) -> list[Logged]:
        """Moves facts to `outbox_failed`, and has their audiences fetch anew."""
        if not failures:
            return []
        rows, now = [failure.row for failure in failures], self._clock()
        await park(db, rows, [failure.describe() for failure in failures], now)
        for (kind, error), ids in _grouped(failures).items():
            self._observer.fact_failed(kind, len(ids))
            self._observer.fact_parked(kind, len(ids))
            log.error("relay.facts_parked", kind=kind, error=error, facts=ids)
        lost = [
            Announced(row.org, StateReset(people=self._whom(row)), None, row.at)
            for row in rows
            if row.kind in self._facts.live_kinds
        ]
        return await self._effects.append(db, lost)

    def _whom(self, row: OutboxRow) -> list[int]:
        """Whose state may lack what a fact would have said: everyone's of the organisation where it does not decode."""
        people = self._effects.audience(row)
        return [EVERYONE] if people is None else people

    async def _show(self, db: Connected, logged: Sequence[Logged]) -> None:
        """Live effects, each as its audience may see it now."""
        for batch in batches(logged, PRESENTED_BYTES):
            payloads = await self._facts.present(db, batch)
            self._head = batch[-1].position
            for (event, position), shown in zip(batch, payloads, strict=True):
                if shown:
                    self._stage.show(event, shown, position)


def _grouped(failures: Sequence[Failure]) -> dict[tuple[str, str], list[int]]:
    """The ids of failed facts by their kind, and the error without its text: one line of the log for each."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, error in failures:
        groups.setdefault((row.kind, locate(error)), []).append(row.id)
    return groups
