"""Those who come in one turn of the loop are heard together: in order, each for itself, within a bound."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from plaza.realtime import Options, inbox
from plaza.realtime.door import Door

if TYPE_CHECKING:
    from tests.realtime.conftest import Live, Serve

pytestmark = pytest.mark.anyio

HEAD = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def _frame(text: str) -> bytes:
    assert len(text) < 126
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text.encode()


@contextlib.contextmanager
def _crowd(live: Live, *heads: bytes) -> Iterator[list[sockets.socket]]:
    """Clients that connect and ask without giving the server, in the same loop, a moment to answer."""
    with contextlib.ExitStack() as stack:
        crowd = []
        for head in heads:
            client = stack.enter_context(sockets.create_connection(("127.0.0.1", live.port)))
            client.sendall(head + b"\r\n")
            client.setblocking(False)
            crowd.append(client)
        yield crowd


async def _until(client: sockets.socket, last: bytes) -> bytes:
    """What the server says up to `last`, or all that it says before it closes."""
    said = b""
    while last not in said:
        try:
            some = await asyncio.get_running_loop().sock_recv(client, 65_536)
        except ConnectionResetError:
            return said
        if not some:
            return said
        said += some
    return said


@pytest.mark.parametrize("most", [inbox.MOST_WAITING, 3])
async def test_a_crowd_that_comes_in_one_turn_is_heard_in_the_order_of_each(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(inbox, "MOST_WAITING", most)
    async with serve() as live:
        with _crowd(live, *[HEAD] * 12) as crowd:
            for client in crowd:
                await _until(client, b'"maxPayload"')
            for client in crowd:
                client.sendall(_frame("40"))
                for number in range(3):
                    client.sendall(_frame(f'42["echo",{number}]'))
            for client in crowd:
                said = await _until(client, b'["echo",2]')
                assert said.index(b'40{"sid"') < said.index(b'["echo",0]') < said.index(b'["echo",1]')


async def test_one_who_cannot_be_taken_is_cut_and_the_crowd_around_it_comes_in(serve: Serve) -> None:
    def address(_peer: str, headers: Mapping[str, str]) -> str:
        if "x-broken" in headers:
            raise RuntimeError("broken on purpose")
        return "192.0.2.1"

    async with serve(options=Options(address=address)) as live:
        with _crowd(live, *[HEAD] * 3, HEAD + b"X-Broken: yes\r\n", *[HEAD] * 3) as crowd:
            answers = [await _until(client, b'"maxPayload"') for client in crowd]
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 101"] * 3 + [b""] + [b"HTTP/1.1 101"] * 3


@pytest.mark.parametrize(
    ("head", "rest", "answer"),
    [
        (HEAD + b"\r\n", _frame("40"), b'40{"sid"'),
        (b"POST /elsewhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n", b"{}", b"HTTP/1.1 404"),
    ],
    ids=["handshake", "request"],
)
async def test_what_follows_the_first_bytes_in_the_same_turn_goes_to_whom_they_went(
    serve: Serve, head: bytes, rest: bytes, answer: bytes
) -> None:
    async with serve() as live:
        ours, theirs = sockets.socketpair()
        theirs.setblocking(False)
        door = Door(live.server.engine, config=live.config, server_state=live.state, app_state={})
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: door, ours)
        live.server.engine.inbox.put(_Nobody(), b"")  # so that nobody is alone
        door.data_received(head)
        door.data_received(rest)
        assert answer in await _until(theirs, answer)
        transport.abort()
        theirs.close()


class _Nobody:
    def hear(self, data: bytes) -> None:
        """Nothing."""

    def abort(self) -> None:
        raise AssertionError
