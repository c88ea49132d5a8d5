"""Coming in: connects a second with the token checked, and the memory that somebody takes who only listens.

Each round starts each side anew. First many come in and stay, which gives the memory and warms everything; then others
come in, with tokens that the server has not seen; they leave and come back, as everybody does after a restart.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
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
OTHERS = 2_000
"""Who comes in with a token that has not been seen."""
NEWCOMERS = 400
"""The same for the whole Plaza, which tells everybody of everybody."""
SOCKETS_EACH = 8
"""Of one person of the whole Plaza, of those who stay; the others have one."""


@dataclass(frozen=True)
class Entry:
    """One life of a side: connects per second with new tokens and with known ones, bytes for one that stays.

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

    @property
    def cost(self) -> float:
        """Microseconds of the server's processor time for a connect with a new token."""
        return self.server / self.fresh * 1e6

    @property
    def cost_known(self) -> float:
        """Microseconds for one with a known token."""
        return self.server_known / self.known * 1e6


async def run(options: Options, folder: Path) -> list[Entry]:
    """Every side once a round, one at a time."""
    sockets = max(options.sockets)
    people = hosts.members(sockets + OTHERS)
    entries = []
    for number in range(1, options.lives + 1):
        for name in SIDES:
            async with _side(name, options, folder, sockets) as (host, enrolled):
                entry = _live(host, enrolled or people, sockets)
            machine.say(
                f"{sockets:,} sockets, round {number}: {name:<11} {entry.fresh:>6,.0f} connects/s, known "
                f"{entry.known:>6,.0f}/s, {entry.bytes_each / 1000:.1f} kB each"
            )
            entries.append(entry)
    return entries


@contextlib.asynccontextmanager
async def _side(
    name: str, options: Options, folder: Path, sockets: int
) -> AsyncIterator[tuple[Host, Sequence[Member]]]:
    """A side and its people, none where everybody is welcome who has a token."""
    if name != WHOLE:
        async with hosts.host(name, options, folder) as host:
            yield host, []
        return
    crowd = -(-sockets // SOCKETS_EACH)
    life = Path(tempfile.mkdtemp(dir=folder))
    async with plaza(options, life, crowd + NEWCOMERS) as side:
        staying = (side.members[:crowd] * SOCKETS_EACH)[:sockets]
        yield Host(WHOLE, [side.port], side.server_pids), [*staying, *side.members[crowd:]]


def _live(host: Host, people: Sequence[Member], sockets: int) -> Entry:
    audience = Audience(host.ports, ORG)
    quiet(host, audience)
    host.collect()
    quiet(host, audience)
    before = _memory(host)
    audience.invite(one.token for one in people[:sockets])
    audience.admit()
    quiet(host, audience)
    host.collect()
    quiet(host, audience)
    each = (_memory(host) - before) / sockets
    audience.leave()
    quiet(host, audience)
    _admitted(host, audience, people[:OTHERS])  # what was just collected must be warm again
    fresh, server, load = _admitted(host, audience, people[sockets:])
    known, server_known, load_known = _admitted(host, audience, people[sockets:])
    return Entry(host.name, sockets, fresh, known, each, server, load, server_known, load_known)


def _admitted(host: Host, audience: Audience, people: Sequence[Member]) -> tuple[float, float, float]:
    """Lets people in and out again: connects per second, shares of a core of the server and of the load."""
    audience.invite(one.token for one in people)
    worked, loaded = processes.run_seconds(host.pids()), time.process_time()
    seconds = audience.admit()
    worked, loaded = processes.run_seconds(host.pids()) - worked, time.process_time() - loaded
    audience.leave()
    quiet(host, audience)
    return len(people) / seconds, worked / seconds, loaded / seconds


def _memory(host: Host) -> int:
    return sum(processes.memory(pid).pss for pid in host.pids())
