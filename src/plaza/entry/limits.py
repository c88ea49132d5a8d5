"""Rate limits: token buckets for each person and each address (guarantees, c.8); off with PLAZA_RATE_LIMITS=off.

Each process has buckets of its own and asks nobody. Now and then it says what it has let pass of those who ask for
much, and the others take as many tokens away, into debt if need be: whoever asks several gets no more in the end.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

import msgspec

from plaza.kernel.errors import TooMany

MOST_BUCKETS = 200_000
"""Buckets kept; the one used longest ago goes first, and is full again by then."""
SHARE_SECONDS = 0.5
"""How often a process says what it has let pass."""
SHARED_PART = 8
"""Said is what took more than such a part of its rate: less cannot become too much on so many processes."""
MOST_SHARED = 100
"""Buckets of which something is said at once, the greediest first: a message that fits into one notification."""
MAPPED = bytes(10) + b"\xff\xff"
"""How the IPv6 form of an IPv4 address begins (RFC 4291, 2.5.5.2): that of a peer where the server listens on `::`."""
Key = tuple[str | int | None, ...]


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


class Spend(msgspec.Struct, frozen=True, array_like=True):
    """Tokens of a bucket that a process has let pass since it last said so."""

    key: Key
    tokens: int
    each_second: float
    burst: int


class Limits:
    """The buckets of this process."""

    def __init__(self, clock: Callable[[], float], *, on: bool = True) -> None:
        self._clock = clock
        self._on = on
        self._buckets: OrderedDict[Key, tuple[float, float]] = OrderedDict()
        self._spent: dict[Key, tuple[int, Rate]] = {}

    def take(self, key: Key, rate: Rate) -> None:
        """Takes one token of the bucket of `key`; `TooMany` when it is empty, with the seconds until it is not."""
        if not self._on:
            return
        tokens = self._level(key, rate)
        if tokens < 1:
            raise TooMany(retry_after=max(1, math.ceil((1 - tokens) / rate.each_second)))
        self._buckets[key] = (tokens - 1, self._buckets[key][1])
        self._spent[key] = (self._spent.get(key, (0, rate))[0] + 1, rate)

    def spent(self) -> list[Spend]:
        """What was let pass since the last time of those who took much; who finds no room is said the next time."""
        many = {
            key: (tokens, rate)
            for key, (tokens, rate) in self._spent.items()
            if tokens > rate.each_second * SHARE_SECONDS / SHARED_PART
        }
        greedy = sorted(many, key=lambda key: many[key][0] / many[key][1].each_second, reverse=True)[:MOST_SHARED]
        self._spent = {key: many[key] for key in many.keys() - set(greedy)}
        return [Spend(key, many[key][0], *many[key][1]) for key in greedy]

    def charge(self, spends: Iterable[Spend]) -> None:
        """Takes away what another process has let pass."""
        for spend in spends:
            rate = Rate(spend.each_second, spend.burst)
            tokens = self._level(spend.key, rate)
            self._buckets[spend.key] = (max(tokens - spend.tokens, -rate.burst), self._buckets[spend.key][1])

    def _level(self, key: Key, rate: Rate) -> float:
        """The tokens in a bucket now."""
        now = self._clock()
        tokens, seen = self._buckets.pop(key, (float(rate.burst), now))
        tokens = min(rate.burst, tokens + (now - seen) * rate.each_second)
        self._buckets[key] = (tokens, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return tokens


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, also one mapped into IPv6, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    packed = inet_pton(AF_INET6, address.partition("%")[0])
    if packed.startswith(MAPPED):
        return inet_ntop(AF_INET, packed[len(MAPPED) :])
    return inet_ntop(AF_INET6, packed[:8] + bytes(8))
