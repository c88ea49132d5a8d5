"""Requests of one connection: each is answered in its turn, and a wish for another protocol changes nothing of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.realtime.conftest import Live, Serve

pytestmark = pytest.mark.anyio

POLL = "/socket.io/?EIO=4&transport=polling"
SOCKET = "/socket.io/?EIO=4&transport=websocket"
HOST = b"Host: 127.0.0.1\r\n"
WISHES = {
    "another protocol": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "two protocols": b"Connection: upgrade\r\nUpgrade: h2c, websocket\r\n",
    "in two lines": b"Connection: upgrade\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n",
}


async def talk(live: Live, *pieces: bytes) -> bytes:
    """Sends the pieces and closes that side of the connection with the last; all that came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.transport.abort()


def get(target: str, *lines: bytes) -> bytes:
    return b"GET " + target.encode() + b" HTTP/1.1\r\n" + HOST + b"".join(lines) + b"\r\n"


def post(target: str, body: bytes, *lines: bytes) -> bytes:
    head = b"POST " + target.encode() + b" HTTP/1.1\r\n" + HOST + b"".join(lines)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


LAST = get("/socket.io/?last", b"Connection: close\r\n")
"""Is answered 400, and ends the connection."""


def statuses(raw: bytes) -> list[int]:
    return [int(part[:3]) for part in raw.split(b"HTTP/1.1 ")[1:]]


async def opened(live: Live) -> str:
    raw = await talk(live, get(POLL, b"Connection: close\r\n"))
    sid: str = json.loads(raw.partition(b"\r\n\r\n")[2][1:])["sid"]
    return f"{POLL}&sid={sid}"


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("size", [3, 9_000])
async def test_a_body_belongs_to_its_request_whatever_protocol_is_asked_for(serve: Serve, wish: str, size: int) -> None:
    async with serve() as live:
        target = await opened(live)
        body = b"40" + b"\x1e42" + b'["x","' + b"y" * size + b'"]'
        whole = post(target, body, WISHES[wish])
        assert statuses(await talk(live, whole + LAST)) == [200, 400]
        begin = whole.index(b"\r\n\r\n") + 2
        assert statuses(await talk(live, whole[:begin], whole[begin:-1], whole[-1:], LAST)) == [200, 400]


@pytest.mark.parametrize("wish", WISHES)
async def test_no_request_is_read_out_of_a_body(serve: Serve, wish: str) -> None:
    async with serve() as live:
        body = b"\r\n" * 8_192 + get(POLL)
        for framed in (post(POLL, body, WISHES[wish]), chunked(body, WISHES[wish])):
            raw = await talk(live, framed + LAST)
            assert statuses(raw) == [400, 400]
        assert live.server.engine.sessions == {}


def chunked(body: bytes, *lines: bytes) -> bytes:
    head = b"POST " + POLL.encode() + b" HTTP/1.1\r\n" + HOST + b"".join(lines)
    return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("wish", WISHES)
async def test_requests_behind_one_that_asks_for_another_protocol_are_answered(serve: Serve, wish: str) -> None:
    async with serve() as live:
        assert statuses(await talk(live, get(POLL, WISHES[wish]) * 5 + LAST)) == [200] * 5 + [400]
        head = get(POLL, WISHES[wish])
        assert statuses(await talk(live, *(bytes([byte]) for byte in head[:40]), head[40:] + LAST)) == [200, 400]


@pytest.mark.parametrize("behind", ["garbage", "a head without end", "a body without end", "a websocket"])
async def test_no_answer_is_taken_for_that_of_an_earlier_request(serve: Serve, behind: str) -> None:
    """What is behind a request that is not answered yet is refused, if it must be, without an answer in its place."""
    socket = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    wrong = {
        "garbage": b"\x00\r\n\r\n",
        "a head without end": get(POLL, b"a: b\r\n" * 101),
        "a body without end": post(POLL, b"x" * 300_000),
        "a websocket": get(SOCKET, socket, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
    }
    async with serve() as live:
        raw = await talk(live, post(await opened(live), b"40") + wrong[behind])
        assert statuses(raw) in ([], [200], [200, 400], [200, 431])


async def test_a_tunnel_is_refused(serve: Serve) -> None:
    async with serve() as live:
        for target in (b"example.test:80", b"/socket.io/?EIO=4&transport=polling"):
            raw = await talk(live, b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n" + LAST)
            assert statuses(raw) == [400]
