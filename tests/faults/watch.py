"""What a server takes, and how long it lets people wait, while something happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import httpx2

from tests.faults.people import Person
from tests.faults.servers import Served

MB = 1_000_000


def memory(pid: int) -> float:
    """The resident memory of a process, in megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def cpu(pid: int) -> float:
    """The seconds that a process has had of any core."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def p99(seconds: Sequence[float]) -> float:
    """What one in a hundred is longer than."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


async def seconds_until(true: Callable[[], Awaitable[bool]], within: float) -> float:
    """Asks until something is so; how long that took."""
    begun = time.monotonic()
    async with asyncio.timeout(within):
        while not await true():
            await asyncio.sleep(0.05)
    return time.monotonic() - begun


async def counts(url: str, sockets: int) -> bool:
    """Whether a server has so many sockets, as it says of itself."""
    async with httpx2.AsyncClient(base_url=url) as http:
        found = re.search(r"^plaza_sockets (\S+)", (await http.get("/metrics")).text, re.MULTILINE)
    assert found is not None
    return float(found[1]) == sockets


class Witness:
    """Somebody who goes on using the API, and notes each answer's status and how long it took."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.seconds: list[float] = []
        self.calm = 0
        """How many of them are from before something happened, where a test says so."""
        self.statuses: set[int] = set()

    async def ask(self, request: Awaitable[httpx2.Response]) -> None:
        """One request."""
        began = time.monotonic()
        self.statuses.add((await request).status_code)
        self.seconds.append(time.monotonic() - began)


@contextlib.asynccontextmanager
async def witness(
    served: Served, person: Person, request: Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]], every: float
) -> AsyncIterator[Witness]:
    """Somebody who asks the same again and again, with so many seconds in between."""
    async with httpx2.AsyncClient(base_url=served.url, headers=person.headers, timeout=20) as http:
        one = Witness(http)

        async def go_on() -> None:
            while True:
                await one.ask(request(http))
                await asyncio.sleep(every)

        going = asyncio.create_task(go_on())
        try:
            yield one
        finally:
            going.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await going
