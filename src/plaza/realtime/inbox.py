"""What came in: a lone client is heard at once, those who come together are heard and answered together.

Where hundreds come at once, what it takes to hear them is then fetched once for many, not once for each: a fifth of
what a connect costs (bench/results, live).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from plaza.realtime.outbox import Outbox

log = logging.getLogger("plaza.realtime")

MOST_WAITING = 64
"""Readings that may wait for the loop's next turn, of at most 256 kB each; more are heard in this one."""


class Hearer(Protocol):
    """Whose bytes they are."""

    def hear(self, data: bytes) -> None:
        """Take them."""
        ...

    def abort(self) -> None:
        """Cut the connection, its bytes could not be taken."""
        ...


class Inbox:
    """Bytes of all connections; they are heard in the order in which they came."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: list[tuple[Hearer, bytes]] = []
        self._heard = 0.0
        """When the last one was heard at once, by the loop's clock: in a turn of uvloop's it stands still."""

    def put(self, hearer: Hearer, data: bytes) -> None:
        """Let bytes be heard: the first of a millisecond now, the others with all that come in the same turn."""
        waiting = self._waiting
        if not waiting:
            loop = self._outbox.loop
            now = loop.time()
            if now != self._heard:
                self._heard = now
                try:
                    hearer.hear(data)
                except Exception:
                    _give_up(hearer)
                return
            loop.call_soon(self.hear)
        waiting.append((hearer, data))
        if len(waiting) >= MOST_WAITING:
            self.hear()

    def hear(self) -> None:
        """Hear all that waits, and answer it; where nothing does, what is to be written keeps its turn."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._outbox.awake = True
        for hearer, data in waiting:
            try:
                hearer.hear(data)
            except Exception:
                _give_up(hearer)
        self._outbox.flush()


def _give_up(hearer: Hearer) -> None:
    log.exception("a client's bytes could not be taken")
    hearer.abort()
