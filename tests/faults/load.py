"""The load of a fault test: people who write to each other and people who read, while something is being broken."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from tests.faults.checker import Heard, History, Verdict, judge
from tests.faults.people import Community, Person
from tests.faults.readers import Poller, Reader
from tests.faults.records import Recorder
from tests.faults.senders import Ports, Rest, Sender, Socket, Way

NAMES = ("anna", "bert", "cleo", "dora", "emil", "fritz", "gina")
HOT = NAMES[:2]
READING = ("anna", "anna", "anna", "bert", "bert", "cleo", "dora", "emil", "fritz", "gina")
FLAPPING = (2, 4, 7)
"""Which of the readers break off by themselves."""
POLLING = (("anna", "bert"), ("emil", "anna"))
PROMPT_SECONDS = 5.0
"""How long what is acknowledged may take to reach the log of events."""


class Load:
    """Ten senders, five of them in one hot conversation, half over REST, half over sockets; ten readers, two pollers.

    `every` is the mean time between two messages of one sender.
    """

    def __init__(
        self, community: Community, ports: Sequence[int], recorder: Recorder, dice: random.Random, every: float
    ) -> None:
        self.recorder = recorder
        self.people = {name: community.person(name) for name in NAMES}
        self.ports = list(ports)
        self._dice = dice
        self._every = every
        self.senders = [self._sender(number) for number in range(10)]
        self.readers = [self._reader(number, name) for number, name in enumerate(READING)]
        self.pollers = [self._poller(*pair) for pair in POLLING]

    def _sender(self, number: int) -> Sender:
        hot = number < 5
        name = HOT[number % 2] if hot else NAMES[number - 3]
        to = [HOT[1 - number % 2]] if hot else [NAMES[2 + (number - 4) % 5], HOT[0]]
        person, ports = self.people[name], Ports(self.ports, number)
        kind = Socket if number % 2 else Rest
        way: Way = kind(person, ports, self.recorder)
        return Sender(f"{name}{number}", person, [self.people[peer] for peer in to], way, self.recorder)

    def _reader(self, number: int, name: str) -> Reader:
        person = self.people[name]
        pairs = [pair for pair in self._threads().values() if person in pair]
        peers = [you if me == person else me for me, you in pairs]
        return Reader(f"{name}-reader{number}", person, peers, Ports(self.ports, number), self.recorder)

    def _poller(self, name: str, peer: str) -> Poller:
        person = self.people[name]
        return Poller(f"{name}-poller", person, self.people[peer], Ports(self.ports), self.recorder)

    def _threads(self) -> dict[str, tuple[Person, Person]]:
        """Every conversation, with the two who have it."""
        pairs = [(sender.person, peer) for sender in self.senders for peer in sender.to]
        return {me.thread_with(peer): (me, peer) for me, peer in pairs}

    async def through(self, fault: Callable[[], Awaitable[None]], database_url: Callable[[], str]) -> Verdict:
        """Lets everybody work while `fault` lasts, then waits until all is quiet, and judges."""
        for reader in self.readers:
            await reader.open()
        over, quiet = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sending = [group.create_task(sender.run(over, self._every, self._dice)) for sender in self.senders]
            for number, reader in enumerate(self.readers):
                group.create_task(reader.run(quiet, self._dice if number in FLAPPING else None))
            for poller in self.pollers:
                group.create_task(poller.run(quiet, self._every))
            await fault()
            over.set()
            await asyncio.wait_for(asyncio.gather(*sending), 15)
            await relayed(database_url())
            quiet.set()
        return judge(self.recorder.records, await self.history(), self.heard())

    def heard(self) -> list[Heard]:
        """What each of those who read has taken in."""
        return [reader.heard for reader in self.readers] + [poller.heard for poller in self.pollers]

    async def history(self) -> History:
        """The full scan through the API."""
        scanned = {}
        for thread, (person, peer) in self._threads().items():
            scanned[thread] = await Poller("scan", person, peer, Ports(self.ports), self.recorder).all()
        return scanned


async def relayed(database_url: str) -> None:
    """Waits until the outbox is empty: the log of events has everything that was acknowledged."""
    connection = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(PROMPT_SECONDS):
            while await connection.fetchval("select exists (select 1 from outbox)"):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
