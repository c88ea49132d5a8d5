"""A bare Socket.IO client: everything that the server says is handed on in order, nothing reconnects by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.faults.people import Person

NAMESPACE = "/community-chat"
ASK_SECONDS = 5.0
TRY_AGAIN = 1013
Hear = Callable[[str, Any], None]


class Broken(Exception):  # noqa: N818 — what happened to the connection
    """The connection could not be made, or broke, or stayed silent: what became of a question is not known."""


class KeptOut(Exception):  # noqa: N818 — what the server did
    """The server refused the handshake, for good or for the moment; `args` are its message and its data."""


class Line:
    """One open socket of a person; `hear` gets every event, `closed` is set when it is over."""

    def __init__(self, wire: ClientConnection, hear: Hear) -> None:
        self.closed = asyncio.Event()
        self.closed_at = float("inf")
        self._wire = wire
        self._hear = hear
        self._asked = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading: asyncio.Task[None]

    @property
    def reason(self) -> str:
        """What the close frame said."""
        return self._wire.close_reason or ""

    @classmethod
    async def open(cls, port: int, person: Person, hear: Hear) -> Line:
        """Comes in; `Broken` when there is nobody, `KeptOut` when the server does not want this person."""
        try:
            wire = await connect(
                f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket",
                compression=None,
                open_timeout=ASK_SECONDS,
                ping_interval=None,
                close_timeout=1,
                proxy=None,
            )
        except (OSError, WebSocketException) as error:
            raise Broken(type(error).__name__) from error
        line = cls(wire, hear)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await line._enter(person)
        except BaseException as error:
            wire.transport.abort()
            if isinstance(error, OSError | WebSocketException):
                raise Broken(type(error).__name__) from error
            raise
        line._reading = asyncio.create_task(line._read())
        return line

    async def _enter(self, person: Person) -> None:
        await self._wire.recv()
        await self._wire.send(f"40{NAMESPACE},{json.dumps({'token': person.token, 'orgId': person.org})}")
        try:
            kind, data = _parted(str(await self._wire.recv()))
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != TRY_AGAIN:
                raise
            raise KeptOut("try again", {"code": closed.rcvd.reason}) from closed
        if kind == "44":
            refusal = json.loads(data)
            raise KeptOut(refusal["message"], refusal.get("data"))
        assert kind == "40", data

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketException, OSError):
            async for text in self._wire:
                await self._take(str(text))
        self.closed_at = time.monotonic()
        self.closed.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Broken("closed"))
                answer.exception()  # perhaps nobody waits for it any more, which is no fault

    async def _take(self, text: str) -> None:
        if text == "2":
            await self._wire.send("3")
            return
        kind, data = _parted(text)
        if kind == "42":
            event, *args = json.loads(data)
            self._hear(event, args[0] if args else None)
        elif kind == "43":
            number, _, answer = data.partition("[")
            waiting = self._answers.pop(int(number), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(json.loads("[" + answer)[0])

    async def emit(self, event: str, payload: Any) -> asyncio.Future[Any]:
        """Sends an event; the future is its acknowledgement, or `Broken`."""
        self._asked += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[self._asked] = answer
        try:
            await self._wire.send(f"42{NAMESPACE},{self._asked}{json.dumps([event, payload])}")
        except (OSError, WebSocketException) as error:
            raise Broken(type(error).__name__) from error
        if self.closed.is_set():
            raise Broken("closed")
        return answer

    async def ask(self, event: str, payload: Any) -> Any:
        """Sends an event and waits for its acknowledgement."""
        try:
            return await asyncio.wait_for(await self.emit(event, payload), ASK_SECONDS)
        except TimeoutError as error:
            raise Broken("silence") from error

    async def close(self) -> None:
        """Leaves, as somebody whose browser tab is closed."""
        await self._wire.close()
        await self._reading

    async def cut(self) -> None:
        """Breaks the connection off, as somebody who goes into a tunnel."""
        self._wire.transport.abort()
        await self._reading


def _parted(text: str) -> tuple[str, str]:
    """The kind of a packet of our namespace, and what is behind the namespace."""
    return text[:2], text[2:].removeprefix(f"{NAMESPACE},")
