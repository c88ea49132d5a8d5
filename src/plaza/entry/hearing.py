"""Hearing: what this process has shown of each organisation's log, in order and once, whatever the bus did.

Each event names the one before it. What follows on what was heard is shown at once; otherwise the organisation is in
doubt: what comes is held until the log has been read (`entry/catchup.py`), and follows behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from plaza.entry.circular import Emit

MOST_HELD, MOST_HELD_BYTES = 1_000, 524_288
"""Events, and bytes of them, held of an organisation in doubt; of more, all are read from the log."""


class Ear:
    """One organisation: `last` is the place of the newest event shown, None until it is known where to begin."""

    __slots__ = ("doubts", "held", "held_bytes", "last", "quiet_since")

    def __init__(self) -> None:
        self.last: int | None = None
        self.held: list[Emit] | None = []
        self.held_bytes = 0
        self.doubts = 0
        self.quiet_since: float | None = None

    @property
    def whole(self) -> bool:
        """Whether everything that was said has been shown."""
        return self.held is None


class Hearing:
    """The organisations that this process hosts sockets of; `doubted` is called when one begins to be in doubt."""

    def __init__(self, show: Callable[[Emit], None], doubted: Callable[[], None]) -> None:
        self.ears: dict[int, Ear] = {}
        self._show = show
        self._doubted = doubted

    def take(self, word: Emit) -> None:
        """An event of the log: shown, known already, or held."""
        ear = self.ears.get(word.org)
        if ear is None or (ear.last is not None and word.position <= ear.last):
            return
        if ear.held is None and ear.last is not None and word.before <= ear.last:
            ear.last = word.position
            self._show(word)
            return
        if ear.held is None:
            self.doubt([ear])
        self._hold(ear, word)

    def _hold(self, ear: Ear, word: Emit) -> None:
        assert ear.held is not None
        size = sum(memoryview(body).nbytes for body in word.bodies)
        if len(ear.held) >= MOST_HELD or (ear.held and ear.held_bytes + size > MOST_HELD_BYTES):
            ear.held.clear()
            ear.held_bytes = 0
            ear.doubts += 1
        ear.held.append(word)
        ear.held_bytes += size

    def doubt(self, ears: Iterable[Ear]) -> None:
        """Something may have been missed: nothing is shown until the log has been read from here on."""
        for ear in ears:
            ear.doubts += 1
            ear.held = ear.held or []
        self._doubted()

    def caught_up(self, org: int, ear: Ear, until: int, whole: bool) -> None:
        """The log has been shown up to `until`; when that is the `whole`, what was held follows."""
        ear.last = max(ear.last or 0, until)
        if not whole or ear.held is None or self.ears.get(org) is not ear:
            return
        held, ear.held, ear.held_bytes = ear.held, None, 0
        for word in sorted(held, key=lambda word: word.position):
            self.take(word)
