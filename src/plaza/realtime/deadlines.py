"""Timers without a timer each: things that fall due after one constant delay stand in order of time."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Things and the monotonic second at which each falls due; started in order, so the first is the next."""

    __slots__ = ("_due", "delay")

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._due: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def start(self, thing: T, now: float) -> None:
        """Let a thing fall due one delay from now, whatever was set before; now never goes back."""
        due = self._due
        if thing in due:  # it goes behind the others
            del due[thing]
        due[thing] = now + self.delay

    def stop(self, thing: T) -> bool:
        """Forget a thing; True if it was still to fall due."""
        return self._due.pop(thing, None) is not None

    def due(self, thing: T) -> float | None:
        """The second at which a thing falls due, None if it does not."""
        return self._due.get(thing)

    def oldest(self) -> Iterator[tuple[T, float]]:
        """Each thing with the second at which it was started, the first ones first."""
        return ((thing, due - self.delay) for thing, due in self._due.items())

    def take(self, now: float) -> list[tuple[T, float]]:
        """Remove and return what is due, with the second it was due at."""
        late: list[tuple[T, float]] = []
        for thing, due in self._due.items():
            if due > now:
                break
            late.append((thing, due))
        for thing, _ in late:
            del self._due[thing]
        return late
