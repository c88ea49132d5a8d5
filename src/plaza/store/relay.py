"""The relay: moves facts from the outbox to those who hear them, in order, after their commit.

One process at a time leads (an advisory lock); it works on the very connection that holds the lock, so that a leader
that lost its place cannot commit anything any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec
import structlog

from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable
from plaza.kernel.outbox import Announced, Facts, LiveEvent, with_cursor
from plaza.kernel.sql import Statement
from plaza.store.postgres import Connected, Postgres, outages

log = structlog.get_logger("plaza.relay")


class Stage(Protocol):
    """Where live events are shown, to the sockets of every process."""

    def begin(self, head: int) -> None:
        """A leader begins; what was committed up to here may have been shown to nobody."""

    def show(self, event: LiveEvent, payloads: Sequence[msgspec.Raw], position: int) -> None:
        """One event with what its audience may see of it, and its place in the log."""

    def shown(self, head: int) -> None:
        """Everything that was committed up to here has been shown."""


LOCK = 7_041_963
BATCH = 500
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


class OutboxRow(msgspec.Struct, frozen=True):
    """A fact as stored."""

    id: int
    org: int
    kind: str
    fact: dict[str, Any]
    origin: str | None
    at: str


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
CLAIM = Statement(
    "relay.claim",
    OutboxRow,
    """
    delete from outbox where id = any(array(select id from outbox order by id limit :batch))
    returning id, org, kind, fact, origin, created_at
    """,
    tenant=False,
)
APPEND = Statement(
    "relay.append",
    int,
    """
    with log as (update event_log set head = head + cardinality(:orgs::integer[]) returning head),
    written as (
        insert into event (org, audience, position, name, kind, fact, origin, created_at)
        select org, audience, head - cardinality(:orgs) + place, name, kind, fact, origin, at
        from log, unnest(:orgs, :audiences::bigint[], :names::text[], :kinds::text[], :facts::jsonb[],
            :origins::text[], :ats::timestamptz[])
            with ordinality as given (org, audience, name, kind, fact, origin, at, place)
    )
    select head from log
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
    """Works until cancelled; `wake` tells it that there may be something to do."""

    def __init__(self, store: Postgres, facts: Facts, stage: Stage, clock: Clock) -> None:
        self.leads = False
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
                async with asyncio.timeout(POLL_SECONDS):
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
        with outages():
            async with db.connection.transaction():
                rows = sorted(await db.all(CLAIM, batch=BATCH), key=lambda row: row.id)
                if not rows:
                    return False
                announced = [
                    Announced(row.org, fact, row.origin, row.at)
                    for row in rows
                    if (fact := self._facts.read(row.kind, row.fact)) is not None
                ]
                announced += await self._tell_listeners(db, announced)
                events = [(event, item.at) for item in announced for event in self._facts.live(item)]
                self._head = await self._append(db, events)
            await self._show(db, [event for event, _ in events])
        return True

    async def _tell_listeners(self, db: Connected, announced: Sequence[Announced]) -> list[Announced]:
        """Lets the listeners write; the facts that follow.

        In the order of their table: what begins a thing is heard before what ends it, though both are in one batch.
        """
        groups: dict[str, list[Announced]] = {}
        for item in announced:
            groups.setdefault(item.fact.kind, []).append(item)
        following: list[Announced] = []
        for fact, listeners in self._facts.listeners.items():
            for listener in listeners if fact.kind in groups else ():
                following += await listener(db, groups[fact.kind])
        return following

    async def _append(self, db: Connected, events: Sequence[tuple[LiveEvent, str]]) -> int:
        if not events:
            return self._head
        return await db.one(
            APPEND,
            orgs=[event.org for event, _ in events],
            audiences=[event.audience for event, _ in events],
            names=[event.name for event, _ in events],
            kinds=[event.fact.kind for event, _ in events],
            facts=[msgspec.to_builtins(event.fact) for event, _ in events],
            origins=[event.origin for event, _ in events],
            ats=[at for _, at in events],
        )

    async def _show(self, db: Connected, events: Sequence[LiveEvent]) -> None:
        """Live effects, each as its audience may see it now."""
        payloads = await self._facts.present(db, events)
        for place, (event, shown) in enumerate(zip(events, payloads, strict=True), self._head - len(events) + 1):
            if shown:
                self._stage.show(event, [with_cursor(payload, place) for payload in shown], place)
