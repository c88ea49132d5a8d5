"""Rate limits: the token buckets of `kernel/limits.py` (guarantees, c.8); off with PLAZA_RATE_LIMITS=off.

Each process has buckets of its own and asks nobody. Now and then it says what it has let pass of those who ask for
much, and the others take as many tokens away, into debt if need be: whoever asks several gets no more in the end.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec

from plaza.kernel.limits import Key, Limit, Take

MOST_BUCKETS = 200_000
"""Buckets kept; the one used longest ago goes first, and is full again by then."""
SHARE_SECONDS = 0.5
"""How often a process says what it has let pass."""
SHARED_PART = 8
"""Said is what took more than such a part of its rate: less cannot become too much on so many processes."""
KEPT_PART = 0.002
"""Of a bucket that fills slowly, less than such a part of the whole is said when more has come together."""
MOST_SHARED = 80
"""Buckets of which something is said at once, the greediest first: a message that fits into one notification."""


class Spend(msgspec.Struct, frozen=True, array_like=True):
    """Tokens of a bucket that a process has let pass since it last said so."""

    key: Key
    tokens: int
    each_second: float
    burst: int


class Limits:
    """The buckets of this process."""

    def __init__(
        self, clock: Callable[[], float], amounts: Mapping[str, int] = MappingProxyType({}), *, on: bool = True
    ) -> None:
        self._amounts = amounts
        """Amounts of settings, by the names of their limits."""
        self._clock = clock
        self.on = on
        self._buckets: OrderedDict[Key, tuple[float, float]] = OrderedDict()
        self._spent: dict[Key, Spend] = {}
        self._kept: OrderedDict[Key, Spend] = OrderedDict()
        """Of buckets that fill slowly, what is too little to be said yet and may become much."""

    def take(self, *takes: Take) -> None:
        """Takes all of them, or none: the refusal of the limit that takes longest to fill again, with the seconds."""
        if not self.on:
            return
        takes = self._in_force(takes)
        worst, wait = None, 0.0
        for key, limit, amount in takes:
            lacking = amount - self._level(key, limit.each_second, limit.capacity)
            if lacking > 0 and lacking / limit.each_second > wait:
                worst, wait = limit, lacking / limit.each_second
        if worst is not None:
            raise worst.refusal(retry_after=max(1, math.ceil(wait)))
        for key, limit, amount in takes:
            self._move(key, -amount)
            self._note(key, limit, amount)

    def give_back(self, *takes: Take) -> None:
        """Puts tokens back that were taken for what then did not happen."""
        if not self.on:
            return
        for key, limit, amount in self._in_force(takes):
            self._level(key, limit.each_second, limit.capacity)
            self._move(key, amount)
            self._note(key, limit, -amount)

    def _note(self, key: Key, limit: Limit, tokens: int) -> None:
        if not limit.shared:
            return
        spent = self._spent.get(key) or self._kept.pop(key, None)
        total = tokens if spent is None else spent.tokens + tokens
        self._spent[key] = Spend(key, total, limit.each_second, limit.capacity)

    def _in_force(self, takes: tuple[Take, ...]) -> tuple[Take, ...]:
        """With the amounts of the settings, where they say another one than the limits themselves."""
        if not self._amounts:
            return takes
        named = ((take, self._amounts.get(take.limit.name)) for take in takes)
        return tuple(
            take if amount is None else take._replace(limit=take.limit._replace(amount=amount))
            for take, amount in named
        )

    def spent(self) -> list[Spend]:
        """What was let pass since the last time of those who took much; who finds no room is said the next time."""
        many = {}
        for key, spend in self._spent.items():
            if abs(spend.tokens) > max(spend.each_second * SHARE_SECONDS / SHARED_PART, spend.burst * KEPT_PART):
                many[key] = spend
            elif spend.burst * KEPT_PART > spend.each_second * SHARE_SECONDS / SHARED_PART:
                self._kept[key] = spend
        while len(self._kept) > MOST_BUCKETS:
            self._kept.popitem(last=False)
        greedy = heapq.nlargest(MOST_SHARED, many.values(), key=lambda spend: abs(spend.tokens) / spend.each_second)
        for spend in greedy:
            del many[spend.key]
        self._spent = many
        return greedy

    def charge(self, spends: Iterable[Spend]) -> None:
        """Takes away what another process has let pass."""
        for key, tokens, each_second, burst in (msgspec.structs.astuple(spend) for spend in spends):
            level = self._level(key, each_second, burst)
            self._move(key, max(-tokens, -burst - level))

    def _level(self, key: Key, each_second: float, burst: int) -> float:
        """The tokens in a bucket now."""
        now = self._clock()
        tokens, seen = self._buckets.pop(key, (float(burst), now))
        tokens = min(burst, tokens + (now - seen) * each_second)
        self._buckets[key] = (tokens, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return tokens

    def _move(self, key: Key, tokens: float) -> None:
        """Changes the level of a bucket that was just looked at."""
        level, seen = self._buckets[key]
        self._buckets[key] = (level + tokens, seen)
