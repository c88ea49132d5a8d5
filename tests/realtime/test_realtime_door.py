"""Where a connection comes in: the short way for a plain handshake, and uvicorn's for everything else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from plaza.realtime import Options, heads

if TYPE_CHECKING:
    from tests.realtime.conftest import Live, Serve

pytestmark = pytest.mark.anyio

LINE = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
POLL = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n" + HOST + b"\r\n"


async def _answer(live: Live, *pieces: bytes) -> bytes:
    """The head of the answer to bytes that come one after another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    "head",
    [
        LINE + HOST + UPGRADE + KEY,
        LINE + HOST + b"upgrade:WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n" + KEY,
        LINE + HOST + UPGRADE + KEY + b"X-Name: J\xf6rg\r\n",
        LINE + HOST + UPGRADE + KEY + b"Content-Length: 0\r\n",
        LINE.replace(b"/?", b"?") + HOST + UPGRADE + KEY,
    ],
    ids=["plain", "other spelling", "any text", "an empty body", "no slash"],
)
@pytest.mark.parametrize("cut", [0, 3, 60, -1], ids=["whole", "in its method", "in its headers", "before its end"])
async def test_a_handshake_comes_in_whole_or_in_pieces(serve: Serve, head: bytes, cut: int) -> None:
    async with serve() as live:
        whole = head + b"\r\n"
        answer = await _answer(live, *([whole[:cut], whole[cut:]] if cut else [whole]))
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer


@pytest.mark.parametrize(
    "head",
    [
        LINE + b"Ho st: a\r\n" + UPGRADE + KEY,
        LINE + HOST + b"X: a\x00b\r\n" + UPGRADE + KEY,
        LINE + HOST + UPGRADE + KEY + b"no colon\r\n",
        LINE.replace(b"1.1", b"9.9") + HOST + UPGRADE + KEY,
        LINE + HOST + UPGRADE + b"Sec-WebSocket-Version: 13\r\n",
        LINE + HOST + UPGRADE.replace(b"Connection: Upgrade", b"Connection: close") + KEY,
        LINE + HOST + UPGRADE.replace(b"websocket", b"h2c") + KEY,
    ],
    ids=["name", "value", "field", "version", "no key", "no upgrade", "another upgrade"],
)
async def test_what_is_no_handshake_is_refused(serve: Serve, head: bytes) -> None:
    async with serve() as live:
        assert (await _answer(live, head + b"\r\n")).startswith(b"HTTP/1.1 400 ")


async def _statuses(live: Live, *heads: bytes) -> list[bytes]:
    return [(await _answer(live, head + b"\r\n"))[9:12] for head in heads]


async def test_a_head_that_was_read_before_is_no_way_past_its_own_key(serve: Serve) -> None:
    alike = LINE + HOST + UPGRADE + KEY
    key = b"dGhlIHNhbXBsZSBub25jZQ=="
    others = [
        b"x" * 24,
        b"A" * 23 + b"=",
        b"AAAA\r\nX: aaaaaaaaaaaaaaa",
        key[:22] + b"\r\n",
        b"AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    async with serve() as live:
        for _ in range(2):
            assert await _statuses(live, alike) == [b"101"]
            found = await _statuses(live, *(alike.replace(key, other) for other in others))
            assert found == [b"400"] * 4 + [b"101"]
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in await _answer(live, alike + b"\r\n")


async def test_each_head_is_judged_for_itself_however_often_others_came(serve: Serve) -> None:
    async with serve(options=Options(origins=("https://shop.example",))) as live:
        alike = LINE + HOST + UPGRADE + KEY
        good, bad = b"Origin: https://shop.example\r\n", b"Origin: https://elsewhere.example\r\n"
        for _ in range(3):
            assert await _statuses(live, alike + good, alike + bad, alike) == [b"101", b"403", b"403"]


async def test_the_headers_of_one_client_are_not_shown_by_another(serve: Serve, raw: Any, recorder: Any) -> None:
    async with serve({"/": recorder}, Options(headers=("orgid", "authorization"))) as live:
        for org, token in (("acme", "a"), ("acme", "b"), ("zoo", "b"), ("zoo", "b")):
            await (await raw(live.port, OrgId=org, Authorization=token)).join()
        for org in ("acme", "zoo", "acme"):
            await (await raw(live.port, OrgId=org)).join()
    shown = [tuple(socket.headers.values()) for socket in recorder.sockets]
    assert shown[:4] == [("acme", "a"), ("acme", "b"), ("zoo", "b"), ("zoo", "b")]
    assert shown[4:] == [("acme",), ("zoo",), ("acme",)]


async def test_what_is_remembered_of_heads_has_a_bound_and_nothing_personal(serve: Serve) -> None:
    alike = LINE + HOST + UPGRADE + KEY
    async with serve() as live:
        known = live.server.engine.heads._known
        await _statuses(live, alike + b"Cookie: session=1\r\n", alike + b"Authorization: Bearer t\r\n")
        await _statuses(live, alike + b"X: " + b"x" * 2_000 + b"\r\n", alike.replace(b"EIO=4&", b"EIO=4&sid=x&"))
        assert not known
        for number in range(heads.REMEMBERED + 10):
            asked = live.server.engine.heads.read(alike + b"X: %d\r\n\r\n" % number)
            assert asked is not None
            assert asked[0].headers["x"] == str(number)
        assert 0 < len(known) <= heads.REMEMBERED


async def test_a_kept_connection_may_still_become_a_websocket(serve: Serve) -> None:
    async with serve() as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(POLL)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"}")
        writer.write(LINE + HOST + UPGRADE + KEY + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.transport.abort()


async def test_a_connection_that_says_nothing_ends_with_the_server(serve: Serve) -> None:
    async with serve() as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        while not live.state.connections:
            await asyncio.sleep(0.001)
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_that_leaves_without_a_word_is_forgotten(serve: Serve, soon: Any) -> None:
    async with serve() as live:
        _, writer = await asyncio.open_connection("127.0.0.1", live.port)
        await soon(lambda: live.state.connections)
        writer.transport.abort()
        await soon(lambda: not live.state.connections)


async def test_a_socket_shows_the_headers_that_the_application_named(serve: Serve, raw: Any, recorder: Any) -> None:
    async with serve({"/": recorder}, Options(headers=("orgid", "x-none"))) as live:
        client = await raw(live.port, OrgId="acme", Authorization="Bearer t")
        await client.join()
        assert recorder.sockets[0].headers == {"orgid": "acme"}
