"""Broadcasts to a room and what becomes of them: as many as a side can do, or so many a second."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench import processes
from bench.audience import GATHER_SECONDS, Audience, monotonic
from bench.hosts import Host
from bench.options import Options
from bench.senders import Failed

TEXT = "The ferry leaves at seven from pier two; whoever comes later takes the bus along the coast and is here by nine."
LEAD_SECONDS = 0.5
"""What a round runs before it is measured."""
WINDOW = 16
"""Broadcasts on their way at once, at saturation."""
FULL, SINGLE = f"{WINDOW} at once", "one at a time"
RATES = LOW, HIGH = "20,000/s", "100,000/s"
"""What is asked of a side: saturation, one broadcast after the other, and fixed rates of deliveries."""
_SETTLE_SECONDS = 20.0
_HEAVY, _FULL = 0.8, 0.95
_AT_LEAST = 0.1
_FEW = 64
_LOOK_SECONDS, _BUSY = 0.4, 0.05
SWEEP_MICROSECONDS = 30_000
"""At fixed rates, between two looks at the seats that are not timed."""
_SLICE = 32
Turn = Callable[[Audience], None]
"""Says what is to be said now, and takes some of what has come."""


@dataclass(frozen=True)
class Flow:
    """What one side did in one round: deliveries per second, delays in milliseconds, shares of a core."""

    side: str
    members: int
    asked: str
    deliveries: float
    p50: float
    p99: float
    server: float
    broker: float
    load: float
    resting: float
    others: float

    @property
    def cost(self) -> float:
        """Microseconds of the server's processor time (its broker's too) for a delivery."""
        return (self.server + self.broker) / self.deliveries * 1e6

    @property
    def load_cost(self) -> float:
        """Microseconds of the load generator's for a delivery."""
        return self.load / self.deliveries * 1e6

    @property
    def late(self) -> bool:
        """Whether the side did not do what it was asked for each second."""
        return self.asked in RATES and self.deliveries < 0.95 * _rate(self.asked)

    @property
    def starved(self) -> bool:
        """Whether the load generator may have been what was measured: full itself, while the server was not."""
        return self.load > _HEAVY and self.server + self.broker < _FULL


@dataclass(frozen=True)
class Room:
    """A side and those who listen to it."""

    host: Host
    audience: Audience

    def warm(self, seconds: float) -> None:
        """Broadcasts for a while, for compilers and caches; before that, one whose looks are learned."""
        self.audience.begin()
        self.audience.say(TEXT, [monotonic()])
        _settle(self.audience)
        _run(self.audience, _saturated(WINDOW), seconds)
        _settle(self.audience)

    def round(self, asked: str, options: Options, resting: Sequence[Room]) -> Flow:
        """Runs a lead that does not count and then what counts, and waits until everything has arrived."""
        audience = self.audience
        turn = _turn(asked, len(audience))
        for room in resting:
            answer(room.audience)
        audience.begin()
        gc.collect()
        gc.disable()
        try:
            _run(audience, turn, LEAD_SECONDS)
            audience.delays.clear()
            heard, before, began = audience.heard, self._used(resting), time.perf_counter()
            _run(audience, turn, options.seconds)
            after, seconds = self._used(resting), time.perf_counter() - began
            heard, delays = audience.heard - heard, sorted(audience.delays)
            _settle(audience)
        finally:
            gc.enable()
        if not delays:
            raise Failed(f"{self.host.name}: nothing arrived in {seconds:.1f} s")
        used = {name: (after[name] - before[name]) / seconds for name in after}
        used["others"] = max(0.0, used.pop("machine") - sum(used.values()))
        p50, p99 = (delays[int(len(delays) * share)] / 1000 for share in (0.5, 0.99))
        return Flow(self.host.name, len(audience), asked, heard / seconds, p50, p99, **used)

    def _used(self, resting: Iterable[Room]) -> dict[str, float]:
        """Seconds of processor time so far, by who had them."""
        return {
            "server": processes.run_seconds(self.host.pids()),
            "broker": processes.run_seconds(self.host.broker),
            "load": time.process_time(),
            "resting": processes.run_seconds(pid for room in resting for pid in room.host.pids()),
            "machine": processes.busy_seconds(),
        }


def _turn(asked: str, members: int) -> Turn:
    if asked in RATES:
        return _paced(_rate(asked), members)
    return _saturated(WINDOW if asked == FULL else 1)


def _rate(asked: str) -> float:
    return float(asked.removesuffix("/s").replace(",", ""))


def _saturated(window: int) -> Turn:
    """The next broadcast as soon as fewer than so many are on their way."""

    def turn(audience: Audience) -> None:
        free = window - -(-audience.missing() // len(audience))
        if free > 0:
            audience.say(TEXT, [monotonic()] * free)
        if audience.read(_AT_LEAST) < _FEW:
            time.sleep(GATHER_SECONDS)

    return turn


def _paced(deliveries: float, members: int) -> Turn:
    """So many deliveries a second, evenly; each broadcast carries the time at which it should have left.

    The timed seats are read as it comes to them, the others in a sweep now and then: an acknowledgement to the kernel
    for each read costs more than all the rest. After 40 ms it would be sent unasked, on the server's core.
    """
    interval = members / deliveries * 1e6
    due = sweep = float(monotonic())
    unswept = 0

    def turn(audience: Audience) -> None:
        nonlocal due, sweep, unswept
        now, moments = monotonic(), []
        while due <= now:
            moments.append(int(due))
            due += interval
        if moments:
            audience.say(TEXT, moments)
        if now >= sweep:
            sweep, unswept = now + SWEEP_MICROSECONDS, members
        if unswept > 0:
            audience.read(0, timed=True)
            read = audience.read(0, _SLICE)
            unswept = unswept - read if read == _SLICE else 0
            return
        wait = int((min(due, sweep) - now) / 1000) / 1000  # epoll waits for whole milliseconds
        audience.read(wait, timed=True)
        time.sleep(max(0.0, min(GATHER_SECONDS, (due - monotonic()) / 1e6)))

    return turn


def _run(audience: Audience, turn: Turn, seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        turn(audience)


def _settle(audience: Audience) -> None:
    """Waits until everything has arrived; raises `Failed` for what does not."""
    until = time.perf_counter() + _SETTLE_SECONDS
    while audience.missing():
        audience.read(0.05)
        if time.perf_counter() > until:
            raise Failed(f"{audience.missing():,} deliveries did not arrive")


def answer(audience: Audience) -> None:
    """Takes what has come, pings among it, which are answered."""
    while audience.read(0):
        pass


def quiet(host: Host, audience: Audience, patience: float = 15.0) -> None:
    """Waits until a side has nothing to do any more."""
    until, working = time.perf_counter() + patience, True
    while working and time.perf_counter() < until:
        before, window = processes.run_seconds(host.pids()), time.perf_counter() + _LOOK_SECONDS
        while (left := window - time.perf_counter()) > 0:
            audience.read(left)
        working = processes.run_seconds(host.pids()) - before > _LOOK_SECONDS * _BUSY
