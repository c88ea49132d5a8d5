"""What is to be written: one append per delivery now, one write per socket and loop tick later."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol


class Outlet(Protocol):
    """Where a socket's frames go; not blocked with a queue means: the outbox knows and will flush it."""

    queue: list[bytes]
    blocked: bool
    urgent: bool

    def hold(self, frame: bytes, volatile: bool) -> None:
        """Keep a frame for an outlet that is blocked, within its limits."""
        ...

    def flush(self) -> None:
        """Write what is queued unless blocked."""
        ...


class Addressee(Protocol):
    """Whoever reads at an outlet."""

    @property
    def outlet(self) -> Outlet:
        """Where its frames go."""
        ...


class Outbox:
    """Queues frames for many outlets; those of large rooms are written in slices, behind everything direct."""

    loop: asyncio.AbstractEventLoop
    """Given before the first frame is."""

    def __init__(self, slice_: int, most: int) -> None:
        self._slice = slice_
        self._most = most
        self._direct: list[Outlet] = []
        self._bulk: deque[Outlet] = deque()
        self.awake = False
        """Whether somebody will call `flush` in this turn or the next."""

    def one(self, outlet: Outlet, frame: bytes, volatile: bool = False) -> None:
        """Queue a frame for one outlet."""
        queue = outlet.queue
        full = queue and len(queue) >= self._room(volatile)
        if (full or outlet.blocked) and self._held(outlet, (frame,), volatile):
            return
        queue.append(frame)
        if not outlet.urgent:
            outlet.urgent = True
            self._direct.append(outlet)
            self._wake()

    def many(self, addressees: Collection[Addressee], frames: Sequence[bytes], volatile: bool = False) -> None:
        """Queue frames for all of them; the cost of a delivery is this loop's body and a share of one write."""
        most, direct, bulk = self._room(volatile) - len(frames), self._direct, self._bulk
        large = len(addressees) > self._slice
        for addressee in addressees:
            outlet = addressee.outlet
            queue = outlet.queue
            if (outlet.blocked or len(queue) > most) and self._held(outlet, frames, volatile):
                continue
            if not large and not outlet.urgent:
                outlet.urgent = True
                direct.append(outlet)
            elif large and not queue:
                bulk.append(outlet)
            queue += frames
        self._wake()

    def _held(self, outlet: Outlet, frames: Sequence[bytes], volatile: bool) -> bool:
        if len(outlet.queue) + len(frames) > self._room(volatile):
            outlet.flush()  # many events in one tick are no sign of a slow client
        if outlet.blocked:
            for frame in frames:
                outlet.hold(frame, volatile)
        return outlet.blocked

    def _room(self, volatile: bool) -> int:
        """What may be queued: volatile events that are written and then not taken leave half of it to the others."""
        return self._most // 2 if volatile else self._most

    def _wake(self) -> None:
        if not self.awake:
            self.awake = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is queued, of large rooms a slice."""
        self.awake = False
        direct, self._direct = self._direct, []
        for outlet in direct:
            outlet.urgent = False
            outlet.flush()
        bulk = self._bulk
        for _ in range(min(self._slice, len(bulk))):
            bulk.popleft().flush()
        if bulk:
            self._wake()
