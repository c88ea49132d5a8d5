"""Coming in: connects a second with the token checked, and the memory that somebody takes who only listens.

Each life starts every side anew, and they stand at once. First many come in and stay, which gives the memory and warms
everything; then, side by side in turns, others come in with tokens that the server has not seen; they leave and come
back, as everybody does after a restart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import hosts, machine, processes
from bench.audience import Audience
from bench.flow import quiet
from bench.hosts import Host
from bench.options import Options
from bench.servers import ORG, Member, plaza

WHOLE = "whole Plaza"
SIDES = (*hosts.SIDES, WHOLE)
TURNS = 4
"""How often others come to each side, in a life."""
OTHERS = 2_500
"""Who comes in with a token that has not been seen, in a turn."""
FEW = 5
"""The part of them that comes first, and is not counted."""
NEWCOMERS = 250
"""The same for the whole Plaza, which tells everybody of everybody."""
SOCKETS_EACH = 8
"""Of one person of the whole Plaza, of those who stay; the others have one."""


@dataclass(frozen=True)
class Entry:
    """One turn of a side: connects per second with new tokens and with known ones; bytes for one that stays.

    `server` and `load` are shares of a core while the new tokens came, `*_known` while the known ones did.
    """

    side: str
    sockets: int
    fresh: float
    known: float
    bytes_each: float
    server: float
    load: float
    server_known: float
    load_known: float
    job: str = ""
    """What was connected to, where a side has more than one."""

    @property
    def cost(self) -> float:
        """Microseconds of the server's processor time for a connect with a new token."""
        return self.server / self.fresh * 1e6

    @property
    def cost_known(self) -> float:
        """Microseconds for one with a known token."""
        return self.server_known / self.known * 1e6


@dataclass(frozen=True)
class Guests:
    """Who comes to a side: those who stay, then the others of each turn."""

    host: Host
    audience: Audience
    staying: Sequence[Member]
    others: Sequence[Member]
    each: int
    """Of the others, in a turn."""
    job: str = ""

    def of(self, turn: int) -> Sequence[Member]:
        """The others of a turn."""
        return self.others[turn * self.each : (turn + 1) * self.each]


async def run(options: Options, folder: Path) -> list[Entry]:
    """So many lives; in each, every side in turns."""
    sockets = max(options.sockets)
    people = hosts.members(sockets + TURNS * OTHERS)
    entries = []
    for life in range(1, options.lives + 1):
        async with AsyncExitStack() as stack:
            sides = [await _guests(stack, name, options, folder, people) for name in SIDES]
            memory = [stay(guests) for guests in sides]
            for number in range(TURNS):
                for guests, each in zip(sides, memory, strict=True):
                    entry = turn(guests, number, each)
                    entries.append(entry)
                    machine.say(
                        f"{sockets:,} sockets, life {life}, turn {number + 1}: {entry.side:<11} {entry.fresh:>6,.0f} "
                        f"connects/s, known {entry.known:>6,.0f}/s, {entry.bytes_each / 1000:.1f} kB each"
                    )
    return entries


async def _guests(stack: AsyncExitStack, name: str, options: Options, folder: Path, people: Sequence[Member]) -> Guests:
    """A side that stands, and its people."""
    sockets = max(options.sockets)
    if name != WHOLE:
        host = await stack.enter_async_context(hosts.host(name, options, folder))
        return Guests(host, Audience(host.ports, ORG), people[:sockets], people[sockets:], OTHERS)
    crowd = -(-sockets // SOCKETS_EACH)
    life = Path(tempfile.mkdtemp(dir=folder))
    side = await stack.enter_async_context(plaza(options, life, crowd + TURNS * NEWCOMERS))
    staying = (side.members[:crowd] * SOCKETS_EACH)[:sockets]
    host = Host(WHOLE, [side.port], side.server_pids)
    return Guests(host, Audience(host.ports, ORG), staying, side.members[crowd:], NEWCOMERS)


def stay(guests: Guests) -> float:
    """Lets those in who stay for a while: the bytes that each takes."""
    host, audience, staying = guests.host, guests.audience, guests.staying
    quiet(host, audience)
    host.collect()
    quiet(host, audience)
    before = _memory(host)
    audience.invite(one.token for one in staying)
    audience.admit()
    quiet(host, audience)
    host.collect()
    quiet(host, audience)
    each = (_memory(host) - before) / len(staying)
    audience.leave()
    quiet(host, audience)
    _admitted(guests, staying[:OTHERS])  # what was just collected must be warm again
    return each


def turn(guests: Guests, number: int, bytes_each: float) -> Entry:
    """Lets the others of a turn in twice: with new tokens, then with the same.

    A few of them come before, and are not counted: what the other sides drove out of the processor's caches comes back,
    which would weigh most with whoever is done first.
    """
    others = guests.of(number)
    few = len(others) // FEW
    _admitted(guests, others[:few])
    others = others[few:]
    fresh, server, load = _admitted(guests, others)
    known, server_known, load_known = _admitted(guests, others)
    name, sockets = guests.host.name, len(guests.staying)
    return Entry(name, sockets, fresh, known, bytes_each, server, load, server_known, load_known, guests.job)


def _admitted(guests: Guests, people: Sequence[Member]) -> tuple[float, float, float]:
    """Lets people in and out again: connects per second, shares of a core of the server and of the load."""
    host, audience = guests.host, guests.audience
    audience.invite(one.token for one in people)
    worked, loaded = processes.run_seconds(host.pids()), time.process_time()
    seconds = audience.admit()
    worked, loaded = processes.run_seconds(host.pids()) - worked, time.process_time() - loaded
    audience.leave()
    quiet(host, audience)
    return len(people) / seconds, worked / seconds, loaded / seconds


def _memory(host: Host) -> int:
    return sum(processes.memory(pid).pss for pid in host.pids())
