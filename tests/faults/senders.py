"""Clients that write: each sends one message after another and repeats the same `clientId` until it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import Any, Protocol

import httpx2

from tests.faults.people import Person
from tests.faults.records import Answer, Draft, Recorder
from tests.faults.wire import Broken, KeptOut, Line

MESSAGES = "/client/community/messages"
AGAIN_SECONDS = 0.05
"""The pause before another attempt."""
PASSING = ("store.unavailable", "server.error", "idempotency.in_flight")
"""Codes of a refusal that leaves open what became of the write; the record has them, and `server.error` is a fault."""


class Unknown(Exception):  # noqa: N818 — what the client knows
    """Nobody can tell whether the message was written."""


class Refused(Exception):  # noqa: N818 — what the server did
    """The server will not have the message."""


class Ports:
    """The servers that a client may turn to; after a failure it turns to the next one."""

    def __init__(self, ports: Sequence[int], first: int = 0) -> None:
        self._ports = list(ports)
        self._at = first

    @property
    def port(self) -> int:
        """The one that it is at."""
        return self._ports[self._at % len(self._ports)]

    def turn(self) -> None:
        """Go to the next one."""
        self._at += 1


class Way(Protocol):
    """How messages are sent."""

    async def send(self, draft: Draft) -> dict[str, Any]:
        """The message as it was stored; else `Unknown` or `Refused`."""
        ...

    async def close(self) -> None:
        """Part from the server."""
        ...


class Rest:
    """Sends by POST."""

    def __init__(self, person: Person, ports: Ports, recorder: Recorder, *, transaction: bool = False) -> None:
        self.person = person
        self._ports = ports
        self._recorder = recorder
        self._transaction = transaction
        self._http = httpx2.AsyncClient(timeout=5)

    async def send(self, draft: Draft) -> dict[str, Any]:
        """With `transaction`, the write is one of several statements: an Idempotency-Key makes the server do so."""
        headers = self.person.headers | ({"idempotency-key": draft.key} if self._transaction else {})
        answer = await self.ask("POST", MESSAGES, json=draft.body, headers=headers)
        if answer.status_code >= 500 or answer.status_code == 409:
            self._ports.turn()
            raise Unknown(str(answer.status_code))
        if answer.status_code != 201:
            raise Refused(answer.text)
        message: dict[str, Any] = answer.json()
        return message

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Any request, put on record; `Unknown` when no answer came."""
        asked, port = time.monotonic(), self._ports.port
        try:
            answer = await self._http.request(
                method, f"http://127.0.0.1:{port}{path}", headers=options.pop("headers", self.person.headers), **options
            )
        except httpx2.HTTPError as error:
            self._ports.turn()
            raise Unknown(type(error).__name__) from error
        self._recorder.answers.append(
            Answer(time.monotonic(), asked, port, answer.status_code, answer.headers.get("retry-after"))
        )
        return answer

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


class Socket:
    """Sends by `sendMessage` on a socket that it opens again whenever it is gone."""

    def __init__(self, person: Person, ports: Ports, recorder: Recorder) -> None:
        self.person = person
        self._ports = ports
        self._recorder = recorder
        self._line: Line | None = None

    async def send(self, draft: Draft) -> dict[str, Any]:
        """Waits for the acknowledgement."""
        try:
            answer = await (await self._open()).ask("sendMessage", draft.body)
        except (Broken, KeptOut) as error:
            await self._let_go()
            raise Unknown(str(error)) from error
        if answer["success"]:
            message: dict[str, Any] = answer["message"]
            return message
        self._recorder.codes.append(answer["code"])
        if answer["code"] in PASSING:
            raise Unknown(answer["code"])
        raise Refused(str(answer))

    async def _open(self) -> Line:
        if self._line is not None and self._line.closed.is_set():
            await self._let_go()
        if self._line is None:
            self._line = await Line.open(self._ports.port, self.person, lambda _event, _payload: None)
        return self._line

    async def _let_go(self) -> None:
        self._ports.turn()
        await self.close()

    async def close(self) -> None:
        """Leaves."""
        if self._line is not None:
            await self._line.cut()
            self._line = None


class Sender:
    """One client: its messages go to several people in turn."""

    def __init__(self, name: str, person: Person, to: Sequence[Person], way: Way, recorder: Recorder) -> None:
        self.name = name
        self.person = person
        self.to = list(to)
        self._way = way
        self._recorder = recorder
        self._sent = 0

    async def run(self, until: asyncio.Event, every: float, dice: random.Random) -> None:
        """Sends at random moments, about so many seconds apart, until told; the last message is seen through."""
        try:
            while not until.is_set():
                await self.send()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), dice.uniform(0, 2 * every))
        finally:
            await self._way.close()

    async def send(self) -> None:
        """One message, until it is acknowledged or refused."""
        self._sent += 1
        to = self.to[self._sent % len(self.to)]
        draft = Draft(self.name, self._sent, self.person.thread_with(to), to.email)
        while not await self._attempt(draft):
            await asyncio.sleep(AGAIN_SECONDS)

    async def _attempt(self, draft: Draft) -> bool:
        self._recorder.note("invoke", draft)
        try:
            message = await self._way.send(draft)
        except Unknown as error:
            self._recorder.note("unknown", draft, said=str(error))
            return False
        except Refused as error:
            self._recorder.note("fail", draft, said=str(error))
            return True
        self._recorder.note("ok", draft, id_=message["id"], seq=message["seq"])
        return True
