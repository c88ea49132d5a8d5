"""The largest legal records, and older ones that were larger, through every queue on both transports (F3, D4)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import httpx2
import msgspec
import pytest
import socketio

from tests.faults.length import length
from tests.faults.people import Community, Person, community
from tests.faults.proxy import BadWay
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served, serving
from tests.faults.wire import NAMESPACE
from tests.world import leave

LARGEST, OLD = 65_536, 150_000
ROUNDS = length(3, 30)
AWAY, LIVE = 24, 6
SLOW = 4_000_000
"""Bytes a second of a reader that is much slower than the server writes."""
TRANSPORTS = ("websocket", "polling")


class Device:
    """A socket of the official client over one transport, with what it heard since it was opened."""

    def __init__(self, person: Person, transport: str) -> None:
        self.person = person
        self.heard: list[tuple[str, Any]] = []
        self.lost = False
        self._transport = transport
        self._news = asyncio.Event()

    async def open(self, port: int) -> Device:
        """Comes in."""
        self._http = aiohttp.ClientSession()
        self.client = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self.client.on("*", self._hear, namespace=NAMESPACE)
        self.client.on("disconnect", self._leave, namespace=NAMESPACE)
        auth = {"token": self.person.token, "orgId": self.person.org}
        await self.client.connect(
            f"http://127.0.0.1:{port}", namespaces=[NAMESPACE], transports=[self._transport], auth=auth, wait_timeout=10
        )
        await self.until(lambda: bool(self.all("authenticate")))
        return self

    async def _hear(self, event: str, *args: Any) -> None:
        self.heard.append((event, args[0] if args else None))
        self._news.set()

    async def _leave(self, *_reason: object) -> None:
        self.lost = True

    def all(self, event: str) -> list[Any]:
        """The payloads of an event."""
        return [payload for name, payload in self.heard if name == event]

    def messages(self) -> list[str]:
        """The ids of the messages that it heard, in the order of their places: one that came live was replayed too."""
        placed = {int(message["cursor"]): message["id"] for message in self.all("newMessage")}
        return [placed[place] for place in sorted(placed)]

    async def until(self, truth: Any) -> None:
        """Waits until something is true of what it heard."""
        async with asyncio.timeout(30):
            while not truth():
                self._news.clear()
                await self._news.wait()

    async def resume(self, cursor: str) -> tuple[str, int]:
        """Everything behind a cursor; the cursor then, and how often it had to ask."""
        asked, more = 0, True
        while more:
            answer = await self.client.call("sync", {"since": cursor}, namespace=NAMESPACE, timeout=30)
            assert (answer["success"], answer["reset"]) == (True, False)
            cursor, more, asked = answer["cursor"], answer["hasMore"], asked + 1
        return cursor, asked

    async def close(self) -> None:
        """Leaves."""
        await leave(self.client, self._http)


def record(to: Person, number: int) -> dict[str, Any]:
    """A message whose record takes close to the most that one may."""
    files = [{"url": "https://files.test/" + "a" * 1_700, "name": f"{number}"}] * 19
    return {"to": to.email, "content": "漢" * 10_000, "attachments": files}


def size(message: dict[str, Any]) -> int:
    """Bytes of a record without the card of its sender and its cursor."""
    left_out = ("fromInfo", "cursor")
    return len(msgspec.json.encode({name: value for name, value in message.items() if name not in left_out}))


@contextlib.asynccontextmanager
async def devices(person: Person, port: int) -> AsyncIterator[list[Device]]:
    """Somebody's devices, one for each transport."""
    opened = [await Device(person, transport).open(port) for transport in TRANSPORTS]
    try:
        yield opened
    finally:
        for device in opened:
            await device.close()


async def send(http: httpx2.AsyncClient, to: Person, count: int) -> list[str]:
    """Writes so many of the largest messages; their ids."""
    sent = []
    for number in range(count):
        answer = await http.post(MESSAGES, json=record(to, number))
        assert answer.status_code == 201, answer.text
        assert LARGEST * 0.95 < size(answer.json()) <= LARGEST
        sent.append(answer.json()["id"])
    return sent


async def age(database_url: str, ids: list[str]) -> None:
    """Makes messages those of a version that had no limit for all of a record."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "update message set content = repeat('x', $2), size = null where id = any($1)", list(map(int, ids)), OLD
        )
    finally:
        await connection.close()


async def test_the_largest_records_pass_every_queue_on_both_transports(tmp_path: Path) -> None:
    async with serving(Served(tmp_path / "plaza")) as (served,):
        people = await community(served.database_url)
        for number in range(ROUNDS):
            await one_round(served, people, number)
        assert served.broken() == []


async def one_round(served: Served, people: Community, number: int) -> None:
    """Live, away with a replay, away with a replay of older ones to a slow reader, and the whole history."""
    anna, bert = people.people(f"anna{number}", f"bert{number}")
    headers = anna.headers
    async with httpx2.AsyncClient(base_url=served.url, headers=headers, timeout=20) as http:
        async with devices(bert, served.port) as there, devices(anna, served.port) as own:
            cursor = there[0].all("authenticate")[0]["cursor"]
            live = await send(http, bert, LIVE)
            for device, event in [*((one, "newMessage") for one in there), *((one, "messageSent") for one in own)]:
                await device.until(lambda device=device, event=event: len(device.all(event)) == LIVE)
                assert [message["id"] for message in device.all(event)] == live
                assert not device.lost
        missed = await send(http, bert, AWAY)
        await replayed(served.port, bert, cursor, live + missed)
        await age(served.database_url, live + missed)
        async with BadWay(served.port, rate=SLOW) as way:
            await replayed(way.port, bert, cursor, live + missed)
        await whole_history(http, bert, live + missed)


async def replayed(port: int, person: Person, cursor: str, ids: list[str]) -> None:
    """Everything comes in order on both transports, in several pages, and nobody is closed."""
    async with devices(person, port) as there:
        for device in there:
            _, asked = await device.resume(cursor)
            assert device.messages() == ids
            assert asked > 3
            assert not device.lost


async def whole_history(http: httpx2.AsyncClient, peer: Person, ids: list[str]) -> None:
    """Page after page, each at most 1 MiB."""
    found: list[str] = []
    cursor = ""
    while True:
        answer = await http.get(f"{MESSAGES}/thread/{peer.email}{cursor}")
        assert answer.status_code == 200, answer.text
        assert len(answer.content) <= 1 << 20
        page = answer.json()
        found += [message["id"] for message in page["data"]]
        if not page["hasNext"]:
            break
        assert page["data"]
        cursor = f"?cursor={page['nextCursor']}"
    assert found == ids[::-1]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_twenty_large_messages_at_once_leave_sync_whole(tmp_path: Path, transport: str) -> None:
    """F3's own input: the socket may be closed for reading too slowly; after that `sync` completes."""
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        anna, bert = faults.people("anna", "bert")
        async with httpx2.AsyncClient(base_url=served.url, headers=anna.headers, timeout=20) as http:
            device = await Device(bert, transport).open(served.port)
            cursor = device.all("authenticate")[0]["cursor"]
            sent = await send(http, bert, 20)
            await device.close()
            device = await Device(bert, transport).open(served.port)
            await device.resume(cursor)
            assert device.messages() == sent
            assert not device.lost
            await device.close()
        assert served.broken() == []
