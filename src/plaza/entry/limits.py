"""Rate limits: token buckets for each person and each address (guarantees, c.8); off with PLAZA_RATE_LIMITS=off."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from plaza.kernel.errors import TooMany

MOST_BUCKETS = 200_000
"""Buckets kept; the one used longest ago goes first, and is full again by then."""


class Rate(NamedTuple):
    """A bucket of `burst` tokens that gains `each_second` of them."""

    each_second: float
    burst: int


READS = Rate(20, 100)
WRITES = Rate(10, 40)
EVENTS = Rate(20, 60)
SIGN_INS = Rate(0.2, 20)
"""Of one address: attempts at passwords, sign-ups and codes."""
STRANGERS = Rate(20, 200)
"""Of one address, whatever it asks: people behind one address share it."""


class Limits:
    """The buckets of this process."""

    def __init__(self, clock: Callable[[], float], *, on: bool = True) -> None:
        self._clock = clock
        self._on = on
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, rate: Rate) -> None:
        """Takes one token of the bucket of `key`; `TooMany` when it is empty, with the seconds until it is not."""
        if not self._on:
            return
        now = self._clock()
        tokens, seen = self._buckets.pop(key, (float(rate.burst), now))
        tokens = min(rate.burst, tokens + (now - seen) * rate.each_second)
        self._buckets[key] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise TooMany(retry_after=max(1, math.ceil((1 - tokens) / rate.each_second)))


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    return ":".join(address.split(":")[:4]) if ":" in address else address
