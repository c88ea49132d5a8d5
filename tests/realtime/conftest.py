"""A real server on a free port, a bare client that may break every rule, and the official JavaScript client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import socket as sockets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from plaza.realtime import Namespace, Options, Server, Socket

JS = Path(__file__).parents[1] / "js"
# The bare client does not answer a close frame.
QUICK = Options(close_timeout=0.01, connect_timeout=2.5, headers=("sec-websocket-version",))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}


class Live:
    """A running server and its port."""

    def __init__(self, server: Server, port: int, config: uvicorn.Config, state: ServerState) -> None:
        self.server = server
        self.port = port
        self.config = config
        self.state = state
        self.url = f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def _serve(
    namespaces: Mapping[str, Namespace] | None = None,
    options: Options = QUICK,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Live]:
    server = Server(namespaces or {"/": Recorder()}, options, clock=clock)
    config = uvicorn.Config(
        server.polling, http=server.http_protocol, ws=server.websocket_protocol, lifespan="off", log_config=None
    )
    config.load()
    state = ServerState()
    protocol: Any = config.http_protocol_class
    listener = sockets.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listening = [
        await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), sock=one
        )
        for one in server.listeners(listener)
    ]
    await server.start()
    try:
        async with asyncio.timeout(20):
            yield Live(server, port, config, state)
    finally:
        await server.close()
        for one in listening:
            one.close()
        for connection in list(state.connections):
            connection.shutdown()
        while state.tasks or state.connections:
            await asyncio.sleep(0.001)


class Recorder:
    """A namespace that writes down what happens; `echo` comes back, `join` enters a room, `fail` breaks."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.events: list[tuple[str, list[Any]]] = []
        self.reasons: list[str] = []

    def connect(self, socket: Socket, auth: dict[str, Any] | None) -> Awaitable[None] | None:
        """Everybody may come in."""
        self.sockets.append(socket)
        socket.data = auth
        return None

    async def event(self, socket: Socket, event: str, args: list[Any]) -> list[Any] | None:
        """Answer with the arguments."""
        self.events.append((event, args))
        if event == "fail":
            raise RuntimeError("broken on purpose")
        if event == "join":
            socket.enter(args[0])
        if event == "echo":
            socket.emit("echo", *args)
        return args

    def disconnected(self, socket: Socket, reason: str) -> None:
        """Remember why."""
        self.reasons.append(reason)


class Raw:
    """A WebSocket client of bytes: what it sends is what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sid = ""

    def frame(self, payload: bytes, opcode: int = 1, *, final: bool = True, mask: bool = True, rsv: int = 0) -> None:
        """Send one frame."""
        size = len(payload)
        head = bytes([(0x80 if final else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 65_536:
            head += bytes([bit | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([bit | 127]) + size.to_bytes(8, "big")
        self.writer.write(head + (b"\0\0\0\0" if mask else b"") + payload)

    def text(self, text: str) -> None:
        """Send a text message."""
        self.frame(text.encode())

    async def receive(self) -> tuple[int, bytes]:
        """The next frame as (opcode, payload)."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(size)

    async def next(self) -> str:
        """The next text message that is no ping; pings are answered."""
        while True:
            opcode, payload = await self.receive()
            if opcode != 1:
                raise AssertionError(f"closed: {payload!r}")
            if payload == b"2":
                self.text("3")
                continue
            return payload.decode()

    async def closed(self) -> tuple[int, str]:
        """Wait for the close frame; its code and reason."""
        while True:
            opcode, payload = await self.receive()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def join(self, namespace: str = "/", auth: object = None) -> str:
        """Come into a namespace; the socket's id."""
        place = "" if namespace == "/" else namespace + ","
        self.text(f"40{place}{'' if auth is None else json.dumps(auth)}")
        answer = await self.next()
        assert answer.startswith(f"40{place}{{"), answer
        sid: str = json.loads(answer[2 + len(place) :])["sid"]
        return sid

    def cut(self) -> None:
        """Break the connection off."""
        self.writer.transport.abort()


async def _raw(port: int, query: str = "EIO=4&transport=websocket", path: str = "/socket.io/", **headers: str) -> Raw:
    connection = sockets.socket()
    connection.setblocking(False)
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)  # so that not reading is soon felt
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=70_000)
    fields = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    writer.write(f"GET {path}?{query} HTTP/1.1\r\n{lines}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status = int(head.split(" ", 2)[1])
    if status != 101:
        writer.transport.abort()
        raise Refusal(status, head)
    client = Raw(reader, writer)
    if "sid=" not in query:
        client.sid = json.loads((await client.receive())[1][1:])["sid"]
    return client


class Refusal(Exception):  # noqa: N818
    """A handshake that was not answered 101."""

    def __init__(self, status: int, head: str) -> None:
        super().__init__(status)
        self.status = status
        self.head = head


async def _node(script: str, *arguments: str) -> list[Any]:
    """Run a script with Node; it prints one JSON value per line."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine")
    process = await asyncio.create_subprocess_exec(
        node, str(JS / script), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.decode().splitlines()]


async def _soon(truth: Callable[[], object], within: float = 3.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(within):
        while not truth():
            await asyncio.sleep(0.002)


Serve = Callable[..., AbstractAsyncContextManager[Live]]


@pytest.fixture
def serve() -> Serve:
    """`async with serve({"/": namespace}, Options(…)) as live`."""
    return _serve


@pytest.fixture
def recorder() -> Recorder:
    """A namespace."""
    return Recorder()


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Any]]:
    """`client = await raw(port)`: a handshaken bare client."""
    clients: list[Raw] = []

    async def connect(*arguments: Any, **headers: Any) -> Raw:
        clients.append(client := await _raw(*arguments, **headers))
        return client

    yield connect
    for client in clients:
        client.cut()
    await asyncio.sleep(0)


@pytest.fixture
def refusal() -> type[Refusal]:
    """What `raw` raises when the handshake is refused."""
    return Refusal


@pytest.fixture
def node() -> Callable[..., Any]:
    """`lines = await node(script, *arguments)`."""
    return _node


@pytest.fixture
def soon() -> Callable[..., Any]:
    """`await soon(lambda: …)`."""
    return _soon


Echoes = Mapping[str, int]


@pytest.fixture(scope="module")
def echo_servers() -> Iterator[Echoes]:
    """The ports of two echo servers, `engine` and `socket`, as they ship."""
    ports = {"engine": _free_port(), "socket": _free_port()}
    times = ["--ping-interval", "300", "--ping-timeout", "200", "--connect-timeout", "1000"]
    processes = [
        subprocess.Popen([sys.executable, "-m", "plaza.realtime.echo", "--port", str(port), *times, *flags])
        for port, flags in ((ports["engine"], ["--engine"]), (ports["socket"], []))
    ]
    for port in ports.values():
        _wait_for(port)
    yield ports
    for process in processes:
        process.terminate()
        process.wait(5)


def _wait_for(port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError):
            sockets.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise AssertionError("the echo server does not come up")


def _free_port() -> int:
    """A port that was free a moment ago."""
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
