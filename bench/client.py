"""A raw Socket.IO client over WebSocket: little more than a frame loop, so that it costs less than any server.

No masking arithmetic (the mask is zero, which servers undo all the same), no task per socket, no JSON decoding.
The same code speaks to both sides.
"""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from typing import cast

NAMESPACE = "/community-chat"
_PLACE = NAMESPACE.encode() + b","
CONNECTED, REFUSED, EVENT, ACK = b"40" + _PLACE, b"44" + _PLACE, b"42" + _PLACE, b"43" + _PLACE
CONNECT_SECONDS = 10.0
_WIDE = {126: 2, 127: 8}


class Refused(Exception):  # noqa: N818 — what the server did
    """The server did not let this client in, or cut it off."""


class Socket(asyncio.Protocol):
    """One socket in the namespace; subclasses give `acknowledged`, `heard` and `lost` a meaning."""

    transport: asyncio.Transport

    def __init__(self, port: int, token: str, org: str) -> None:
        self._port = port
        self._auth = json.dumps({"token": token, "orgId": org}, separators=(",", ":")).encode()
        self._rest = b""
        self._upgraded = False
        self._inside: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving = False

    async def connect(self) -> None:
        """Opens the socket and enters the namespace; raises `Refused`."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._inside

    def leave(self) -> None:
        """Closes the socket."""
        self._leaving = True
        self.transport.close()

    def acknowledged(self, payload: bytes) -> None:
        """An acknowledgement came; `payload` begins with its id."""

    def heard(self, payload: bytes) -> None:
        """An event came; `payload` is its JSON, `["name",…`."""

    def lost(self, reason: str) -> None:
        """The server closed the socket."""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade."""
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio's
        key = b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells whoever waits that nothing will come."""
        if not self._inside.done():
            self._inside.set_exception(Refused("closed before it was let in"))
        elif not self._leaving:
            self.lost(f"closed by the server ({exc})")

    def data_received(self, data: bytes) -> None:
        """Takes the frames out of the bytes."""
        data, at = self._rest + data, 0
        if not self._upgraded:
            try:
                at = greeted(data)
            except Refused as refusal:
                self._inside.set_exception(refusal)
                self.transport.close()
                return
            self._upgraded = at > 0
        if self._upgraded:
            found, at = frames(data, at)
            for first, payload in found:
                self._take(first, payload)
        self._rest = data[at:]

    def _take(self, first: int, payload: bytes) -> None:
        if first != 0x81:  # not a whole text frame: a close, a control frame, or what nobody sends here
            if first == 0x88:
                self.transport.close()
            return
        if payload.startswith(ACK):
            self.acknowledged(payload[len(ACK) :])
        elif payload.startswith(EVENT):
            self.heard(payload[len(EVENT) :])
        elif payload == b"2":
            self.transport.write(frame(b"3"))
        elif payload[:1] == b"0":
            self.transport.write(frame(CONNECTED + self._auth))
        elif payload.startswith(CONNECTED):
            self._inside.set_result(None)
        elif payload.startswith(REFUSED):
            self._inside.set_exception(Refused(payload.decode()))


def greeted(data: bytes) -> int:
    """Where the frames begin behind a server's answer to the greeting, 0 while that is not whole; raises `Refused`."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if not data.startswith(b"HTTP/1.1 101"):
        raise Refused(data.decode(errors="replace")[:500])
    return end + 4


def frames(data: bytes, at: int) -> tuple[list[tuple[int, bytes]], int]:
    """The whole frames of a server from a place on, each its first byte and its payload; and where they end."""
    found, end = [], len(data)
    while end - at >= 2:
        size, start = data[at + 1], at + 2
        if wide := _WIDE.get(size, 0):
            start += wide
            if end < start:
                break
            size = int.from_bytes(data[at + 2 : start], "big")
        if end < start + size:
            break
        found.append((data[at], data[start : start + size]))
        at = start + size
    return found, at


def frame(payload: bytes) -> bytes:
    """One text frame of a client."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + b"\0\0\0\0" + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


def event(number: int, name: str, body: object) -> bytes:
    """The frame of an event that asks for an acknowledgement."""
    text = json.dumps([name, body], separators=(",", ":"), ensure_ascii=False).encode()
    return frame(b"%b%d%b" % (EVENT, number, text))
