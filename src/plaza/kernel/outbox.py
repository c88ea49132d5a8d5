"""Facts: what the domains announce, written in the statement of the change itself, relayed after its commit.

A statement adds a row to the table `outbox` (`announce` composes it). One relay for the whole server takes the rows in
order and, in one transaction, lets the durable listeners write and appends live events to the log `event`; after the
commit it hands the live events to the sockets. Nothing is announced that rolled back, nothing that committed is
forgotten, and a cursor of the log never has anything appear behind it: one writer appends, on the connection that holds
the leadership.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from plaza.kernel.errors import Unavailable
from plaza.kernel.sql import Database

EVERYONE = 0
"""The audience of a live event for everybody of its organisation; nobody has this id."""
RESET = "reset"
"""The live event of `StateReset`."""
KINDS: dict[str, type[Fact]] = {}
"""Every kind of fact that this version has."""
WEIGHT = 1_024
"""Bytes of a live event whose fact says nothing else."""


class Fact(msgspec.Struct, kw_only=True):
    """Something that happened, in the past tense; ids only, never content, so that nothing is left behind in a log.

    Stored facts outlive the version that wrote them: a field that is added later has a default, a kind is never used
    for something else (tests/kernel/fact_samples.json has one of every kind).
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.kind in KINDS:
            raise TypeError(f"two facts are of the kind {cls.kind}")
        KINDS[cls.kind] = cls

    @property
    def weight(self) -> int:
        """About how many bytes each of its live events takes, for whoever presents many at once."""
        return WEIGHT


class StateReset(Fact):
    """Something that happened could not be delivered to `people` (`EVERYONE`: the organisation): they fetch anew."""

    kind: ClassVar[str] = "state.reset"
    people: list[int]


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


class Logged(NamedTuple):
    """A live event with its place in the log."""

    event: LiveEvent
    position: int


def _ignore(_event: LiveEvent, _error: Exception) -> None:
    """Does nothing."""


class Facts:
    """Every fact of the house with those who hear it; filled once by the composition root.

    `failed` is called with each live event that could not be presented.
    """

    def __init__(
        self,
        lives: Iterable[Live],
        listeners: Mapping[type[Fact], Sequence[Listener]],
        failed: Callable[[LiveEvent, Exception], None] = _ignore,
    ) -> None:
        self.lives = tuple(lives)
        self.listeners = dict(listeners)
        self.kinds = frozenset(KINDS)
        self.live_kinds = {live.fact.kind for live in self.lives}
        self._decoders = {kind: msgspec.json.Decoder(fact) for kind, fact in KINDS.items()}
        self._presenters = {(live.fact.kind, live.name): live.present for live in self.lives}
        self._failed = failed

    def decode(self, kind: str, text: str) -> Fact:
        """The fact of a stored row; `msgspec.DecodeError` where it does not decode, KeyError for an unknown kind."""
        fact: Fact = self._decoders[kind].decode(text)
        return fact

    def replay(self, org: int, audience: int, name: str, kind: str, text: str, origin: str | None) -> LiveEvent | None:
        """The live event of a row of the log; None for what this version does not know or cannot decode."""
        if (kind, name) not in self._presenters:
            return None
        try:
            return LiveEvent(org, audience, name, self.decode(kind, text), origin)
        except msgspec.DecodeError as error:
            self._failed(LiveEvent(org, audience, name, None, origin), error)
            return None

    def live(self, announced: Announced) -> list[LiveEvent]:
        """The live events of one fact, in the order of the table."""
        return [
            LiveEvent(announced.org, person, live.name, announced.fact, announced.origin)
            for live in self.lives
            if isinstance(announced.fact, live.fact)
            for person in live.audience(announced.fact)
        ]

    async def present(self, db: Database, events: Sequence[Logged]) -> list[Sequence[msgspec.Raw]]:
        """The payloads of events, in their order, with their cursors; one call of each presenter for all of its events.

        An event whose presenter fails has none.
        """
        groups: dict[Presenter, list[int]] = {}
        for place, (event, _) in enumerate(events):
            groups.setdefault(self._presenters[type(event.fact).kind, event.name], []).append(place)
        payloads: list[Sequence[msgspec.Raw]] = [()] * len(events)
        for presenter, places in groups.items():
            shown = await self._isolate(presenter, db, [events[place] for place in places])
            for place, payload in zip(places, shown, strict=True):
                payloads[place] = payload
        return payloads

    async def _isolate(
        self, presenter: Presenter, db: Database, events: Sequence[Logged]
    ) -> list[Sequence[msgspec.Raw]]:
        """Presents events, halving what fails until each failing event is alone; an outage of the store is raised."""
        try:
            shown = await presenter(db, [event for event, _ in events])
            return [
                [with_cursor(payload, position) for payload in payloads]
                for (_, position), payloads in zip(events, shown, strict=True)
            ]
        except Unavailable:
            raise
        except Exception as error:
            if len(events) == 1:
                self._failed(events[0].event, error)
                return [()]
        half = len(events) // 2
        first = await self._isolate(presenter, db, events[:half])
        return first + await self._isolate(presenter, db, events[half:])


def batches(events: Sequence[Logged], most_bytes: int) -> Iterator[Sequence[Logged]]:
    """Events in their order, as many at once as weigh so much together; one at least."""
    first = size = 0
    for place, (event, _) in enumerate(events):
        weight = event.fact.weight
        if place > first and size + weight > most_bytes:
            yield events[first:place]
            first, size = place, 0
        size += weight
    if events:
        yield events[first:]


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
