"""One effect, however often it is asked for (guarantee G2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg
import httpx2

from tests.faults.load import relayed
from tests.faults.people import Person, community
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served, serving
from tests.faults.wire import Line

KEY = "the-same-client-id"
DELIVERY = ("status", "deliveredAt")
"""What goes on changing after a message was stored: whether it has reached its recipient."""


async def test_a_client_id_that_arrives_twenty_times_at_once_at_two_processes_has_one_effect(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-IDEM-1: same client id sent 20x concurrently (10 REST + 10 socket, 2 app processes).

    Exactly 1 row, 1 seq, 20 identical answers, 1 notification, 1 event per reader. Each round begins a thread of its
    own; in the last one the recipient is an address that nobody has used, whose person is made once too.
    """
    url = fresh_database_url
    async with serving(*(Served(tmp_path / name, database_url=url) for name in ("one", "two"))) as servers:
        ports = [server.port for server in servers]
        faults = await community(url)
        readers = faults.people("bert", "cleo", "dora", "emil")
        async with Twenty(faults.person("anna"), ports) as senders:
            for number, reader in enumerate(readers):
                await _one_round(senders, reader, url, ahead=bool(number % 2))
            await senders.send("nobody@faults.test")
        assert await _rows(url, "select 1 from person where email = 'nobody@faults.test'") == 1
        assert await _rows(url, "select 1 from message where client_id = $1", KEY) == len(readers) + 1
        assert [server.broken() for server in servers] == [[], []]


async def _one_round(senders: Twenty, reader: Person, url: str, *, ahead: bool) -> None:
    """A reader with a device at each process; with `ahead`, the thread and its first message are there before."""
    ears = [await Ears.of(reader, port) for port in senders.ports]
    if ahead:
        assert (await senders.post(0, {"to": reader.email, "content": "before", "clientId": "before"}))["seq"] == 1
    message = await senders.send(reader.email)
    assert message["seq"] == 1 + ahead
    await relayed(url)
    for one in ears:
        await one.hears("newMessage", 1 + ahead)
        await one.hears("notification", 1 + ahead)
    # What must not come has this long to come.
    await asyncio.sleep(0.3)
    history = await senders.get(f"{MESSAGES}/thread/{senders.person.email}", reader)
    notifications = await senders.get("/client/community/notifications", reader)
    assert [found["id"] for found in history["data"]].count(message["id"]) == 1
    assert [found["target"] for found in notifications["data"]].count(message["id"]) == 1
    assert (history["total"], notifications["total"]) == (1 + ahead, 1 + ahead)
    for one in (*ears, *senders.ears):
        told = [payload["id"] for event, payload in one.heard if event in ("newMessage", "messageSent")]
        assert told.count(message["id"]) == 1
    for one in ears:
        told = [payload["target"] for event, payload in one.heard if event == "notification"]
        assert told.count(message["id"]) == 1
        await one.line.cut()


async def _rows(url: str, query: str, *values: object) -> int:
    connection = await asyncpg.connect(url)
    try:
        return len(await connection.fetch(query, *values))
    finally:
        await connection.close()


class Ears:
    """A socket that only listens."""

    line: Line

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    @classmethod
    async def of(cls, person: Person, port: int) -> Ears:
        """Opens it."""
        ears = cls()
        ears.line = await Line.open(port, person, lambda event, payload: ears.heard.append((event, payload)))
        return ears

    async def hears(self, event: str, count: int) -> None:
        """Waits until an event has come so often."""
        async with asyncio.timeout(5):
            while sum(1 for name, _ in self.heard if name == event) < count:
                await asyncio.sleep(0.01)


class Twenty:
    """One person's ten requests and ten sockets, half of each at either process, and two sockets that only listen."""

    def __init__(self, person: Person, ports: Sequence[int]) -> None:
        self.person = person
        self.ports = list(ports)
        self.ears: list[Ears] = []
        self._lines: list[Line] = []
        self._http = httpx2.AsyncClient(timeout=20, limits=httpx2.Limits(max_connections=20))

    async def __aenter__(self) -> Twenty:
        for port in self.ports:
            self.ears.append(await Ears.of(self.person, port))
            self._lines += [await Line.open(port, self.person, lambda _event, _payload: None) for _ in range(5)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()
        for line in (*self._lines, *(ears.line for ears in self.ears)):
            await line.cut()

    async def send(self, to: str) -> dict[str, Any]:
        """The same message twenty times at once; the answer that all of them got."""
        body = {"to": to, "content": "once", "clientId": KEY}
        answers = await asyncio.gather(
            *(self.post(number, body) for number in range(10)), *(self._ask(line, body) for line in self._lines)
        )
        same = [{name: value for name, value in answer.items() if name not in DELIVERY} for answer in answers]
        assert same == [same[0]] * 20
        return same[0]

    async def post(self, number: int, body: dict[str, str]) -> dict[str, Any]:
        """One request."""
        port = self.ports[number % 2]
        answer = await self._http.post(f"http://127.0.0.1:{port}{MESSAGES}", json=body, headers=self.person.headers)
        assert answer.status_code == 201, answer.text
        message: dict[str, Any] = answer.json()
        return message

    async def _ask(self, line: Line, body: dict[str, str]) -> dict[str, Any]:
        answer = await line.ask("sendMessage", body)
        assert answer["success"], answer
        message: dict[str, Any] = answer["message"]
        return message

    async def get(self, path: str, person: Person) -> dict[str, Any]:
        """What the API shows a person."""
        answer = await self._http.get(f"http://127.0.0.1:{self.ports[0]}{path}", headers=person.headers)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page
