"""Concurrency limits: how many requests one subject may have in the store at once; the others wait in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import NamedTuple

from plaza.kernel.context import Context
from plaza.kernel.errors import TooMany
from plaza.kernel.limits import Key, network

EACH_PERSON, EACH_NETWORK = 2, 8
"""Requests in the store at once: of a person, and of the strangers of one network."""
WAIT_SECONDS = 5.0
"""How long a request waits for one of the earlier ones to end."""
MOST_WAITING = 64
"""Of one subject; those beyond are refused at once."""


class TooManyAtOnce(TooMany):
    """As many requests of the caller are running as may, and none of them ended in time."""

    reason = "rate.concurrent"
    message = "Your earlier requests are still running; wait for their answers before you ask for more."


class Subject(NamedTuple):
    """Whose requests count together, and how many of them run at once."""

    key: Key
    most: int


def person_subject(org: int, who: int) -> Subject:
    """Somebody who is known: their REST requests and their socket events."""
    return Subject((org, who), EACH_PERSON)


def subject(ctx: Context) -> Subject:
    """Whose request it is: a person's, or their account's session, else that of a network of strangers."""
    if ctx.person is None:
        return Subject((network(ctx.address),), EACH_NETWORK)
    return person_subject(ctx.org.id, ctx.person.id or -(ctx.person.session or 0))


class Concurrency:
    """What runs in this process, by subject; a free slot costs two look-ups and no task."""

    def __init__(self, seconds: float = WAIT_SECONDS) -> None:
        self.seconds = seconds
        self._running: dict[Key, int] = {}
        self._waiting: dict[Key, deque[asyncio.Future[None]]] = {}

    def slot(self, whose: Subject) -> Slot:
        """One slot of a subject, to be entered; `TooManyAtOnce` when none gets free in time."""
        return Slot(self, whose)

    async def acquire(self, whose: Subject) -> None:
        """Takes a slot, behind those who wait already."""
        running = self._running.get(whose.key, 0)
        if running < whose.most:
            self._running[whose.key] = running + 1
        else:
            await self._wait(whose.key)

    async def _wait(self, key: Key) -> None:
        waiting = self._waiting.setdefault(key, deque())
        if len(waiting) >= MOST_WAITING:
            raise TooManyAtOnce
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(self.seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it was given a slot in the very moment
                self.release(key)
            else:
                self._leave(key, turn)
            if isinstance(error, TimeoutError):
                raise TooManyAtOnce from None
            raise

    def _leave(self, key: Key, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            if turn in waiting:
                waiting.remove(turn)
            if not waiting:
                del self._waiting[key]

    def release(self, key: Key) -> None:
        """Gives a slot to who has waited longest, or back."""
        waiting = self._waiting.get(key)
        while waiting:
            turn = waiting.popleft()
            if not waiting:
                del self._waiting[key]
            if not turn.done():
                turn.set_result(None)
                return
        running = self._running[key] - 1
        if running:
            self._running[key] = running
        else:
            del self._running[key]


class Slot:
    """Holds one slot while it is entered."""

    __slots__ = ("_concurrency", "_held", "_whose")

    def __init__(self, concurrency: Concurrency, whose: Subject) -> None:
        self._concurrency = concurrency
        self._whose = whose
        self._held = False

    async def __aenter__(self) -> Slot:
        await self._acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Gives the slot to others while it is entered, and waits for one at the end as at the beginning."""
        self._release()
        yield
        await self._acquire()

    async def _acquire(self) -> None:
        await self._concurrency.acquire(self._whose)
        self._held = True

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._concurrency.release(self._whose.key)
