"""A crowd of sockets in a process of its own: they come, listen, are cut off, and come back."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from tests.faults.child import Child, obey
from tests.faults.people import Person
from tests.faults.wire import NAMESPACE

AT_ONCE = 100
"""On their way in at one moment when the crowd comes in good order."""
GIVE_UP_SECONDS = 20.0
"""The official client's `timeout`."""
_ENTERED = f"40{NAMESPACE}".encode()
_PING, _PONG = b"\x81\x012", b"\x81\x81\0\0\0\x003"


class Member(asyncio.Protocol):
    """One socket that answers pings and counts what it hears; it has an address of its own, as a person at home has."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, number: int, auth: str) -> None:
        self.inside = False
        self.address = f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"
        self._crowd = crowd
        self._auth = auth.encode()
        self._rest = b""
        self._greeted = False
        self._attempts = 0

    async def come(self) -> None:
        """Tries once to connect; what becomes of it is heard later."""
        self._greeted, self._rest = False, b""
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: self, "127.0.0.1", self._crowd.port, local_addr=(self.address, 0)
                )
        except OSError:
            self._crowd.count["unreachable"] += 1
            self._again()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + base64.b64encode(os.urandom(16))
            + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        """Takes frames apart, no further than it must."""
        data = self._rest + data
        at = 0 if self._greeted else self._greet(data)
        end = len(data)
        while at + 2 <= end:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if start + size > end:
                break
            if size == 1 or not self.inside:
                self._take(data[start : start + size])
            self._crowd.heard += 1
            at = start + size
        self._rest = data[at:]

    def _greet(self, data: bytes) -> int:
        head, _, _ = data.partition(b"\r\n\r\n")
        if data.startswith(b"HTTP/1.1 101"):
            self._greeted = True
            size = len(self._auth)
            self.transport.write(b"\x81\xfe" + size.to_bytes(2, "big") + b"\0\0\0\0" + self._auth)
            return len(head) + 4
        self._crowd.count[data[9:12].decode()] += 1
        self._crowd.count["retry-after"] += b"\r\nRetry-After: " in head
        self.transport.close()
        return len(data)

    def _take(self, payload: bytes) -> None:
        if payload == b"2":
            self.transport.write(_PONG)
        elif payload.startswith(_ENTERED):
            self.inside = True
            self._attempts = 0
            self._crowd.entered()
        elif payload.startswith(b"44"):
            self._crowd.count[payload.decode()] += 1
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Comes again, as the official client does, where the crowd wants that."""
        if self.inside:
            self.inside = False
            self._crowd.inside -= 1
        self._again()

    def _again(self) -> None:
        delay = self._crowd.delay(self._attempts)
        self._attempts += 1
        if delay is not None:
            self._crowd.later(delay, self)


class Crowd:
    """The members, and how they come back: `patient` as Socket.IO's client by default, `rude` without delay."""

    def __init__(self, port: int, auths: Sequence[str], first: int) -> None:
        self.port = port
        self.count: Counter[str] = Counter()
        self.heard = 0
        self.inside = 0
        self.members = [Member(self, first + number, auth) for number, auth in enumerate(auths)]
        self._manner = "absent"
        self._complete = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Queue[None] = asyncio.Queue()

    def delay(self, attempts: int) -> float | None:
        """Seconds until the next attempt: Socket.IO's are 1, 2, 4, 5, each half less to half more, never over 5."""
        if self._manner != "patient":
            return 0.0 if self._manner == "rude" else None
        return min(2.0**attempts * random.uniform(0.5, 1.5), 5.0)

    def later(self, delay: float, member: Member) -> None:
        """Lets a member come after so many seconds."""
        asyncio.get_running_loop().call_later(delay, self._come, member)

    def _come(self, member: Member) -> None:
        task = asyncio.get_running_loop().create_task(member.come())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def entered(self) -> None:
        """One more is in."""
        self.inside += 1
        self._waiting.put_nowait(None)
        if self.inside == len(self.members):
            self._complete.set()

    async def come(self) -> dict[str, Any]:
        """Everybody comes, a few at a time; who is not let in tries again."""
        began = time.monotonic()
        self._manner = "patient"
        coming = iter(self.members)
        for member in itertools.islice(coming, AT_ONCE):
            self._come(member)
        for _ in self.members:
            await self._waiting.get()
            for member in itertools.islice(coming, 1):
                self._come(member)
        self._manner = "absent"
        return self._seen(began)

    async def storm(self, manner: str, seconds: float) -> dict[str, Any]:
        """Everybody is cut off in one moment and comes back."""
        self._manner, self.count, self.heard = manner, Counter(), 0
        self._complete.clear()
        began = time.monotonic()
        for member in self.members:
            member.transport.abort()
        try:
            async with asyncio.timeout(seconds):
                await self._complete.wait()
        except TimeoutError:
            pass
        self._manner = "absent"
        return self._seen(began)

    async def look(self) -> dict[str, Any]:
        """How many are in."""
        return self._seen(time.monotonic())

    def _seen(self, began: float) -> dict[str, Any]:
        taken = time.monotonic() - began
        cpu = time.process_time()
        return {"inside": self.inside, "seconds": taken, "heard": self.heard, "cpu": cpu, "count": self.count}


def auth(person: Person) -> str:
    """The packet with which somebody asks to be let in."""
    return f"40{NAMESPACE},{json.dumps({'token': person.token, 'orgId': person.org})}"


def crowd(port: int, people: Sequence[Person], first: int = 0) -> Child:
    """A crowd of these people in a process of its own: `come`, `storm` or `look`."""
    return Child(__name__, port, [auth(person) for person in people], first)


if __name__ == "__main__":
    obey(Crowd)
