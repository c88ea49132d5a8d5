"""What facts do inside the relay's transaction: listeners write, live events are appended to the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from plaza.kernel.errors import locate
from plaza.kernel.outbox import Announced, Facts, Logged
from plaza.kernel.sql import Statement
from plaza.store.outbox import OutboxRow
from plaza.store.postgres import Connected, is_outage

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
Apply = Callable[[Connected, Sequence[OutboxRow]], Awaitable[list[Logged]]]
LONGEST_ERROR = 500
"""Characters kept of an error's text."""


class Failure(NamedTuple):
    """A fact that failed alone, and why."""

    row: OutboxRow
    error: Exception

    def describe(self) -> str:
        """The error as the store keeps it: class, text and place."""
        text = f"{locate(self.error)}: {self.error}"[:LONGEST_ERROR]
        return text.replace("\0", "").encode(errors="replace").decode()


class Effects:
    """Runs listeners and appends live events; raises what they raise."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    async def apply(self, db: Connected, rows: Sequence[OutboxRow]) -> list[Logged]:
        """The effects of facts, in order; their live events with their places in the log."""
        announced = [Announced(row.org, self._facts.decode(row.kind, row.fact), row.origin, row.at) for row in rows]
        return await self.append(db, [*announced, *await self._run_listeners(db, announced)])

    async def append(self, db: Connected, announced: Sequence[Announced]) -> list[Logged]:
        """Appends the live events of facts to the log."""
        events = [(event, item.at) for item in announced for event in self._facts.live(item)]
        if not events:
            return []
        head = await db.one(
            APPEND,
            orgs=[event.org for event, _ in events],
            audiences=[event.audience for event, _ in events],
            names=[event.name for event, _ in events],
            kinds=[event.fact.kind for event, _ in events],
            facts=[msgspec.to_builtins(event.fact) for event, _ in events],
            origins=[event.origin for event, _ in events],
            ats=[at for _, at in events],
        )
        return [Logged(event, position) for position, (event, _) in enumerate(events, head - len(events) + 1)]

    async def _run_listeners(self, db: Connected, announced: Sequence[Announced]) -> list[Announced]:
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

    def audience(self, row: OutboxRow) -> list[int] | None:
        """The people whom a fact has live events for; None where that cannot be computed."""
        try:
            fact = self._facts.decode(row.kind, row.fact)
            people = {event.audience for event in self._facts.live(Announced(row.org, fact, None, row.at))}
            return sorted(people) if all(0 < person < 1 << 63 for person in people) else None
        except Exception:  # what failed is logged already
            return None


async def isolate(db: Connected, rows: Sequence[OutboxRow], apply: Apply) -> tuple[list[Logged], list[Failure]]:
    """Applies facts under savepoints, halving what fails until each failing fact is alone; an outage is raised."""
    try:
        async with db.connection.transaction():
            return await apply(db, rows), []
    except Exception as error:
        if is_outage(db, error):
            raise
        if len(rows) == 1:
            return [], [Failure(rows[0], error)]
    half = len(rows) // 2
    logged, failures = await isolate(db, rows[:half], apply)
    more, others = await isolate(db, rows[half:], apply)
    return logged + more, failures + others
