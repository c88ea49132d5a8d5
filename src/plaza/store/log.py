"""Reading the log of live events: what a person missed since a cursor (guarantees, G5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from plaza.kernel.outbox import EVERYONE, RESET, Facts, LiveEvent, Logged
from plaza.kernel.sql import Database, Statement

PAGE = 200
"""Events replayed at once; the client asks again while there are more."""


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
    shown = [(told.event.name, payload) for told in await _tell(db, facts, page) for payload in told.payloads]
    more = len(found) > PAGE
    return Missed(shown, page[-1].position if more else entries[0].head, more)


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
    return await _tell(db, facts, rows), rows[-1].position if len(rows) == PAGE else None


async def _tell(db: Database, facts: Facts, rows: Sequence[Behind]) -> list[Told]:
    """The events of which there is something to see; what this version does not know, or cannot decode, is left out."""
    events = [
        Logged(event, row.position)
        for row in rows
        if (event := facts.replay(row.org, row.audience, row.name, row.kind, row.fact, row.origin)) is not None
    ]
    payloads = await facts.present(db, events)
    return [Told(event, shown, position) for (event, position), shown in zip(events, payloads, strict=True) if shown]
