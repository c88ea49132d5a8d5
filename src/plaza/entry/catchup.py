"""Catching up: what organisations in doubt may have missed is read from the log, for the people who are here."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from plaza.entry.circular import Emit
from plaza.entry.hearing import Ear, Hearing
from plaza.kernel.outbox import EVERYONE

PEOPLE = 500
"""People whose log is read by one statement."""

Place = tuple[int, int, int]
"""(organisation, person, the place in the log behind which to read)."""


class Page(NamedTuple):
    """What was found, in order; `behind` is where to go on, None at the end."""

    words: Sequence[Emit]
    behind: int | None


Read = Callable[[Sequence[Place], int], Awaitable[Page]]
"""Reads one page behind the places, not further than a position."""


class Doubt(NamedTuple):
    """An organisation in doubt when reading began; `sound` if the bus was heard by then."""

    org: int
    ear: Ear
    doubts: int
    sound: bool


class Pass(NamedTuple):
    """One reading of the log: how far, for whom, and what is left of it."""

    until: int
    doubts: Sequence[Doubt]
    left: deque[list[Place]]


class CatchUp:
    """Reads in pages; an outage of the store leaves the rest for later, so that nothing is shown twice."""

    def __init__(self, hearing: Hearing, head: Callable[[], Awaitable[int]], read: Read) -> None:
        self._hearing = hearing
        self._head = head
        self._read = read
        self._pass: Pass | None = None

    async def run(
        self,
        sound: Callable[[int], bool],
        people: Callable[[int], Iterable[int]],
        show: Callable[[Emit], None],
        taken: Callable[[Sequence[Emit]], Awaitable[None]],
    ) -> None:
        """Reads for every organisation in doubt; raises what reading raises, and goes on there the next time.

        `taken` waits between two pages until those who were shown the first have read it, or will not.
        """
        reading = self._pass or await self._begin(sound, people)
        self._pass = reading
        while reading.left:
            places = reading.left[0]
            page = await self._read(places, reading.until)
            for word in page.words:
                show(word)
            if page.behind is None:
                reading.left.popleft()
            else:
                reading.left[0] = [(org, person, max(since, page.behind)) for org, person, since in places]
            if reading.left:
                await taken(page.words)
        self._pass = None
        for doubt in reading.doubts:
            whole = doubt.sound and doubt.ear.doubts == doubt.doubts
            self._hearing.caught_up(doubt.org, doubt.ear, reading.until, whole)

    async def _begin(self, sound: Callable[[int], bool], people: Callable[[int], Iterable[int]]) -> Pass:
        """The head is read after it is known who is heard, and before it is known who is here.

        What is said behind the head is heard, and who comes later has fetched what lies before it.
        """
        ears: Mapping[int, Ear] = self._hearing.ears
        doubts = [
            Doubt(org, ear, ear.doubts, sound(org))
            for org, ear in ears.items()
            if not ear.whole and ear.last is not None
        ]
        until = await self._head()
        places = [
            (doubt.org, person, doubt.ear.last or 0)
            for doubt in doubts
            if (doubt.ear.last or 0) < until
            for person in (EVERYONE, *people(doubt.org))
        ]
        chunks = [places[first : first + PEOPLE] for first in range(0, len(places), PEOPLE)]
        return Pass(until, doubts, deque(chunks))
