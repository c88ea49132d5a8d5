"""What badges do later: the awarder, who finds what no fact told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from plaza.domains.badges import awarding, queries
from plaza.domains.badges.evaluation import NAMES, begin, evaluate
from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable
from plaza.kernel.sql import Database

log = structlog.get_logger("plaza.badges")

EVERY = timedelta(days=1)
POLL_SECONDS = 1.0
BATCH = 200
PAUSE_SECONDS = 0.02
"""Between two batches: others want the store too."""
MOST_A_SECOND = 2_000
"""Badges given; their facts stand in the same queue as what people say to each other."""


class Awarder:
    """Walks past everybody once a day: anniversaries, badges defined since, and what a fact missed."""

    def __init__(self, store: Database, clock: Clock, new_id: Callable[[], int], leads: Callable[[], bool]) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._leads = leads
        """Whether this is the one process that does it."""

    async def run(self) -> None:
        """Works until cancelled; a process that begins to lead walks at once."""
        walked: datetime | None = None
        while True:
            try:
                if not self._leads():
                    walked = None
                elif walked is None or self._clock() - walked >= EVERY:
                    await self.walk()
                    walked = self._clock()
            except Unavailable:
                log.warning("awarder.waits")
            await asyncio.sleep(POLL_SECONDS)

    async def walk(self) -> int:
        """Gives everybody of the server what they have earned, a batch of people at a time; how many badges."""
        given = 0
        await self._begin()
        org = person = 0
        while self._leads():
            people = await self._store.all(awarding.NEXT, after_org=org, after=person, most=BATCH)
            if not people:
                break
            whom = [(one.org, one.person) for one in people]
            made = await evaluate(self._store, whom, self._clock(), self._new_id)
            given += made
            org, person = whom[-1]
            await asyncio.sleep(max(PAUSE_SECONDS, made / MOST_A_SECOND))
        return given

    async def _begin(self) -> None:
        """For organisations from before there were badges, and from before the newest of the first ones."""
        lacking = await self._store.all(queries.LACKING, names=NAMES)
        for place in range(0, len(lacking), BATCH):
            await begin(self._store, lacking[place : place + BATCH], self._clock(), self._new_id)
