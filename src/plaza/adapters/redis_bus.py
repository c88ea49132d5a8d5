"""The bus of a server on several machines: Redis or Valkey, publish and subscribe.

Two connections, one to speak and one to hear, and no wait without an end: a server that answers nothing any more is
given up after half a second by who speaks, within two by who hears.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import msgspec
from redis.asyncio.connection import AbstractConnection

from plaza.adapters.bus_queue import SERVER, Letter, Outgoing, Pause
from plaza.adapters.redis_address import TROUBLE, pool
from plaza.kernel.ports import Hear

TIMEOUT_SECONDS = 0.5
"""For a connection, a write, an answer."""
PING_SECONDS = 1.0
"""A server that has said nothing for so long is asked, and given up after as long again."""
FOLLOW_SECONDS = 0.5
BATCH_BYTES = 256 << 10


class RedisBus:
    """Channels of a Redis; those of other databases of the same server are others."""

    def __init__(self, url: str, node: int) -> None:
        self.heard: Counter[str] = Counter()
        """Letters of others that came in, by channel."""
        self._node = node
        self._pool = pool(url, TIMEOUT_SECONDS)
        # Publish and subscribe know no databases: the number keeps several servers on one Redis apart.
        self._prefix = f"plaza:{self._pool.connection_kwargs.get('db', 0)}:"
        self._hear: Hear
        self._missed: Callable[[], None]
        self._outgoing = Outgoing()
        self._wanted = {SERVER}
        self._sound: set[str] = set()
        self._expected: dict[str, asyncio.Event] = {}
        self._ear: AbstractConnection | None = None
        self._speaks = False

    def publish(self, channel: str, message: bytes) -> None:
        """Sends it soon."""
        self._outgoing.put(channel, message)

    def subscribe(self, hear: Hear, missed: Callable[[], None]) -> None:
        """Who is called."""
        self._hear, self._missed = hear, missed

    def hears(self, channel: str) -> bool:
        """Whether the server has confirmed it, on a connection that still stands."""
        return channel in self._sound

    async def follow(self, channel: str) -> None:
        """Subscribes; while the server is away it is only noted."""
        self._wanted.add(channel)
        if channel in self._sound or self._ear is None:
            return
        confirmed = self._expected.setdefault(channel, asyncio.Event())
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(FOLLOW_SECONDS):
                await self._ask(self._ear, "SUBSCRIBE", [channel])
                await confirmed.wait()

    async def unfollow(self, channel: str) -> None:
        """Unsubscribes."""
        self._wanted.discard(channel)
        self._sound.discard(channel)
        self.heard.pop(channel, None)
        if self._ear is not None:
            with contextlib.suppress(*TROUBLE):
                await self._ask(self._ear, "UNSUBSCRIBE", [channel])

    async def run(self) -> None:
        """Speaks and hears until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keep("speak", self._speak))
            both.create_task(self._keep("hear", self._listen))

    async def flush(self) -> None:
        """Waits until the others have been told what waits, if there is a way to."""
        if self._speaks:
            await self._outgoing.flush()

    async def _keep(self, what: str, work: Callable[[AbstractConnection, Pause], Awaitable[None]]) -> None:
        """One connection after another."""
        pause = Pause(what)
        while True:
            connection: AbstractConnection = self._pool.make_connection()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                await work(connection, pause)
            except TROUBLE as error:
                pause.begin(error)
            finally:
                with contextlib.suppress(*TROUBLE):
                    await connection.disconnect(nowait=True)
            await pause.sleep()

    # To speak.

    async def _speak(self, connection: AbstractConnection, pause: Pause) -> None:
        self._speaks = True
        while True:
            await self._outgoing.wait()
            if self._outgoing.lossy:
                # Before what comes next, on the same connection: who hears it looks into the log.
                await self._send(connection, [(SERVER, Letter(self._node, lost=True))])
                self._outgoing.lossy = False
            parcels = self._outgoing.take(BATCH_BYTES)
            try:
                await self._send(connection, [(name, Letter.of(self._node, several)) for name, several in parcels])
            except BaseException:
                self._speaks = False
                self._outgoing.back()
                raise
            self._outgoing.sent()
            pause.over()

    async def _send(self, connection: AbstractConnection, letters: Iterable[tuple[str, Letter]]) -> None:
        commands = [("PUBLISH", self._prefix + channel, msgspec.json.encode(letter)) for channel, letter in letters]
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        for _ in commands:
            await connection.read_response()

    # To hear.

    async def _ask(self, connection: AbstractConnection, verb: str, channels: Iterable[str]) -> None:
        names = [self._prefix + channel for channel in channels]
        await connection.send_packed_command(connection.pack_command(verb, *names), check_health=False)

    async def _listen(self, connection: AbstractConnection, pause: Pause) -> None:
        self._ear, first = connection, set(self._wanted)
        try:
            await self._ask(connection, "SUBSCRIBE", first)
            pinged = False
            while True:
                answer = await connection.read_response(timeout=PING_SECONDS)
                if answer is None and pinged:
                    raise TimeoutError
                if answer is None:
                    await connection.send_packed_command(connection.pack_command("PING"), check_health=False)
                pinged = answer is None
                if answer is not None and self._take(answer) and first and first & self._wanted <= self._sound:
                    first = set()
                    pause.over()
                    self._missed()
        finally:
            self._ear = None
            self._sound.clear()

    def _take(self, answer: Any) -> bool:
        """One push of the server; whether it confirmed a channel."""
        kind, name, *rest = cast("list[bytes]", answer)
        channel = name.decode().removeprefix(self._prefix)
        if kind == b"message":
            self._open(channel, rest[0])
        elif kind == b"subscribe" and channel in self._wanted:
            self._sound.add(channel)
            if waiting := self._expected.pop(channel, None):
                waiting.set()
        return kind == b"subscribe"

    def _open(self, channel: str, body: bytes) -> None:
        letter = Letter.read(body)
        if letter.node == self._node:
            return
        self.heard[channel] += 1
        if letter.lost:
            self._missed()
        for message in letter.messages:
            self._hear(bytes(message))
