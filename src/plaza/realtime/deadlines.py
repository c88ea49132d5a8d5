"""Timers without a timer each: things that fall due after one constant delay stand in order of time."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
EARNING_BYTES = 65_536
"""What has to move for a second more."""


class Deadlines(Generic[T]):
    """Things and the monotonic second at which each falls due; started in order, so the first is the next."""

    __slots__ = ("_due", "delay")

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._due: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[T]:
        return iter(self._due)

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

    def take(self, now: float, most: int | None = None) -> list[tuple[T, float]]:
        """Remove and return what is due, at most so many, with the second it was due at."""
        late: list[tuple[T, float]] = []
        for thing, due in self._due.items():
            if due > now or len(late) == most:
                break
            late.append((thing, due))
        for thing, _ in late:
            del self._due[thing]
        return late


class Allowances(Generic[T]):
    """Deadlines for a transfer: one delay, and a second more for each 64 KiB that moved since it began."""

    __slots__ = ("_begun", "_earned", "_first")

    def __init__(self, delay: float) -> None:
        self._first: Deadlines[T] = Deadlines(delay)
        self._earned: Deadlines[T] = Deadlines(min(1.0, delay))
        self._begun: dict[T, tuple[float, int]] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(self._begun)

    def start(self, thing: T, now: float, moved: int) -> None:
        """Begin a transfer, `moved` bytes of whose source went before it; one that has begun already goes on."""
        if thing not in self._begun:
            self._begun[thing] = now, moved
            self._first.start(thing, now)

    def stop(self, thing: T) -> bool:
        """Forget a transfer; True if there was one."""
        if self._begun.pop(thing, None) is None:
            return False
        self._first.stop(thing)
        self._earned.stop(thing)
        return True

    def take(self, now: float, moved: Callable[[T], int]) -> list[T]:
        """Remove and return the transfers that are late; `moved` gives what a thing has moved so far, in bytes."""
        late: list[T] = []
        for thing, _ in (*self._first.take(now), *self._earned.take(now)):
            begun, before = self._begun[thing]
            if now < begun + self._first.delay + (moved(thing) - before) // EARNING_BYTES:
                self._earned.start(thing, now)
            else:
                del self._begun[thing]
                late.append(thing)
        return late
