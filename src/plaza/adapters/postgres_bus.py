"""The bus of a server of several processes: PostgreSQL's LISTEN/NOTIFY.

NOTIFY is never part of a write (it would serialise the commits of the whole server): each process gathers what it has
to say and sends it from a connection of its own. A message larger than a notification may be goes through a table.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from typing import Any

import msgspec
import structlog

from plaza.kernel.errors import Unavailable
from plaza.kernel.ports import Hear
from plaza.kernel.sql import Statement
from plaza.store.postgres import Connected, Postgres, outages

log = structlog.get_logger("plaza.bus")
CHANNEL = "plaza"
LARGEST = 7_900
"""Bytes of one notification; PostgreSQL allows 8,000."""
MOST_WAITING = 10_000
"""Messages kept while the store is away; older ones are dropped, the log has what matters."""

FLUSH_SECONDS = 2.0
"""How long a process that stops gives the store to take its last messages."""


class Letter(msgspec.Struct, frozen=True):
    """What one notification carries: from which process, and the messages, or where the only one lies."""

    node: int
    messages: list[msgspec.Raw] = []
    stored: int | None = None


NOTIFY = Statement("bus.notify", str, f"select pg_notify('{CHANNEL}', :letter)::text", tenant=False)
KEEP = Statement(
    "bus.keep",
    int,
    """
    with old as (delete from bus_letter where id < (select max(id) - 1000 from bus_letter))
    insert into bus_letter (body) values (:body) returning id
    """,
    tenant=False,
)
FETCH = Statement("bus.fetch", bytes, "select body from bus_letter where id = :id", tenant=False)


class PostgresBus:
    """Hears every process; its own messages at once, without the detour."""

    def __init__(self, store: Postgres, node: int) -> None:
        self._store = store
        self._node = node
        self._hearers: list[Hear] = []
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._wake = asyncio.Event()

    def publish(self, message: bytes) -> None:
        """Hands the message to this process now and to the others soon."""
        for hear in self._hearers:
            hear(message)
        self._waiting.append(message)
        self._wake.set()

    def subscribe(self, hear: Hear) -> None:
        """Adds a listener."""
        self._hearers.append(hear)

    async def run(self) -> None:
        """Speaks and hears until cancelled; reconnects when the store comes back."""
        while True:
            try:
                with outages():
                    db = await self._store.connect()
                try:
                    await self._serve(db)
                finally:
                    db.connection.terminate()
            except Unavailable:
                log.warning("bus.waits")
                await asyncio.sleep(0.5)

    async def flush(self) -> None:
        """Waits until the others have been told what waits."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                while self._waiting:  # noqa: ASYNC110 — once in the life of a process
                    await asyncio.sleep(0.01)

    async def _serve(self, db: Connected) -> None:
        lost = asyncio.Event()

        def lose(_connection: object) -> None:
            lost.set()
            self._wake.set()

        db.connection.add_termination_listener(lose)
        with outages():
            await db.connection.add_listener(CHANNEL, self._receive)
        reading = asyncio.create_task(self._read())
        try:
            while not lost.is_set():
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and not lost.is_set():
                    with outages():
                        await self._speak(db)
            raise Unavailable
        finally:
            reading.cancel()

    async def _speak(self, db: Connected) -> None:
        first = self._waiting[0]
        if len(first) > LARGEST - 64:
            place: int = await db.one(KEEP, body=first)
            letter, taken = Letter(self._node, stored=place), 1
        else:
            sizes = itertools.accumulate(len(message) + 1 for message in self._waiting)
            taken = max(1, sum(1 for _ in itertools.takewhile(lambda size: size < LARGEST - 64, sizes)))
            letter = Letter(self._node, [msgspec.Raw(m) for m in itertools.islice(self._waiting, taken)])
        await db.all(NOTIFY, letter=msgspec.json.encode(letter).decode())
        for _ in range(taken):
            self._waiting.popleft()

    def _receive(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        self._heard.put_nowait(str(payload))

    async def _read(self) -> None:
        while True:
            letter = msgspec.json.decode(await self._heard.get(), type=Letter)
            if letter.node == self._node:
                continue
            messages = [bytes(message) for message in letter.messages]
            if letter.stored is not None:
                try:
                    body = await self._store.maybe(FETCH, id=letter.stored)
                except Unavailable:
                    body = None
                messages = [] if body is None else [body]
            for message in messages:
                for hear in self._hearers:
                    hear(message)
