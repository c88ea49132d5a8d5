"""Throttle: lets something through once in a while for each key, so that nobody fills a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable


class Throttle:
    """Remembers at most `most` keys for `seconds` each; over that it lets nothing new through."""

    def __init__(self, *, seconds: float, most: int, passed: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._passed = passed
        self._until: dict[Hashable, float] = {}

    def passes(self, key: Hashable) -> bool:
        """Whether the key was not let through within the last seconds."""
        present = self._passed()
        if len(self._until) >= self._most:
            self._until = {known: until for known, until in self._until.items() if until > present}
        if self._until.get(key, 0.0) > present or len(self._until) >= self._most:
            return False
        self._until[key] = present + self._seconds
        return True
