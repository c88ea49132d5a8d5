"""Whatever a bus does with what is said, each event is shown once and in order (guarantees, F-BUS-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from plaza.adapters.bus_queue import MOST_BYTES, MOST_WAITING, Outgoing
from plaza.adapters.redis_bus import RedisBus
from plaza.entry.catchup import CatchUp, Page, Place
from plaza.entry.circular import Emit, person_room
from plaza.entry.hearing import Ear, Hearing
from plaza.kernel.errors import Unavailable

ORG, PERSON, PAGE = 1, 7, 5


def said(count: int) -> list[Emit]:
    """A history, with the gaps that other organisations leave."""
    places = [10 * number for number in range(1, count + 1)]
    return [
        Emit(ORG, person_room(ORG, PERSON), [msgspec.Raw(b'["x"]')], position=place, before=before)
        for before, place in zip([0, *places], places, strict=False)
    ]


async def at_once(_words: Sequence[Emit]) -> None:
    """Everybody reads what is shown without delay."""


class Log:
    """The store's end: pages of the history so far; every third reading fails."""

    def __init__(self) -> None:
        self.words: list[Emit] = []
        self.asked = 0

    async def head(self) -> int:
        return self.words[-1].position if self.words else 0

    async def read(self, places: Sequence[Place], until: int) -> Page:
        self.asked += 1
        if self.asked % 3 == 0:
            raise Unavailable
        found = [word for word in self.words if places[0][2] < word.position <= until]
        page = found[:PAGE]
        return Page(page, page[-1].position if len(found) > PAGE else None)


@st.composite
def journeys(draw: st.DrawFn) -> list[list[int]]:
    """For each of so many events, which events arrive when it is said: lost ones, late ones, old ones again."""
    count = draw(st.integers(1, 25))
    return [draw(st.lists(st.integers(0, number), max_size=4)) for number in range(count)]


@given(journey=journeys(), looks=st.sets(st.integers(0, 25)))
def test_duplicates_losses_and_wrong_orders_on_the_bus_change_nothing(
    journey: list[list[int]], looks: set[int]
) -> None:
    async def travel() -> None:
        log, shown = Log(), list[Emit]()
        history = said(len(journey))
        hearing = Hearing(shown.append, lambda: None)
        catch_up = CatchUp(hearing, log.head, log.read)
        ear = hearing.ears[ORG] = Ear()
        hearing.caught_up(ORG, ear, 0, True)

        async def look() -> None:
            for _ in range(100):
                try:
                    await catch_up.run(lambda _org: True, lambda _org: [PERSON], shown.append, at_once)
                except Unavailable:
                    continue
                if ear.whole:
                    return
            raise AssertionError("it never ends")

        for number, arriving in enumerate(journey):
            log.words.append(history[number])
            for place in arriving:
                hearing.take(history[place])
            if number in looks and not ear.whole:
                await look()
        hearing.doubt([ear])
        await look()
        assert shown == history

    asyncio.run(travel())


async def test_what_waits_for_a_bus_that_is_away_is_bounded() -> None:
    bus = RedisBus("redis://127.0.0.1:1/0", 1)
    for _ in range(200):
        bus.publish("o1", b'"' + b"x" * 40_000 + b'"')
    waiting: Outgoing = bus._outgoing
    parcels = waiting.take(1 << 30)
    assert sum(len(message) for _, several in parcels for message in several) <= MOST_BYTES
    waiting.back()
    assert waiting.lossy
    for _ in range(2 * MOST_WAITING):
        bus.publish("o1", b"1")
    assert sum(len(several) for _, several in waiting.take(1 << 30)) <= MOST_WAITING
