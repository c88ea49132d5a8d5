"""Who reads too slowly is closed, costs nobody anything, and comes back without a gap (guarantee G13)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import httpx2

from tests.faults.child import Child
from tests.faults.length import length
from tests.faults.people import Person, community
from tests.faults.proxy import SMALL, BadWay
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served, serving
from tests.faults.watch import memory, p99
from tests.faults.wire import Line

STUCK, READING = 20, 4
EVENTS, SIZE, EACH_SECOND = length(1_000, 50_000), 1_000, 1_000
ROUNDS = 3
TYPING = 40
MARGIN_SECONDS = length(0.1, 0.02)
"""What other work on the machine may take."""
EVENT, PING = b'42["water",', b"\x81\x012"


async def test_sockets_that_stop_reading_are_closed_and_the_room_does_not_notice() -> None:
    """F-SLOW-1: 20 sockets stop reading in a room that gets many events of 1 kB.

    Each closed within 2 s after its queue fills; server RSS + 30 MB at most; other readers' p99 unchanged within 20 %,
    in the best of three rounds with and of three without them (and a margin).
    """
    async with Child("tests.faults.garden") as garden:
        port = (await garden.ask("open"))["port"]
        delays: dict[int, list[float]] = {0: [], STUCK: []}
        async with readers(port) as heard:
            await garden.ask("water", EVENTS, SIZE, EACH_SECOND)
            before = memory(garden.pid)
            for stuck in (0, STUCK) * ROUNDS:
                heard.clear()
                connections = [await asyncio.to_thread(come, port, SMALL) for _ in range(stuck)]
                await garden.ask("water", EVENTS, SIZE, EACH_SECOND)
                await asyncio.sleep(0.7)
                seen = await garden.ask("look")
                delays[stuck].append(p99(heard))
                assert [reason for reason, _ in seen["closed"]] == ["slow_consumer"] * stuck
                assert all(after <= filled() + 2 for _, after in seen["closed"])
                assert seen["here"] == READING
                assert seen["parting"] == 0
                assert len(heard) == READING * EVENTS
                for connection in connections:
                    await asyncio.to_thread(ended, connection)
            grown = memory(garden.pid) - before
        alone, beside = min(delays[0]), min(delays[STUCK])
        print(f"p99 alone {alone * 1000:.1f} ms, beside them {beside * 1000:.1f} ms; {grown:+.1f} MB")
        assert grown <= 30
        assert beside <= alone * 1.2 + MARGIN_SECONDS


def filled() -> float:
    """Seconds of watering after which a queue is full, at the latest: 256 events behind what the kernels take."""
    return (256 + 600_000 / SIZE) / EACH_SECOND


class Ear(asyncio.Protocol):
    """A socket that reads, and notes how many seconds each event took."""

    transport: asyncio.Transport

    def __init__(self, heard: list[float]) -> None:
        self._heard = heard
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is in already."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Looks for the beginnings of events, which is all that matters here, and answers pings."""
        now, at = time.monotonic(), 0
        if PING in data:
            self.transport.write(b"\x81\x81\0\0\0\x003")
        data = self._rest + data
        while (start := data.find(EVENT, at)) >= 0 and (end := data.find(b",", start + len(EVENT))) >= 0:
            self._heard.append(now - float(data[start + len(EVENT) : end]))
            at = end
        self._rest = data[start if start >= 0 else max(at, len(data) - len(EVENT)) :]


@contextlib.asynccontextmanager
async def readers(port: int) -> AsyncIterator[list[float]]:
    """Those who read; the seconds that each event took to each of them."""
    heard: list[float] = []
    ears = []
    for _ in range(READING):
        connection = await asyncio.to_thread(come, port)
        connection.setblocking(False)
        ears.append((await asyncio.get_running_loop().create_connection(lambda: Ear(heard), sock=connection))[1])
    yield heard
    for ear in ears:
        ear.transport.close()
    await asyncio.sleep(0)


def come(port: int, buffer: int | None = None) -> socket.socket:
    """A socket that has come in and reads nothing yet; with a receive buffer of so many bytes."""
    connection = socket.socket()
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    connection.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert connection.recv(1_000).startswith(b"HTTP/1.1 101")
    connection.sendall(b"\x81\x82\0\0\0\x0040")
    return connection


def ended(connection: socket.socket) -> None:
    """Reads what is left, which ends."""
    with connection, contextlib.suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass


class Device:
    """A socket of somebody over some way, with everything that it heard."""

    line: Line

    def __init__(self, person: Person) -> None:
        self.person = person
        self.heard: list[tuple[str, Any]] = []

    async def open(self, port: int) -> Device:
        """Comes in."""
        self.line = await Line.open(port, self.person, lambda event, payload: self.heard.append((event, payload)))
        await self.hears(lambda: self.cursor is not None)
        return self

    @property
    def cursor(self) -> str | None:
        """Where to go on: of the newest of those events that came in order."""
        cursors = [payload["cursor"] for _, payload in self.heard if isinstance(payload, dict) and "cursor" in payload]
        return str(max(map(int, cursors))) if cursors else None

    def all(self, event: str, field: str) -> list[str]:
        """One field of each event of a name."""
        return [payload[field] for name, payload in self.heard if name == event]

    async def hears(self, truth: Callable[[], bool]) -> None:
        """Waits until something is true."""
        async with asyncio.timeout(20):
            while not truth():
                await asyncio.sleep(0.01)

    async def resume(self, port: int) -> None:
        """Comes again, and takes in what it missed; what came live meanwhile is replayed, too, and counts once."""
        cursor, more, known = self.cursor, True, len(self.heard)
        self.line = await Line.open(port, self.person, lambda event, payload: self.heard.append((event, payload)))
        while more:
            answer = await self.line.ask("sync", {"since": cursor})
            assert (answer["success"], answer["reset"]) == (True, False)
            cursor, more = answer["cursor"], answer["hasMore"]
        since = self.heard[known:]
        placed = {int(payload["cursor"]): (name, payload) for name, payload in since if name == "newMessage"}
        self.heard[known:] = [placed[place] for place in sorted(placed)]


async def test_who_was_closed_for_not_reading_comes_back_without_a_gap(tmp_path: Path) -> None:
    """F-SLOW-1 through the whole server: each of 20 sockets that stop reading is closed, and resumes by its cursor."""
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        anna, bert, dora = faults.people("anna", "bert", "dora")
        async with BadWay(served.port) as way, client(served, anna) as http:
            devices = [await Device(person).open(way.port) for person in (bert, dora) for _ in range(STUCK // 2)]
            sent = {bert: await send(http, bert, 3), dora: await send(http, dora, 3)}
            way.set(0)
            async with asyncio.timeout(60):
                while len(closed(served)) < STUCK:
                    for peer in sent:
                        sent[peer] += await send(http, peer, 20)
            assert closed(served) == ["slow_consumer"] * STUCK
            way.set(None)
            for device in devices:
                await asyncio.wait_for(device.line.closed.wait(), 5)
                await device.resume(served.port)
                assert device.all("newMessage", "id") == sent[device.person]
                await device.line.close()
        assert served.broken() == []


async def test_a_slow_reader_loses_typing_first_and_no_message(tmp_path: Path) -> None:
    """F-SLOW-2: a reader at 1 kB/s gets typing dropped first; no message is lost (closed, then resumed)."""
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        anna, bert = faults.people("anna", "bert")
        async with BadWay(served.port) as way, client(served, anna) as http:
            slow, quick = await Device(bert).open(way.port), await Device(bert).open(served.port)
            way.set(1_000)
            most = 0
            sent: list[str] = []
            while not closed(served):
                sent += await send(http, bert, 1)
                most += 1
            assert closed(served) == ["slow_consumer"]
            way.set(None)
            await asyncio.wait_for(slow.line.closed.wait(), 5)
            await slow.resume(way.port)
            assert slow.all("newMessage", "id") == sent

            way.set(1_000)
            typing = [await Device(person).open(served.port) for person in faults.people(*names(TYPING))]
            sent += await send(http, bert, most // 2 - TYPING // 4)
            for device in typing:
                sent += await send(http, bert, 1)
                assert await device.line.ask("typing", {"to": bert.email}) == {"success": True}
            await quick.hears(lambda: len(quick.all("typing", "from")) == len(typing))
            way.set(None)
            await slow.hears(lambda: len(slow.all("newMessage", "id")) == len(sent))
            heard = slow.all("typing", "from")
            print(f"closed after {most} messages; heard {len(heard)} of {len(typing)} who typed, and every message")
            assert slow.all("newMessage", "id") == quick.all("newMessage", "id") == sent
            assert heard == [device.person.email for device in typing][: len(heard)]
            assert 0 < len(heard) <= len(typing) - 10
            assert closed(served) == ["slow_consumer"]
        assert served.broken() == []


def names(count: int) -> list[str]:
    """Names of so many people."""
    return [f"typist{number}" for number in range(count)]


def client(served: Served, person: Person) -> httpx2.AsyncClient:
    """Somebody's HTTP client."""
    return httpx2.AsyncClient(base_url=served.url, headers=person.headers, timeout=20)


async def send(http: httpx2.AsyncClient, to: Person, count: int) -> list[str]:
    """Writes some long messages; their ids."""
    sent: list[str] = []
    for _ in range(count):
        answer = await http.post(MESSAGES, json={"to": to.email, "content": "so much to say " * 550})
        assert answer.status_code == 201, answer.text
        sent.append(answer.json()["id"])
    return sent


def closed(served: Served) -> list[str]:
    """Why the server has closed sockets so far."""
    return [line["reason"] for line in served.said("socket.closed")]
