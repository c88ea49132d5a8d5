"""What the buses of several processes share: letters, the bounded queue before the wire, and pauses between tries."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Sequence

import msgspec
import structlog

log = structlog.get_logger("plaza.bus")
MOST_WAITING = 10_000
"""Messages kept while the bus is away; older ones are dropped, the log has what matters."""
MOST_BYTES = 4 << 20
FLUSH_SECONDS = 2.0
"""How long a process that stops gives the bus to take its last messages."""
FIRST_SECONDS, LONGEST_SECONDS = 0.1, 2.0
"""Between two tries to reach the bus."""
NOBODY = -1
"""Where processes are counted from nought."""
SERVER = "server"
"""The channel that every process follows."""

Parcel = tuple[str, list[bytes]]
"""A channel, and messages for it in their order."""


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one notification carries: from which process, and its messages, or where the only one lies.

    `lost` says that something that the process said before may never have arrived.
    """

    node: int
    messages: list[msgspec.Raw] = []
    stored: int | None = None
    lost: bool = False

    @classmethod
    def of(cls, node: int, messages: Sequence[bytes]) -> Letter:
        """A letter with messages, which are JSON already."""
        return cls(node, [msgspec.Raw(message) for message in messages])

    @classmethod
    def read(cls, body: bytes | str) -> Letter:
        """A letter that came in; what is none may have been anything: something is lost."""
        try:
            return msgspec.json.decode(body, type=cls)
        except msgspec.MsgspecError:
            log.warning("bus.not_understood")
            return cls(NOBODY, lost=True)


class Outgoing:
    """Messages that wait to be sent, in their order, within bounds."""

    def __init__(self) -> None:
        self.lossy = False
        """Whether some may never arrive, and nobody has been told so yet."""
        self.news = asyncio.Event()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._taken: list[tuple[str, bytes]] = []

    def put(self, channel: str, message: bytes) -> None:
        """Adds one; the oldest go when there are too many."""
        self._waiting.append((channel, message))
        self._bytes += len(message)
        self._bound()
        self.news.set()

    def _bound(self) -> None:
        while len(self._waiting) > MOST_WAITING or self._bytes > MOST_BYTES:
            self._bytes -= len(self._waiting.popleft()[1])
            self.lossy = True

    def take(self, most: int) -> list[Parcel]:
        """The next of them, as many as fit into so many bytes but one at least; `sent` or `back` follows."""
        size = 0
        parcels: list[Parcel] = []
        while self._waiting and (not self._taken or size + len(self._waiting[0][1]) < most):
            channel, message = taken = self._waiting.popleft()
            self._taken.append(taken)
            size += len(message) + 1
            if not parcels or parcels[-1][0] != channel:
                parcels.append((channel, []))
            parcels[-1][1].append(message)
        self._bytes -= sum(len(message) for _, message in self._taken)
        return parcels

    def sent(self) -> None:
        """What was taken is on its way."""
        self._taken.clear()

    def back(self) -> None:
        """What was taken may not have arrived; it is sent again, and who hears it twice knows by its place."""
        self._waiting.extendleft(reversed(self._taken))
        self._bytes += sum(len(message) for _, message in self._taken)
        self._taken.clear()
        self.lossy = True
        self._bound()

    async def wait(self) -> None:
        """Until there is something to take or to say."""
        while not self._waiting and not self.lossy:
            self.news.clear()
            await self.news.wait()

    async def flush(self) -> None:
        """Until all is sent, for so long as a process that stops has time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                while self._waiting or self._taken:  # noqa: ASYNC110 — once in the life of a process
                    await asyncio.sleep(0.01)


class Pause:
    """Between tries to do something: longer and longer, and never the same for two processes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = FIRST_SECONDS
        self._away = False

    def begin(self, error: Exception) -> None:
        """The bus is away; said once."""
        if not self._away:
            log.warning("bus.away", to=self._what, error=type(error.__cause__ or error).__name__)
        self._away = True

    def over(self) -> None:
        """It is there again."""
        if self._away:
            log.info("bus.back", to=self._what)
        self._away, self._next = False, FIRST_SECONDS

    async def sleep(self) -> None:
        """Waits, with chance in it: those who lost one server together do not come back together."""
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311 — no secret
        self._next = min(self._next * 2, LONGEST_SECONDS)
        await asyncio.sleep(seconds)
