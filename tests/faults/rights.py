"""What the tests of rights share: devices that listen, somebody who goes on writing, commands, and accounts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import httpx2

from tests.faults.people import Person
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served
from tests.faults.wire import Line

ME = "/client/community/people/me"
PASSWORD = "correct horse 1"


class Device:
    """A socket that writes down what it hears, and when."""

    line: Line

    def __init__(self, person: Person, port: int) -> None:
        self.heard: list[tuple[float, str, Any]] = []
        self.person = person
        self.port = port

    async def open(self) -> Device:
        """Comes in."""
        self.line = await Line.open(self.port, self.person, self._hear)
        return self

    def _hear(self, event: str, payload: Any) -> None:
        self.heard.append((time.time(), event, payload))

    def at(self, event: str) -> list[float]:
        """When it heard an event."""
        return [at for at, name, _ in self.heard if name == event]

    def all(self, event: str) -> list[Any]:
        """The payloads of an event."""
        return [payload for _, name, payload in self.heard if name == event]


async def devices(person: Person, servers: Sequence[Served]) -> list[Device]:
    """One at each server."""
    return [await Device(person, served.port).open() for served in servers]


async def all_closed(some: Sequence[Device], since: float, within: float) -> float:
    """Waits until the server has closed them all as `revoked`; how many seconds that took."""
    for device in some:
        await asyncio.wait_for(device.line.closed.wait(), max(0.0, since + within - time.time()))
        assert device.line.reason == "revoked"
    return time.time() - since


@contextlib.asynccontextmanager
async def chatter(port: int, person: Person, *to: Person) -> AsyncIterator[list[int]]:
    """Somebody who goes on writing to some people all the while; the `seq` of what was acknowledged to the first."""
    sent: list[int] = []

    async def write() -> None:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=person.headers) as http:
            while True:
                for peer in to:
                    answer = await http.post(MESSAGES, json={"to": peer.email, "content": "are you still there?"})
                    if peer is to[0] and answer.status_code == 201:
                        sent.append(answer.json()["seq"])
                await asyncio.sleep(0.03)

    writing = asyncio.create_task(write())
    try:
        yield sent
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


async def ask(port: int, method: str, path: str, person: Person, json: Any = None) -> tuple[int, Any]:
    """Status and body of a request."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=person.headers) as http:
        answer = await http.request(method, path, json=json)
        return answer.status_code, answer.json()


async def get(port: int, path: str, person: Person) -> tuple[int, str | None]:
    """Status and reason of a GET."""
    status, body = await ask(port, "GET", path, person)
    return status, body.get("reason")


async def refused(port: int, person: Person, since: float, within: float) -> str:
    """Waits until requests are refused; the reason."""
    while (found := await get(port, ME, person))[0] == 200:
        assert time.time() < since + within, "requests are still answered"
        await asyncio.sleep(0.02)
    return str(found[1])


async def command(served: Served, *words: str) -> float:
    """An operator's command, in a process of its own; when it had ended."""
    line = [sys.executable, "-m", "plaza", *words, *served.store_options]
    done = await asyncio.to_thread(subprocess.run, line, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return time.time()


async def account(served: Served, org: str, name: str) -> Person:
    """Somebody with a built-in account, signed in."""
    email = f"{name}@accounts.test"
    await _enter(served, org, "signup", email=email, password=PASSWORD)
    connection = await asyncpg.connect(served.database_url)
    try:
        text = await connection.fetchval("select text from mail where recipient = $1 order by id desc limit 1", email)
    finally:
        await connection.close()
    found = re.search(r"this code: (\w+)", text)
    assert found is not None
    verified = await _enter(served, org, "verify", email=email, code=found[1], password=PASSWORD)
    return Person(email, org, verified["token"])


async def signed_in(served: Served, person: Person) -> Person:
    """The same person with another session."""
    answer = await _enter(served, person.org, "signin", email=person.email, password=PASSWORD)
    return person._replace(token=answer["token"])


async def _enter(served: Served, org: str, path: str, **body: str) -> Any:
    async with httpx2.AsyncClient(base_url=served.url, headers={"orgid": org}) as http:
        answer = await http.post(f"/profile/customer/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()
