"""The tracker: counts this process's sockets of each person, and tells the store of the first and the last one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice

import structlog

from plaza.domains.presence import queries
from plaza.domains.presence.queries import Change
from plaza.domains.presence.service import LEASE_SECONDS, lapsed
from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable
from plaza.kernel.outbox import Announced
from plaza.kernel.sql import Database, Statement

log = structlog.get_logger("plaza.presence")
Person = tuple[int, int]
"""(organisation, person)."""
Say = Callable[[Change, str], None]
"""Says `userOnline` or `userOffline` of somebody to the organisation, minus those who may not know."""

RENEWALS = 8
"""How often in a lease a process renews its own, and looks for others that are over."""
MOST_MOVED = 1_000
"""Comings and goings remembered for those who could not hear of them."""
GRACE_SECONDS = 5.0
"""How long somebody counts as here after their last socket: a page that is loaded again is no news to anybody."""
MOST_DUE = 1_000
"""Departures that are looked at in one turn of the loop."""
GATHER_SECONDS = 0.005
"""Arrivals and departures of so long are written as one statement each."""


class Tracker:
    """Presence of this process; `run` works until cancelled."""

    def __init__(
        self,
        db: Database,
        node: int,
        clock: Clock,
        say: Say,
        *,
        lease_seconds: float = LEASE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._db = db
        self._node = node
        self._clock = clock
        self._say = say
        self._lease = lease_seconds
        self._grace = grace_seconds
        self._leaving: dict[Person, float] = {}
        """Who has no socket here any more and still counts as here, until when; the first to leave stands first."""
        self._timer: asyncio.TimerHandle | None = None
        self._sockets: Counter[Person] = Counter()
        self._written: set[Person] = set()
        self._changed: dict[Person, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._moved: OrderedDict[Person, float] = OrderedDict()
        """When people came or went last, the oldest first."""
        self._again = 0.0

    def arrived(self, org: int, person: int) -> asyncio.Future[None] | None:
        """One more socket of a person; the future is done when the store knows, None where it does already."""
        who = org, person
        self._sockets[who] += 1
        self._leaving.pop(who, None)
        if who in self._written and who not in self._changed:
            return None
        return self._touch(who)

    def left(self, org: int, person: int, *, at_once: bool = False) -> None:
        """One socket fewer; after the last one the person counts as here for the grace time, unless `at_once`."""
        who = org, person
        self._sockets[who] -= 1
        if self._sockets[who] > 0:
            return
        del self._sockets[who]
        if at_once:
            self._touch(who)
            return
        loop = asyncio.get_running_loop()
        self._leaving[who] = loop.time() + self._grace
        if self._timer is None:
            self._timer = loop.call_later(self._grace, self._depart)

    def _depart(self) -> None:
        """Lets go of those who did not come back in time."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = [who for who, until in islice(self._leaving.items(), MOST_DUE) if until <= now]
        for who in due:
            del self._leaving[who]
            self._touch(who)
        following = next(iter(self._leaving.values()), None)
        self._timer = None
        if following is not None:
            self._timer = loop.call_at(max(following, now + GATHER_SECONDS), self._depart)

    def _touch(self, who: Person) -> asyncio.Future[None]:
        self._wake.set()
        return self._changed.setdefault(who, asyncio.get_running_loop().create_future())

    def again(self, seconds: float) -> None:
        """Says once more, soon, how it stands with those who came or went here in the last so many seconds."""
        self._again = max(self._again, seconds)
        self._wake.set()

    async def run(self) -> None:
        """Writes what changed, renews this process's lease, and buries processes that do not renew theirs."""
        loop = asyncio.get_running_loop()
        renewed = float("-inf")
        self._wake.set()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease / RENEWALS):
                    await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                if loop.time() - renewed >= self._lease / RENEWALS:
                    await self._renew()
                    renewed = loop.time()
                await self.settle()
                await self._repeat()
            except Unavailable:
                log.warning("presence.waits")
                await asyncio.sleep(1)
                self._wake.set()

    async def settle(self) -> None:
        """Writes the difference between our sockets and the store."""
        self._wake.clear()
        changed, self._changed = self._changed, {}
        try:
            come = [who for who in changed if who in self._sockets and who not in self._written]
            gone = [who for who in changed if who not in self._sockets and who in self._written]
            self._written.difference_update(gone)  # whoever comes while they are taken off is written again
            if come:
                await self._speak(queries.ARRIVED, come, "userOnline")
                self._written.update(come)
            if gone:
                await self._db.all(queries.LEFT, **_pairs(gone), node=self._node)
                await self._speak(queries.GONE, gone, "userOffline")
        except Unavailable:
            self._changed = changed | self._changed
            self._written.update(gone)
            raise
        for waiting in changed.values():
            if not waiting.done():
                waiting.set_result(None)

    async def renamed(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Says of people who are here that they are so under another address."""
        rows = await db.all(
            queries.RENAMED,
            orgs=[item.org for item in announced],
            changes=[item.fact.change for item in announced],
            lapsed=lapsed(self._clock(), self._lease),
        )
        for row in rows:
            self._say(Change(row.org, row.person, row.old, row.hidden_from), "userOffline")
            self._say(row, "userOnline")
        return ()

    async def unlisted(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Says of people who are here and have left the directory that they are gone; acquaintances see them again."""
        rows = await db.all(
            queries.UNLISTED,
            orgs=[item.org for item in announced],
            people=[item.fact.person for item in announced],
            lapsed=lapsed(self._clock(), self._lease),
        )
        for row in rows:
            self._say(Change(row.org, row.person, row.email, row.blocked), "userOffline")
            self._say(row, "userOnline")
        return ()

    async def close(self) -> None:
        """Ends this process's lease with the grace time: whoever comes to another process until then was never gone.

        The others, or the next process to start, find those who did not.
        """
        if self._timer is not None:
            self._timer.cancel()
        await self._db.all(
            queries.RETIRE, node=self._node, seen=lapsed(self._clock(), self._lease) + timedelta(seconds=self._grace)
        )

    async def _speak(self, statement: Statement[Change], whom: Sequence[Person], event: str) -> None:
        changes = await self._db.all(
            statement,
            **_pairs(whom),
            node=self._node,
            lapsed=lapsed(self._clock(), self._lease),
        )
        for change in changes:
            self._tell(change, event)

    def _tell(self, change: Change, event: str) -> None:
        who = change.org, change.person
        self._moved[who] = asyncio.get_running_loop().time()
        self._moved.move_to_end(who)
        if len(self._moved) > MOST_MOVED:
            self._moved.popitem(last=False)
        self._say(change, event)

    async def _repeat(self) -> None:
        """What was said while others could not hear it; what holds now, whoever has heard it already."""
        since = asyncio.get_running_loop().time() - self._again
        whom = [who for who, moved in self._moved.items() if moved >= since] if self._again else []
        if whom:
            standing = await self._db.all(queries.NOW, **_pairs(whom), lapsed=lapsed(self._clock(), self._lease))
            for one in standing:
                self._say(one, "userOnline" if one.online else "userOffline")
        self._again = 0.0

    async def _renew(self) -> None:
        now = self._clock()
        if await self._db.one(queries.RENEW, node=self._node, now=now) and self._written:
            # Others had buried this process while it stood still: its people come back.
            await self._speak(queries.ARRIVED, list(self._written), "userOnline")
        for change in await self._db.all(queries.LAPSE, lapsed=lapsed(now, self._lease)):
            self._tell(change, "userOffline")


def _pairs(whom: Sequence[Person]) -> dict[str, object]:
    return {"orgs": [org for org, _ in whom], "people": [person for _, person in whom]}
