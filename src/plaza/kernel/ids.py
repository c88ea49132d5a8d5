"""Time-ordered ids: 63 bits, strings on the wire.

41 bits of milliseconds since 2024, 10 bits of node, 12 bits of counter: about 69 years, 1,024 processes, 4,096 ids a
millisecond and process. An index over them grows at its end, and `before=<id>` is a keyset (design, section 1).
"""

from __future__ import annotations

from datetime import datetime

from plaza.kernel.clock import Clock

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z in Unix milliseconds."""
NODES = 1024
LOWEST = 1 << 40
"""Every id is at least this, every `seq` is less: a cursor may be either."""
HIGHEST = (1 << 63) - 1


class Ids:
    """Makes the ids of one process; strictly increasing, also when the clock steps back."""

    def __init__(self, clock: Clock, node: int) -> None:
        self._clock = clock
        self._node = (node % NODES) << 12
        self._last_ms = 0
        self._count = 0

    def __call__(self) -> int:
        ms = int(self._clock().timestamp() * 1000) - EPOCH_MS
        if ms > self._last_ms:
            self._last_ms, self._count = ms, 0
        else:
            self._count += 1
            if self._count >= 1 << 12:
                self._last_ms, self._count = self._last_ms + 1, 0
        return self._last_ms << 22 | self._node | self._count


def first_of(moment: datetime) -> int:
    """The lowest id that can be made at a moment or later."""
    return max(int(moment.timestamp() * 1000) - EPOCH_MS, 0) << 22


def parse(text: str) -> int:
    """The id in `text`, or 0, which no record has: a malformed id names nothing and answers like a missing one."""
    if text.isascii() and text.isdigit() and len(text) <= 19:
        number = int(text)
        return number if number <= HIGHEST else 0
    return 0
