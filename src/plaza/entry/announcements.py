"""What everybody of an organisation is told of the moment: at once among few, several at a time among many.

Whoever comes is announced to all who are here: a thousand who come together are a million deliveries, and one by one
each would be a write. So whoever was just told rests a little, the longer the more they are; what comes meanwhile is
written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from plaza.entry.circular import Emit, org_room
from plaza.realtime import Frame

REST_SECONDS = 0.0002
"""For each socket that was written to, twenty times what the write takes: announcements have a twentieth of a core."""
BREATH_SECONDS = 0.00003
"""The same where more waits than goes into one write: the write comes first, and others meanwhile."""
TOGETHER = 64
"""Events in one write: a quarter of what a socket's queue holds."""

Show = Callable[[str, Sequence[Frame], Iterable[str]], None]
"""Shows frames to the sockets of a room, but for those in some others."""


class Announcements:
    """Words for the rooms of organisations, each `but` for some people; `here` counts the sockets of a room."""

    def __init__(self, show: Show, here: Callable[[str], int]) -> None:
        self._show = show
        self._here = here
        self._waiting: dict[int, list[Emit]] = {}

    def take(self, word: Emit) -> None:
        """Says it now, or soon."""
        if word.org in self._waiting:
            self._waiting[word.org].append(word)
        else:
            self._waiting[word.org] = [word]
            self._tell(word.org)

    def _tell(self, org: int) -> None:
        waiting = self._waiting[org]
        words, self._waiting[org] = waiting[:TOGETHER], waiting[TOGETHER:]
        self._say(org_room(org), words)
        rest = self._here(org_room(org)) * (BREATH_SECONDS if self._waiting[org] else REST_SECONDS)
        asyncio.get_running_loop().call_later(rest, self._rested, org)

    def _rested(self, org: int) -> None:
        if self._waiting[org]:
            self._tell(org)
        else:
            del self._waiting[org]

    def _say(self, room: str, words: Sequence[Emit]) -> None:
        """All of it to those who may know all, and to each of the others what they may know."""
        frames = [([Frame(bytes(body)) for body in word.bodies], frozenset(word.but)) for word in words]
        others = frozenset[str]().union(*(but for _, but in frames))
        self._show(room, [frame for some, _ in frames for frame in some], others)
        for one in others:
            if len(words) > 1 and self._here(one):
                self._show(one, [frame for some, but in frames if one not in but for frame in some], ())
