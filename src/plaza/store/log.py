"""Reading the log of live events: what a person missed since a cursor (guarantees, G5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from plaza.kernel.outbox import EVERYONE, RESET, Facts, LiveEvent, Logged, batches
from plaza.kernel.sql import Database, Statement

PAGE = 200
PAGE_BYTES = 262_144
"""Events, and bytes of their payloads (one event of any size), that are replayed at once; the client asks again."""


class Entry(msgspec.Struct, frozen=True):
    """One event of the log, with whether the log knows the cursor; no event where the person missed none."""

    known: bool
    head: int
    position: int | None
    name: str | None
    kind: str | None
    fact: str | None


class Behind(msgspec.Struct, frozen=True):
    """One event of the log behind a place."""

    org: int
    audience: int
    position: int
    name: str
    kind: str
    fact: str
    origin: str | None


class Missed(NamedTuple):
    """What a person missed: events with their payloads, the cursor behind them, and whether there are more."""

    events: Sequence[tuple[str, msgspec.Raw]]
    cursor: int
    more: bool


class Told(NamedTuple):
    """An event with what its audience may see of it now, and its place in the log."""

    event: LiveEvent
    payloads: Sequence[msgspec.Raw]
    position: int


HEAD = Statement("log.head", int, "select head from event_log", tenant=False)
SINCE = Statement(
    "log.since",
    Entry,
    f"""
    select
        :since >= floor and :since <= head and not gaps @> :since::bigint and not exists (
            select from event where org = :org and audience = {EVERYONE} and position > :since
        ),
        head, e.position, e.name, e.kind, e.fact::text
    from event_log
    left join lateral (
        select position, name, kind, fact from event
        where org = :org and audience = :me and position > :since
        order by position limit :rows
    ) e on true
    order by e.position
    """,
    hot=True,
)
BEHIND = Statement(
    "log.behind",
    Behind,
    """
    select org, audience, e.position, e.name, e.kind, e.fact::text, e.origin
    from unnest(:orgs::integer[], :people::bigint[], :places::bigint[]) as given (org, audience, place)
    cross join lateral (
        select position, name, kind, fact, origin from event
        where event.org = given.org and event.audience = given.audience
            and position > given.place and position <= :until
        order by position limit :rows
    ) e
    order by e.position limit :rows
    """,
    hot=True,
    tenant=False,
)


async def missed(db: Database, facts: Facts, *, org: int, person: int, since: int) -> Missed | None:
    """What happened to a person after `since`, as they may see it now.

    None when the log cannot tell, or when something in between could not be delivered (`reset`).
    """
    entries = await db.all(SINCE, org=org, me=person, since=since, rows=PAGE + 1)
    if not entries[0].known or any(entry.name == RESET for entry in entries):
        return None
    found = [entry for entry in entries if entry.position is not None]
    page = [
        Behind(org, person, entry.position, entry.name, entry.kind, entry.fact or "", None)
        for entry in found[:PAGE]
        if entry.position is not None and entry.name is not None and entry.kind is not None
    ]
    told, behind = await _tell(db, facts, page)
    if behind is None and len(found) > PAGE:
        behind = page[-1].position
    shown = [(one.event.name, payload) for one in told for payload in one.payloads]
    return Missed(shown, entries[0].head if behind is None else behind, behind is not None)


async def behind(
    db: Database, facts: Facts, places: Sequence[tuple[int, int, int]], until: int
) -> tuple[Sequence[Told], int | None]:
    """A page of what happened up to `until` to many people, each (organisation, person, the place behind which).

    With the place to go on from, None when that is all.
    """
    rows = await db.all(
        BEHIND,
        orgs=[org for org, _, _ in places],
        people=[person for _, person, _ in places],
        places=[place for _, _, place in places],
        until=until,
        rows=PAGE,
    )
    told, behind = await _tell(db, facts, rows)
    return told, rows[-1].position if behind is None and len(rows) == PAGE else behind


async def _tell(db: Database, facts: Facts, rows: Sequence[Behind]) -> tuple[list[Told], int | None]:
    """The events of which there is something to see, with the place to go on from where not all have room.

    What this version does not know, or cannot decode, is left out.
    """
    events = [
        Logged(event, row.position)
        for row in rows
        if (event := facts.replay(row.org, row.audience, row.name, row.kind, row.fact, row.origin)) is not None
    ]
    told: list[Told] = []
    size, behind = 0, 0
    for batch in batches(events, PAGE_BYTES):
        for (event, position), shown in zip(batch, await facts.present(db, batch), strict=True):
            size += sum(memoryview(payload).nbytes for payload in shown)
            if size > PAGE_BYTES and told:
                return told, behind
            if shown:
                told.append(Told(event, shown, position))
            behind = position
    return told, None
