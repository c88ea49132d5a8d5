"""Reading the log of live events: what a person missed since a cursor (guarantees, G5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from plaza.kernel.outbox import Facts, LiveEvent, with_cursor
from plaza.kernel.sql import Database, Statement

PAGE = 200
"""Events replayed at once; the client asks again while there are more."""


class Entry(msgspec.Struct, frozen=True):
    """One event of the log, between the log's ends; no event where the person missed none."""

    floor: int
    head: int
    position: int | None
    name: str | None
    kind: str | None
    fact: dict[str, Any] | None


class Missed(NamedTuple):
    """What a person missed: events with their payloads, the cursor behind them, and whether there are more."""

    events: Sequence[tuple[str, msgspec.Raw]]
    cursor: int
    more: bool


HEAD = Statement("log.head", int, "select head from event_log", tenant=False)
SINCE = Statement(
    "log.since",
    Entry,
    """
    select floor, head, e.position, e.name, e.kind, e.fact
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


async def missed(db: Database, facts: Facts, *, org: int, person: int, since: int) -> Missed | None:
    """What happened to a person after `since`, as they may see it now; None when the log cannot tell (`reset`)."""
    entries = await db.all(SINCE, org=org, me=person, since=since, rows=PAGE + 1)
    if not entries[0].floor <= since <= entries[0].head:
        return None
    found = [entry for entry in entries if entry.position is not None]
    events, positions = _events(facts, found[:PAGE], org, person)
    payloads = await facts.present(db, events)
    shown = [
        (event.name, with_cursor(payload, position))
        for event, position, several in zip(events, positions, payloads, strict=True)
        for payload in several
    ]
    more = len(found) > PAGE
    return Missed(shown, (found[PAGE - 1].position or 0) if more else entries[0].head, more)


def _events(facts: Facts, entries: Sequence[Entry], org: int, person: int) -> tuple[list[LiveEvent], list[int]]:
    events: list[LiveEvent] = []
    positions: list[int] = []
    for entry in entries:
        fact = facts.read(entry.kind or "", entry.fact)
        if fact is not None and entry.name is not None and entry.position is not None:
            events.append(LiveEvent(org, person, entry.name, fact, None))
            positions.append(entry.position)
    return events, positions
