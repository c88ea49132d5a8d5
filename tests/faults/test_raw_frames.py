"""Clients that send anything at all, before they are let in and after: nobody else notices (guarantees, c.4)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from plaza.entry.socket_refusals import MOST_SOCKETS, TooManySockets
from tests.faults import frames
from tests.faults.crowd import auth
from tests.faults.length import length
from tests.faults.people import Person, community
from tests.faults.senders import MESSAGES
from tests.faults.servers import Served, queued, serving
from tests.faults.watch import counts, memory, p99, seconds_until, witness
from tests.faults.wire import Line

SECONDS = length(8.0, 60.0)
CLOSED_SECONDS = length(3.0, 1.0)
"""How long an offender may stay; in short runs other tests have the cores as well, the offenders' own among them."""
MEMBERS, EACH = 6, 3
"""Offenders with a token, and how many sockets each may have at once; they may have ten."""
TRY_AGAIN = (1013).to_bytes(2, "big")
"""How a close frame's payload begins where the server could not let a client in; the reason follows."""
TOO_MANY = TooManySockets.reason
"""The one refusal that offenders bring upon themselves: a socket that they broke off counts among their ten while the
server does not read from it, since what it sent before waits to be worked on."""
GONE_SECONDS = 20.0
"""When all of that has been worked on."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="each offender has an address of its own")


class Fuzzer:
    """Offenders, each from an address of its own; what became of them."""

    def __init__(self, served: Served, member: Person, dice: random.Random) -> None:
        self.late: list[tuple[float, str]] = []
        """Seconds from an offence to the end of its connection, without those for which the server had no core."""
        self.statuses: Counter[int] = Counter()
        self.sent: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """The codes with which the namespace was closed to them."""
        self._served = served
        self._enter = auth(member)
        self._dice = dice
        inside = frames.OFFENCES | frames.OFFENCES_INSIDE
        every = [(name, False) for name in frames.OFFENCES] + [(name, True) for name in inside]
        dice.shuffle(every)
        self._commits = inside
        self._due = itertools.cycle(every)

    async def run(self, seconds: float) -> None:
        """One offender after another for so long, some at once."""
        until = time.monotonic() + seconds

        async def work() -> None:
            while time.monotonic() < until:
                await self._dice.choice((self._offend, self._offend, self._babble, self._ask))()

        await asyncio.gather(*(work() for _ in range(EACH)))

    async def come_back(self) -> Counter[str]:
        """Comes in with as many sockets as one may have; the codes of what was refused."""
        self.refused.clear()
        async with contextlib.AsyncExitStack() as wires:
            for _ in range(MOST_SOCKETS):
                await self._come(*await wires.enter_async_context(self._wire()), inside=True)
        return self.refused

    async def _offend(self) -> None:
        """One whole offence, for which the connection is closed."""
        name, inside = next(self._due)
        async with self._wire() as (reader, writer):
            await self._come(reader, writer, inside=inside)
            waited, began = queued(self._served.pid), time.monotonic()
            _write(writer, frames.offence(self._commits[name]))
            await _drained(reader, 5)
            took = time.monotonic() - began - (queued(self._served.pid) - waited)
            self.late.append((took, f"{name}, {'inside' if inside else 'outside'}"))
            self.sent["offences"] += 1

    async def _babble(self) -> None:
        """A conversation with something wrong in it, in pieces, which the client may break off."""
        data = frames.spoilt(self._dice, frames.conversation(self._dice, self._enter))
        async with self._wire() as (reader, writer):
            await self._come(reader, writer, inside=self._dice.random() < 0.7)
            for first in range(0, len(data), size := self._dice.choice((7, 1_400, 1 << 20))):
                _write(writer, data[first : first + size])
                if first > 50 * size:
                    break
                await asyncio.sleep(0)
            if self._dice.random() < 0.5:
                await _drained(reader, 0.2)
            self.sent["conversations"] += 1

    async def _ask(self) -> None:
        """Some requests to the sockets' path for one session; the answers may be anything that is no failure."""
        opened = await self._answer(frames.OPEN)
        sid = opened.partition('"sid":"')[2].partition('"')[0]
        for _ in range(self._dice.randrange(1, 5)):
            await self._answer(frames.request(self._dice, sid))
            self.sent["requests"] += 1

    async def _answer(self, request: bytes) -> str:
        said = b""
        async with self._wire() as (reader, writer):
            writer.write(request)
            said = await _drained(reader, 0.3)
        for status in re.findall(rb"HTTP/1.1 (\d+)", said):
            self.statuses[int(status)] += 1
        return said.decode(errors="replace")

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, inside: bool) -> None:
        writer.write(frames.upgrade())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        if inside:
            _write(writer, frames.offence(lambda script: script.text(self._enter)))
            said = b""
            while b'"authenticate"' not in said:
                data = await reader.read(1 << 16)
                said += data
                if not data or b"44/community-chat," in said or TRY_AGAIN in said:
                    self.refused[said.rpartition(TRY_AGAIN)[2].decode(errors="replace")] += 1
                    raise ConnectionRefusedError

    @contextlib.asynccontextmanager
    async def _wire(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        address = f"127.{self._dice.randrange(1, 255)}.{self._dice.randrange(255)}.{self._dice.randrange(1, 255)}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._served.port, local_addr=(address, 0))
        try:
            yield reader, writer
        except ConnectionError:
            pass  # the server was quicker than we were
        finally:
            writer.transport.abort()


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Writes unless the server has ended the connection, of which uvloop makes a RuntimeError."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(data)


async def _drained(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """What the server says until it ends the connection, or for so long."""
    said = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            while data := await reader.read(1 << 16):
                said += data
    return said


async def test_whatever_clients_send_the_server_stands_and_the_others_are_served(
    tmp_path: Path, dice: random.Random
) -> None:
    """Raw frames for a minute, before and after authentication.

    Alive; memory + 50 MB at most; the offender closed within 1 s; no 5xx; a member who writes and one who listens do
    not notice.
    """
    async with serving(Served(tmp_path / "plaza")) as (served,):
        faults = await community(served.database_url)
        anna, bert = faults.people("anna", "bert")
        heard: list[str] = []
        line = await Line.open(
            served.port, bert, lambda event, payload: heard.append(payload["id"]) if event == "newMessage" else None
        )
        sent: list[str] = []

        async def send(http: httpx2.AsyncClient) -> httpx2.Response:
            answer = await http.post(MESSAGES, json={"to": bert.email, "content": "all quiet?"})
            sent.append(answer.json()["id"])
            return answer

        async with witness(served, anna, send, 0.05) as member:
            fuzzers = [Fuzzer(served, faults.person(f"offender{number}"), dice) for number in range(MEMBERS)]
            await fuzzers[0].run(1)
            before = memory(served.pid)
            await asyncio.gather(*(fuzzer.run(SECONDS) for fuzzer in fuzzers))
            grown = memory(served.pid) - before
        async with asyncio.timeout(5):
            while len(heard) < len(sent):
                await asyncio.sleep(0.05)
        late = sorted(one for fuzzer in fuzzers for one in fuzzer.late)
        statuses = sum((fuzzer.statuses for fuzzer in fuzzers), Counter[int]())
        refused = sum((fuzzer.refused for fuzzer in fuzzers), Counter[str]())
        print(sum((fuzzer.sent for fuzzer in fuzzers), Counter[str]()), statuses, refused, f"{grown:+.0f} MB")
        print(f"slowest to be closed {late[-1]}, send p99 {p99(member.seconds):.3f} s")
        assert late[-1][0] <= CLOSED_SECONDS
        assert grown <= 50
        assert heard == sent
        assert member.statuses == {201}
        assert not [status for status in statuses if status >= 500]
        assert set(refused) <= {TOO_MANY}
        await seconds_until(lambda: counts(served.url, 1), GONE_SECONDS)
        assert not any([await fuzzer.come_back() for fuzzer in fuzzers]), "what was broken off counts no more"
        assert not line.closed.is_set()
        await line.close()
        assert served.broken() == []
