"""Facts: what the domains announce, written in the statement of the change itself, relayed after its commit.

A statement adds a row to the table `outbox` (`announce` composes it). One relay for the whole server takes the rows in
order and, in one transaction, lets the durable listeners write and appends live events to the log `event`; after the
commit it hands the live events to the sockets. Nothing is announced that rolled back, nothing that committed is
forgotten, and a cursor of the log never has anything appear behind it: one writer appends, on the connection that holds
the leadership.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

from plaza.kernel.sql import Database

F = TypeVar("F", bound="Fact")


class Fact(msgspec.Struct, kw_only=True):
    """Something that happened, in the past tense; ids only, never content, so that nothing is left behind in a log."""

    kind: ClassVar[str]


class Announced(NamedTuple):
    """A fact as the relay hears it: in which organisation, from which socket if any, when (ISO 8601)."""

    org: int
    fact: Any
    origin: str | None
    at: str


class LiveEvent(NamedTuple):
    """One event on its way to people: `audience` is the id of the person whose sockets get it."""

    org: int
    audience: int
    name: str
    fact: Any
    origin: str | None


Listener = Callable[[Database, Sequence[Announced]], Awaitable[Sequence[Announced]]]
"""A durable effect: runs in the relay's transaction, may hear a fact twice, has one effect by a unique cause.

Gives the facts that follow from it, which only have live events of their own.
"""

Presenter = Callable[[Database, Sequence[LiveEvent]], Awaitable[Sequence[Sequence[object]]]]
"""The payloads of live events as their audience may see them now: none, one or several for each."""


class Live(NamedTuple):
    """How a fact becomes an event on sockets, at once or when it is replayed."""

    fact: type[Fact]
    name: str
    audience: Callable[[Any], Iterable[int]]
    present: Presenter


class Facts:
    """Every fact of the house with those who hear it; filled once by the composition root."""

    def __init__(self, lives: Iterable[Live], listeners: Mapping[type[Fact], Sequence[Listener]]) -> None:
        self.lives = tuple(lives)
        self.listeners = dict(listeners)
        self.types = {kind.kind: kind for kind in {live.fact for live in self.lives} | set(self.listeners)}
        self._presenters = {(live.fact.kind, live.name): live.present for live in self.lives}

    def read(self, kind: str, body: object) -> Fact | None:
        """The fact of a row; None for one that nobody hears."""
        found = self.types.get(kind)
        return msgspec.convert(body, found) if found else None

    def live(self, announced: Announced) -> list[LiveEvent]:
        """The live events of one fact, in the order of the table."""
        return [
            LiveEvent(announced.org, person, live.name, announced.fact, announced.origin)
            for live in self.lives
            if isinstance(announced.fact, live.fact)
            for person in live.audience(announced.fact)
        ]

    async def present(self, db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
        """The payloads of events, in their order; one call of each presenter for all of its events."""
        groups: dict[Presenter, list[int]] = {}
        for place, event in enumerate(events):
            groups.setdefault(self._presenters[type(event.fact).kind, event.name], []).append(place)
        payloads: list[Sequence[object]] = [()] * len(events)
        for present, places in groups.items():
            shown = await present(db, [events[place] for place in places])
            for place, payload in zip(places, shown, strict=True):
                payloads[place] = payload
        return payloads


def announce(
    fact: type[Fact], source: str, *, org: str = ":org", origin: str = ":origin", now: str = ":now", **fields: str
) -> str:
    """SQL that adds one row to the outbox for each row of `source`; `fields` are SQL expressions over that row.

    So are `org`, `origin` and `now`, where the statement it is composed into does not bind them for all rows.
    """
    names = {field.name for field in msgspec.structs.fields(fact)}
    if names != set(fields):
        raise TypeError(f"{fact.kind} has the fields {sorted(names)}, not {sorted(fields)}")
    pairs = ", ".join(f"'{name}', {expression}" for name, expression in fields.items())
    return f"""insert into outbox (org, kind, fact, origin, created_at)
        select {org}, '{fact.kind}', jsonb_build_object({pairs}), {origin}, {now} from {source}"""


def with_cursor(payload: object, position: int) -> msgspec.Raw:
    """The JSON of a payload with its place in the log beside its own fields: what a client hands to `sync` later."""
    text = msgspec.json.encode(payload)
    return msgspec.Raw(text[:-1] + b',"cursor":"%d"}' % position)
