"""Bounds of what comes in: bytes and lines of each head, the time that it may take, connections that owe something."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from plaza.realtime import Options

if TYPE_CHECKING:
    from tests.realtime.conftest import Live, Recorder, Serve

pytestmark = pytest.mark.anyio

POLL = "/socket.io/?EIO=4&transport=polling"
SOCKET = "/socket.io/?EIO=4&transport=websocket"
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
TARGETS = {
    "polling": (POLL, b""),
    "websocket": (SOCKET, UPGRADE),
    "elsewhere": ("/", b""),
    "a probe": (SOCKET + "&sid=x", UPGRADE),
}
MEGABYTE = b"x" * 1_000_000
BLOATED = {
    "a header": b"X-Name: " + MEGABYTE + b"\r\n",
    "a name": MEGABYTE + b": x\r\n",
    "a cookie": b"Cookie: " + MEGABYTE + b"\r\n",
    "lines": b"a: b\r\n" * 300_000,
    "a few lines too many": b"a: b\r\n" * 101,
    "no end of a line": MEGABYTE,
}


class Answer(NamedTuple):
    """What came back before the connection ended."""

    status: int
    body: bytes

    @property
    def reason(self) -> str:
        reason: str = json.loads(self.body)["reason"]
        return reason


async def exchange(live: Live, *pieces: bytes, pause: float = 0.0) -> Answer:
    """Sends everything first and reads then, as simple clients do; the answer, once the server has closed."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    try:
        for piece in pieces:
            writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(pause)
        return parsed(await reader.read())
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
        assert loop is asyncio.get_running_loop()


def parsed(raw: bytes) -> Answer:
    """The last answer of those that came."""
    head, _, body = raw[raw.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ")[1]), body)


def head(target: str, *more: bytes, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + b"".join(more) + b"\r\n"


async def lives(live: Live) -> None:
    """Somebody else comes in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    writer.write(head(POLL))
    async with asyncio.timeout(1):
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.transport.abort()


@pytest.mark.parametrize("bloat", BLOATED)
@pytest.mark.parametrize("where", TARGETS)
async def test_a_head_over_its_bounds_is_answered_431_and_closed(serve: Serve, where: str, bloat: str) -> None:
    target, lines = TARGETS[where]
    async with serve() as live:
        begun = time.process_time()
        answer = await exchange(live, head(target, lines, BLOATED[bloat]))
        assert time.process_time() - begun < 1, "it is not read at length"
        assert (answer.status, answer.reason) == (431, "request.head_too_large")
        assert live.server.engine.ingress.closed["request.head_too_large"] == 1
        await lives(live)


@pytest.mark.parametrize("size", [1_000_000, 20_000_000])
@pytest.mark.parametrize("target", ["/", POLL, SOCKET])
async def test_a_target_without_end_is_answered_431(serve: Serve, target: str, size: int) -> None:
    async with serve() as live:
        assert (await exchange(live, b"GET " + target.encode() + b"&" + b"x" * size)).status == 431
        await lives(live)


async def test_a_head_that_comes_in_pieces_is_counted_as_a_whole(serve: Serve) -> None:
    async with serve() as live:
        for piece in (b"x" * 500, b"a: b\r\n"):
            pieces = [head(POLL)[:-2], *[piece] * 110]
            assert (await exchange(live, *pieces, pause=0.001)).status == 431


@pytest.mark.parametrize("where", TARGETS)
async def test_the_largest_head_is_read(serve: Serve, where: str) -> None:
    target, lines = TARGETS[where]
    wanted = {"polling": 200, "websocket": 101, "elsewhere": 404, "a probe": 400}[where]
    async with serve() as live:
        bare = head(target, lines, b"X: \r\n", b"Connection: close\r\n" if not lines else b"")
        widest = bare.replace(b"X: ", b"X: " + b"x" * (32_768 - len(bare)))
        for full in (widest, head(target, lines, b"a: b\r\n" * (99 - lines.count(b"\n")))):
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(full)
            assert int((await reader.readline()).split(b" ")[1]) == wanted
            writer.transport.abort()
        assert (await exchange(live, widest.replace(b"xxx", b"xxxx", 1))).status == 431


async def test_later_requests_of_a_connection_are_counted_too(serve: Serve) -> None:
    async with serve() as live:
        first = head("/", b"X: " + b"x" * 30_000 + b"\r\n")
        together = await exchange(live, first + first, head("/", BLOATED["a header"]), pause=0.1)
        assert together.status == 431
        apart = await exchange(live, first, first, head("/", BLOATED["lines"]), pause=0.02)
        assert apart.status == 431


@pytest.mark.parametrize(
    "body",
    [
        b"1\r\nx\r\n0\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        b"1\r\nx\r\n0\r\nX: " + MEGABYTE + b"\r\n\r\n",
        b"1;" + MEGABYTE + b"\r\nx\r\n0\r\n\r\n",
        b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n",
    ],
    ids=["lines of trailers", "a trailer", "a chunk's extension", "framing"],
)
async def test_trailers_and_framing_count_as_the_head_does(serve: Serve, body: bytes) -> None:
    async with serve() as live:
        for apart in (False, True):
            sid = json.loads((await exchange(live, head(POLL, b"Connection: close\r\n"))).body[1:])["sid"]
            post = head(f"{POLL}&sid={sid}", b"Transfer-Encoding: chunked\r\n", method="POST")
            assert (await exchange(live, *([post, body] if apart else [post + body]), pause=0.01)).status == 431
        await lives(live)


@pytest.mark.parametrize("framing", ["Content-Length: 1000000\r\n", "Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("target", [POLL, "/"])
async def test_a_body_over_its_bound_is_refused_and_the_answer_can_be_read(
    serve: Serve, soon: Any, target: str, framing: str
) -> None:
    async with serve() as live:
        sid = json.loads((await exchange(live, head(POLL, b"Connection: close\r\n"))).body[1:])["sid"]
        post = head(f"{target}{'&' if '?' in target else '?'}sid={sid}", framing.encode(), method="POST")
        body = b"f4240\r\n" + MEGABYTE + b"\r\n0\r\n\r\n" if "chunked" in framing else MEGABYTE
        for pieces in ((post + body,), (post, body)):
            answer = await exchange(live, *pieces, pause=0.01)
            assert answer.status in ((413, 400) if target == POLL else (404,))
        await soon(lambda: live.server.engine.ingress.connections == 0)
        await lives(live)


async def test_many_requests_at_once_are_answered_one_after_another(serve: Serve) -> None:
    async with serve() as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(head("/") * 2_000)
        most = 0
        for _ in range(2_000):
            assert (await reader.readline()).startswith(b"HTTP/1.1 404")
            await reader.readuntil(b"}")
            most = max([most, *(len(getattr(one, "pipeline", ())) for one in live.state.connections)])
        assert 0 < most < 300
        writer.transport.abort()


# Clocks.

SHORT = Options(head_seconds=0.3, body_seconds=0.3, write_seconds=0.3, close_timeout=0.01, linger_seconds=0.3)


async def closed_after(live: Live, *pieces: bytes) -> tuple[float, bytes]:
    """How long a connection stays open on which only this is sent, and what comes back."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.02)
    raw = await reader.read()
    writer.transport.abort()
    return time.monotonic() - begun, raw


async def test_a_connection_that_says_nothing_is_closed(serve: Serve) -> None:
    async with serve(options=SHORT) as live:
        seconds, raw = await closed_after(live)
        assert raw == b""
        assert 0.25 < seconds < 2
        assert live.server.engine.ingress.closed["request.head_timeout"] == 1


@pytest.mark.parametrize("target", ["/", POLL, SOCKET])
async def test_half_a_head_is_answered_408_however_it_trickles(serve: Serve, target: str) -> None:
    async with serve(options=SHORT) as live:
        _, raw = await closed_after(live, head(target)[:-2])
        assert (parsed(raw).status, parsed(raw).reason) == (408, "request.head_timeout")
        seconds, raw = await closed_after(live, *[bytes([byte]) for byte in head(target)[:22]])
        assert (parsed(raw).status, parsed(raw).reason) == (408, "request.head_timeout")
        assert seconds < 2


async def test_half_a_second_head_and_empty_lines_are_timed_too(serve: Serve) -> None:
    async with serve(options=SHORT) as live:
        _, raw = await closed_after(live, head("/"), head("/")[:10])
        assert raw.startswith(b"HTTP/1.1 404")
        assert parsed(raw).status == 408
        seconds, raw = await closed_after(live, head("/"), *[b"\r\n"] * 10)
        assert raw.startswith(b"HTTP/1.1 404")
        assert seconds < 2


@pytest.mark.parametrize("framing", [b"Content-Length: 50\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_half_a_body_is_answered_408_however_it_trickles(serve: Serve, framing: bytes) -> None:
    async with serve(options=SHORT) as live:
        sid = json.loads((await exchange(live, head(POLL, b"Connection: close\r\n"))).body[1:])["sid"]
        post = head(f"{POLL}&sid={sid}", framing, method="POST")
        parts = [b"1\r\nx\r\n" if framing.startswith(b"T") else b"x"] * 10
        seconds, raw = await closed_after(live, post, *parts)
        assert (parsed(raw).status, parsed(raw).reason) == (408, "request.body_timeout")
        assert seconds < 2
        assert not live.server.engine.sessions, "its client is gone"


@pytest.mark.parametrize("cut", [10, -1])
async def test_each_of_many_requests_has_the_whole_time(serve: Serve, cut: int) -> None:
    """Every reading ends within a request, in its head or its body, for longer than one of them may take."""
    whole = head("/", b"Content-Length: 2\r\n", method="POST") + b"xx"
    async with serve(options=SHORT) as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(whole[:cut])
        for _ in range(10):
            await asyncio.sleep(0.1)
            writer.write(whole[cut:] + whole[:cut])
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 404")
        writer.transport.abort()


async def test_a_request_that_waits_and_an_idle_connection_owe_nothing(serve: Serve) -> None:
    async with serve(options=SHORT) as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(head(POLL))
        await reader.readuntil(b"\r\n\r\n")
        sid = json.loads((await reader.readuntil(b"}"))[1:])["sid"]
        writer.write(head(f"{POLL}&sid={sid}"))
        await asyncio.sleep(0.7)
        (session,) = live.server.engine.sessions.values()
        session.push(b"4hello")
        assert b"4hello" in await reader.readuntil(b"hello")
        await asyncio.sleep(0.7)
        writer.write(head("/"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.transport.abort()


async def test_a_message_that_trickles_is_closed_and_one_after_another_is_not(
    serve: Serve, raw: Any, recorder: Recorder
) -> None:
    async with serve({"/": recorder}, SHORT) as live:
        slow, steady = await raw(live.port), await raw(live.port)
        await slow.join()
        await steady.join()
        slow.writer.write(b"\x81\xff" + (1_000).to_bytes(8, "big") + b"\0\0\0\0")
        closing = asyncio.create_task(slow.closed())
        frame = b'\x81\x8a\0\0\0\x0042["fine"]'
        steady.writer.write(frame[:5])
        for _ in range(40):
            if not closing.done():
                slow.writer.write(b"4")
            steady.writer.write(frame[5:] + frame[:5])
            await asyncio.sleep(0.02)
        assert await closing == (1008, "The message did not arrive in time.")
        assert recorder.reasons == ["protocol_error"]
        assert len(recorder.events) == 40


async def test_fragments_without_end_are_one_message(serve: Serve, raw: Any) -> None:
    async with serve(options=SHORT) as live:
        client = await raw(live.port)
        await client.join()
        closing = asyncio.create_task(client.closed())
        client.frame(b"4", final=False)
        while not closing.done():
            client.frame(b"2", 0, final=False)
            await asyncio.sleep(0.02)
        assert (await closing)[0] == 1008


async def test_a_response_that_nobody_reads_is_cut_and_one_that_is_read_is_not(serve: Serve, soon: Any) -> None:
    options = Options(write_seconds=0.3, kernel_bytes=4_096, close_timeout=0.01)
    async with serve(options=options) as live:
        ingress = live.server.engine.ingress
        slow, writer = await open_slow(live)
        fine, other = await asyncio.open_connection("127.0.0.1", live.port, limit=1 << 20)
        for reader, client in ((slow, writer), (fine, other)):
            client.write(head(POLL))
            await reader.readuntil(b"\r\n\r\n")
            sid = json.loads((await reader.readuntil(b"}"))[1:])["sid"]
            live.server.engine.sessions[sid].push(b"4" + b"x" * 250_000)
            client.write(head(f"{POLL}&sid={sid}"))
        slow._transport.pause_reading()  # type: ignore[attr-defined]  # the client's own stream
        await fine.readuntil(b"x" * 250_000)
        await soon(lambda: ingress.closed["response.unread"] == 1, 6)
        await soon(lambda: ingress.connections == 1)
        other.write(head("/"))
        assert (await fine.readline()).startswith(b"HTTP/1.1 404")
        for client in (writer, other):
            client.transport.abort()


async def open_slow(live: Live) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection for which the kernel takes little."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", live.port))
    return await asyncio.open_connection(sock=connection, limit=1_000)


# How many.


async def open_ones(
    live: Live, count: int, said: bytes = b""
) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connections that say so much and then nothing."""
    made = []
    for _ in range(count):
        made.append(await asyncio.open_connection("127.0.0.1", live.port))
        if said:
            made[-1][1].write(said)
    return made


@pytest.mark.parametrize(
    "said",
    [b"", head(POLL)[:20], head(SOCKET, UPGRADE)[:-2], head("/", b"Content-Length: 9\r\n", method="POST")],
    ids=["silent", "half a head", "half a handshake", "no body"],
)
async def test_of_one_address_only_so_many_may_owe_something(serve: Serve, soon: Any, said: bytes) -> None:
    options = Options(connections_per_address=10, close_timeout=0.01, linger_seconds=0.1)
    async with serve(options=options) as live:
        ingress = live.server.engine.ingress
        made = await open_ones(live, 40, said)
        await soon(lambda: ingress.connections == 10)
        assert ingress.closed["connections.address"] == 30
        answers = [await reader.read() for reader, _ in made[:30]]
        if said:
            assert {answer[9:12] for answer in answers} <= {b"429", b"404"}
        await lives(live)
        for _, writer in made:
            writer.transport.abort()
        await soon(lambda: ingress.connections == 0 and not ingress._owing)


async def test_a_slow_body_outlives_the_silent_connections_of_its_address(serve: Serve, soon: Any) -> None:
    later = 0.0
    options = Options(connections_per_address=10)
    async with serve(options=options, clock=lambda: time.monotonic() + later) as live:
        closed = live.server.engine.ingress.closed
        [(reader, writer)] = await open_ones(live, 1, head("/", b"Content-Length: 2\r\n", method="POST") + b"x")
        await reader.readuntil(b"}")
        silent = await open_ones(live, 9)
        later = 1.5
        silent += await open_ones(live, 9)
        await soon(lambda: closed["connections.address"] == 9)
        writer.write(b"x" + head("/"))
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404")
        for _, one in ((reader, writer), *silent):
            one.transport.abort()


async def test_the_connections_of_a_trusted_proxy_are_not_counted_by_its_address(serve: Serve, soon: Any) -> None:
    options = Options(connections_per_address=10, trusted=lambda address: address == "127.0.0.1", close_timeout=0.01)
    async with serve(options=options) as live:
        made = await open_ones(live, 40, b"GET ")
        await soon(lambda: live.server.engine.ingress.connections == 40)
        await lives(live)
        assert not any(live.server.engine.ingress.closed.values())
        for _, writer in made:
            writer.transport.abort()


async def test_who_is_silent_longest_makes_room_for_who_comes(serve: Serve, soon: Any, raw: Any) -> None:
    options = Options(connections=20, connections_per_address=1_000, close_timeout=0.01)
    async with serve(options=options) as live:
        ingress = live.server.engine.ingress
        client = await raw(live.port)
        await client.join()
        idle = await open_ones(live, 10, head("/"))
        for reader, _ in idle:
            await reader.readuntil(b"}")
        silent = await open_ones(live, 30)
        await soon(lambda: ingress.closed["connections.process"] >= 21)
        await soon(lambda: ingress.connections <= 20)
        await lives(live)
        client.text('421["fine"]')
        assert await client.next() == "431[]"
        for _, writer in (*idle, *silent):
            writer.transport.abort()


async def test_who_comes_with_many_others_takes_the_room_of_idle_connections(serve: Serve, soon: Any) -> None:
    options = Options(connections=20, connections_per_address=1_000)
    async with serve(options=options) as live:
        ingress = live.server.engine.ingress
        idle = await open_ones(live, 20, head("/"))
        for reader, _ in idle:
            await reader.readuntil(b"}")
        came = [socket.create_connection(("127.0.0.1", live.port)) for _ in range(15)]  # before the server has a turn
        for client in came:
            client.sendall(head("/"))
            client.setblocking(False)
        for client in came:
            assert (await asyncio.get_running_loop().sock_recv(client, 12)) == b"HTTP/1.1 404"
        assert ingress.closed["connections.process"] == 15
        await soon(lambda: ingress.connections <= 20)
        for client in came:
            client.close()
        for _, writer in idle:
            writer.transport.abort()


async def test_where_nobody_is_silent_who_comes_is_closed(serve: Serve, soon: Any, raw: Any) -> None:
    async with serve(options=Options(connections=3, close_timeout=0.01)) as live:
        clients = [await raw(live.port) for _ in range(3)]
        for client in clients:
            await client.join()
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        assert await reader.read() == b""
        writer.transport.abort()
        assert live.server.engine.ingress.closed["connections.process"] == 1
        for client in clients:
            client.text('421["fine"]')
            assert await client.next() == "431[]"


async def test_nothing_is_left_when_connections_are_gone(serve: Serve, soon: Any, raw: Any) -> None:
    async with serve(options=SHORT) as live:
        ingress = live.server.engine.ingress
        client = await raw(live.port)
        await client.join()
        for said in (b"", head("/"), head(POLL)[:9], head("/", BLOATED["lines"]), b"nonsense\r\n\r\n"):
            for _, writer in await open_ones(live, 3, said):
                writer.close()
        client.frame(b"4", final=False)
        client.cut()
        await soon(lambda: ingress.connections == 0)
        left = (ingress.heads, ingress.bodies, ingress.writes, ingress.messages, ingress.lingering, ingress.idle)
        assert [len(list(each)) for each in left] == [0] * 6
        assert not ingress._owing
