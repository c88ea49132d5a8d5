"""The bus of a server of several processes: PostgreSQL's LISTEN/NOTIFY.

NOTIFY is never part of a write (it would serialise the commits of the whole server): each process gathers what it has
to say and sends it from a connection of its own. A message larger than a notification may be goes through a table.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from plaza.adapters.bus_queue import SERVER, Letter, Outgoing, Parcel, Pause
from plaza.kernel.errors import Unavailable
from plaza.kernel.ports import Hear
from plaza.kernel.sql import Statement
from plaza.store.postgres import Connected, Postgres, outages

log = structlog.get_logger("plaza.bus")
PREFIX = "plaza_"
LARGEST = 7_900
"""Bytes of one notification; PostgreSQL allows 8,000."""
MOST_UNREAD = 10_000
FOLLOW_SECONDS = 1.0


NOTIFY = Statement("bus.notify", str, "select pg_notify(:channel, :letter)::text", tenant=False)
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
    """Channels of a database, which speaks and hears on one connection."""

    def __init__(self, store: Postgres, node: int) -> None:
        self.heard: Counter[str] = Counter()
        """Letters of others that came in, by channel."""
        self._store = store
        self._node = node
        self._hear: Hear
        self._missed: Callable[[], None]
        self._outgoing = Outgoing()
        self._unread: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MOST_UNREAD)
        self._overrun = False
        self._wanted = {SERVER}
        self._sound: set[str] = set()
        self._expected: dict[str, asyncio.Event] = {}

    def publish(self, channel: str, message: bytes) -> None:
        """Sends it soon."""
        self._outgoing.put(channel, message)

    def subscribe(self, hear: Hear, missed: Callable[[], None]) -> None:
        """Who is called."""
        self._hear, self._missed = hear, missed

    def hears(self, channel: str) -> bool:
        """Whether we listen, on a connection that still stands."""
        return channel in self._sound

    async def follow(self, channel: str) -> None:
        """Listens; while the store is away it is only noted."""
        self._wanted.add(channel)
        if channel in self._sound or SERVER not in self._sound:
            return
        listening = self._expected.setdefault(channel, asyncio.Event())
        self._outgoing.news.set()
        try:
            await asyncio.wait_for(listening.wait(), FOLLOW_SECONDS)
        except TimeoutError:
            log.warning("bus.slow")

    async def unfollow(self, channel: str) -> None:
        """Listens no longer, soon."""
        self._wanted.discard(channel)
        self.heard.pop(channel, None)
        self._outgoing.news.set()

    async def run(self) -> None:
        """Speaks and hears until cancelled; reconnects when the store comes back."""
        pause = Pause("speak and hear")
        while True:
            try:
                with outages():
                    db = await self._store.connect()
                try:
                    await self._serve(db, pause)
                finally:
                    self._sound.clear()
                    db.connection.terminate()
            except Unavailable as error:
                pause.begin(error)
            await pause.sleep()

    async def flush(self) -> None:
        """Waits until the others have been told what waits."""
        await self._outgoing.flush()

    async def _serve(self, db: Connected, pause: Pause) -> None:
        lost = asyncio.Event()

        def lose(_connection: object) -> None:
            lost.set()
            self._sound.clear()
            self._outgoing.news.set()

        db.connection.add_termination_listener(lose)
        await self._listen(db)
        self._missed()
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(lose)
        try:
            while not lost.is_set():
                self._outgoing.news.clear()
                await self._listen(db)
                if await self._speak(db):
                    pause.over()
                else:
                    await self._outgoing.news.wait()
            raise Unavailable
        finally:
            reading.cancel()

    async def _listen(self, db: Connected) -> None:
        """Makes what is listened to what is wanted; one connection does one thing at a time."""
        with outages():
            for channel in self._wanted - self._sound:
                await db.connection.add_listener(PREFIX + channel, self._receive)
                self._sound.add(channel)
                if waiting := self._expected.pop(channel, None):
                    waiting.set()
            for channel in self._sound - self._wanted:
                self._sound.discard(channel)
                await db.connection.remove_listener(PREFIX + channel, self._receive)

    # To speak.

    async def _speak(self, db: Connected) -> bool:
        """Sends what waits; whether there was anything."""
        if self._outgoing.lossy:
            # Before what comes next, on the same connection: who hears it looks into the log.
            await self._send(db, SERVER, Letter(self._node, lost=True))
            self._outgoing.lossy = False
        parcels = self._outgoing.take(LARGEST - 64)
        try:
            for parcel in parcels:
                await self._send(db, parcel[0], await self._letter(db, parcel))
        except BaseException:
            self._outgoing.back()
            raise
        self._outgoing.sent()
        return bool(parcels)

    async def _letter(self, db: Connected, parcel: Parcel) -> Letter:
        first = parcel[1][0]
        if len(first) <= LARGEST - 64:
            return Letter.of(self._node, parcel[1])
        with outages():
            place: int = await db.one(KEEP, body=first)
        return Letter(self._node, stored=place)

    async def _send(self, db: Connected, channel: str, letter: Letter) -> None:
        with outages():
            await db.all(NOTIFY, channel=PREFIX + channel, letter=msgspec.json.encode(letter).decode())

    # To hear.

    def _receive(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        if self._unread.full():
            self._overrun = True
        else:
            self._unread.put_nowait((channel.removeprefix(PREFIX), str(payload)))

    async def _read(self) -> None:
        while True:
            channel, body = await self._unread.get()
            letter = Letter.read(body)
            if letter.node == self._node:
                continue
            self.heard[channel] += 1
            messages = [bytes(message) for message in letter.messages]
            if letter.stored is not None:
                messages = await self._fetch(letter.stored)
            if letter.lost or self._overrun or (letter.stored is not None and not messages):
                self._overrun = False
                self._missed()
            for message in messages:
                self._hear(message)

    async def _fetch(self, place: int) -> list[bytes]:
        """The message that a letter was too small for; none when it is gone."""
        try:
            body = await self._store.maybe(FETCH, id=place)
        except Unavailable:
            body = None
        return [] if body is None else [body]
