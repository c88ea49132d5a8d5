"""A right that has ended ends on open sockets too, and loudly (guarantee G11)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.people import Person, community
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served, serving
from tests.faults.wire import KeptOut, Line

ME = "/client/community/people/me"


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


@contextlib.asynccontextmanager
async def chatter(port: int, person: Person, *to: Person) -> AsyncIterator[None]:
    """Somebody who goes on writing to some people all the while."""

    async def write() -> None:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=person.headers) as http:
            while True:
                for peer in to:
                    await http.post(MESSAGES, json={"to": peer.email, "content": "are you still there?"})
                await asyncio.sleep(0.03)

    writing = asyncio.create_task(write())
    try:
        yield
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


async def get(port: int, path: str, person: Person) -> tuple[int, str | None]:
    """Status and reason of a request."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=person.headers) as http:
        answer = await http.get(path)
        return answer.status_code, answer.json().get("reason")


async def test_a_socket_whose_token_expires_is_told_and_closed_and_hears_nothing_more(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-1: token expires while socket is open: `token_expired` then closed <= 2 s after `exp`; no event after."""
    async with serving(Served(tmp_path / "plaza", database_url=fresh_database_url)) as (served,):
        faults = await community(fresh_database_url)
        anna, dora = faults.people("anna", "dora")
        expires = int(time.time()) + 4
        bert = faults.person("bert", seconds=4)
        device, other = [await Device(person, served.port).open() for person in (bert, dora)]
        async with chatter(served.port, anna, bert, dora):
            await asyncio.wait_for(device.line.closed.wait(), 8)
            closed = time.time()
            assert await get(served.port, ME, bert) == (401, "auth.token_expired")
            with pytest.raises(KeptOut) as kept_out:
                await device.open()
            await asyncio.sleep(0.5)
        (told,) = device.at("token_expired")
        print(f"told {told - expires:+.2f} s, closed {closed - expires:+.2f} s after exp")
        assert expires <= told <= closed <= expires + 2
        assert kept_out.value.args[1]["code"] == "auth.token_expired"
        assert device.heard[-1][1] == "token_expired"
        assert device.line.reason == "token_expired"
        assert len(device.at("newMessage")) > 20
        assert max(other.at("newMessage")) > closed
        assert not other.line.closed.is_set()
        await other.line.close()
        assert served.broken() == []


@pytest.mark.parametrize("store", ["private", "named"])
async def test_a_person_suspended_by_a_command_is_refused_at_once_and_their_socket_closed(
    store: str, tmp_path: Path, fresh_database_url: str
) -> None:
    """F-TOK-2, as far as there is a command for it: user suspended by `plaza person suspend`, another process.

    REST refused at the next request; socket closed within 10 s; no event after; nobody else is touched.
    """
    named = fresh_database_url if store == "named" else None
    async with serving(Served(tmp_path / "plaza", database_url=named)) as (served,):
        faults = await community(served.database_url)
        anna, bert, dora = faults.people("anna", "bert", "dora")
        device, other = [await Device(person, served.port).open() for person in (bert, dora)]
        async with chatter(served.port, anna, bert, dora):
            assert await get(served.port, ME, bert) == (200, None)
            await suspend(served, bert)
            suspended = time.time()
            assert await get(served.port, ME, bert) == (403, "person.suspended")
            await asyncio.wait_for(device.line.closed.wait(), 10)
            closed = time.time()
            await asyncio.sleep(0.5)
        print(f"closed {closed - suspended:.2f} s after the command had ended")
        assert max(at for at, _, _ in device.heard) <= closed
        assert device.line.reason == "revoked"
        assert max(other.at("newMessage")) > closed
        assert not other.line.closed.is_set()
        await other.line.close()
        with pytest.raises(KeptOut) as kept_out:
            await device.open()
        assert kept_out.value.args[1]["code"] == "person.suspended"
        assert served.broken() == []


async def suspend(served: Served, person: Person) -> None:
    """The operator's command, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "plaza",
        "person",
        "suspend",
        person.email,
        "--org",
        person.org,
        *served.store_options,
    ]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
