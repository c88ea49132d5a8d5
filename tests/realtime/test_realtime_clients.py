"""The official JavaScript client and Python's client speak with the server as with their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import socketio

from plaza.realtime import NotNow, Options, Refused, Socket
from tests.node import JavaScript
from tests.world import leave

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio


class Closed:
    """A namespace that lets nobody in."""

    async def connect(self, socket: Socket, auth: dict[str, Any] | None) -> None:
        raise Refused("no_entry", {"why": "closed"})

    async def event(self, socket: Socket, event: str, args: list[Any]) -> None:
        raise AssertionError

    async def disconnected(self, socket: Socket, reason: str) -> None:
        raise AssertionError


@pytest.fixture
def open_and_closed(recorder: Recorder) -> dict[str, Any]:
    """A namespace that answers, and ends those who say goodbye; and one that is closed."""
    answer = recorder.event

    async def event(socket: Socket, event: str, args: list[Any]) -> list[Any] | None:
        if event == "goodbye":
            socket.disconnect("so_long")
        return await answer(socket, event, args)

    recorder.event = event  # type: ignore[method-assign]
    return {"/": recorder, "/closed": Closed()}


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
async def test_the_javascript_client_works_over(
    transports: str, serve: Serve, node: Any, open_and_closed: dict[str, Any], recorder: Recorder, soon: Any
) -> None:
    async with serve(open_and_closed) as live:
        lines = await node("realtime_client.mjs", live.url, transports)
        assert lines == [
            ["connect_error", "no_entry", {"why": "closed"}],
            ["connect", "string"],
            ["transport", transports.rsplit(",", maxsplit=1)[-1]],
            ["ack", [1, "ä€😀", {"deep": [None, True]}][0]],
            ["echo", 10_000],
            ["order", True],
            ["disconnect", "io server disconnect", None],
        ]
        assert recorder.events[0] == ("question", [1, "ä€😀", {"deep": [None, True]}])
        await soon(lambda: recorder.reasons == ["so_long"])
        assert recorder.sockets[0].data == {"token": "t"}


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])
async def test_the_python_client_works_over(
    transports: str, serve: Serve, open_and_closed: dict[str, Any], recorder: Recorder, soon: Any
) -> None:
    async with serve(open_and_closed) as live, aiohttp.ClientSession() as http:
        client = socketio.AsyncClient(reconnection=False, http_session=http)
        heard: list[Any] = []
        client.on("echo", heard.append)
        await client.connect(live.url, auth={"token": "t"}, transports=transports.split(","), wait_timeout=5)
        assert client.transport() == transports.rsplit(",", maxsplit=1)[-1]
        assert await client.call("question", (1, {"a": "ä"}), timeout=5) == (1, {"a": "ä"})
        for n in range(50):
            await client.emit("echo", n)
        await soon(lambda: heard == list(range(50)))
        await client.emit("goodbye")
        await soon(lambda: not client.connected)
        await soon(lambda: recorder.reasons == ["so_long"])
        await leave(client, http)


async def test_the_javascript_client_comes_again_where_it_could_not_be_let_in_just_then(
    serve: Serve, node: Any, recorder: Recorder, soon: Any
) -> None:
    attempts: list[Socket] = []

    async def connect(socket: Socket, auth: object) -> None:
        attempts.append(socket)
        if len(attempts) in (2, 3):
            raise NotNow

    async def event(socket: Socket, event: str, args: list[Any]) -> None:
        socket.disconnect("moved", again=True)

    recorder.connect, recorder.event = connect, event  # type: ignore[method-assign]
    async with serve({"/": recorder}) as live:
        assert await node("realtime_again.mjs", live.url) == [["transport close", 4000, "moved"], ["back", True]]
        await soon(lambda: recorder.reasons == ["moved", "client_left"])
    assert len(attempts) == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NotNow(), "not_now"), (NotNow("store.away"), "store.away"), (RuntimeError("our own secret"), "not_now")],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_who_cannot_be_let_in_now_is_told_to_try_again(
    serve: Serve, raw: Any, recorder: Recorder, error: Exception, reason: str, at_once: bool
) -> None:
    async def waiting(socket: Socket, auth: object) -> None:
        raise error

    def connect(socket: Socket, auth: object) -> Any:
        if at_once:
            raise error
        return waiting(socket, auth)

    recorder.connect = connect  # type: ignore[method-assign]
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        client.text("40")
        assert await client.closed() == (1013, reason)
    assert recorder.reasons == []


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
@pytest.mark.parametrize("options", [Options(per_address=1), Options(max_handshakes=1)], ids=["429", "503"])
async def test_the_javascript_client_comes_again_where_there_was_no_room_for_its_handshake(
    serve: Serve, raw: Any, recorder: Recorder, transports: list[str], options: Options
) -> None:
    release = asyncio.Event()

    async def connect(socket: Socket, auth: object) -> None:
        if auth == {"slow": True}:
            await release.wait()

    recorder.connect = connect  # type: ignore[method-assign]
    async with serve({"/": recorder}, options) as live, JavaScript() as socket:
        halfway = await raw(live.port)
        halfway.text('40{"slow":true}')
        socket.comes_back(live.url, transports=transports)
        (error,) = await socket.hears("connect_error", 2)
        assert error["data"] is None, "no refusal of the namespace"
        release.set()
        await socket.hears("connect")


async def test_the_javascript_client_reads_why_and_comes_again(
    serve: Serve, node: Any, recorder: Recorder, soon: Any
) -> None:
    async def event(socket: Socket, event: str, args: list[Any]) -> None:
        socket.disconnect("moved", again=True)

    recorder.event = event  # type: ignore[method-assign]
    async with serve({"/": recorder}) as live:
        assert await node("realtime_again.mjs", live.url) == [["transport close", 4000, "moved"], ["back", True]]
        await soon(lambda: recorder.reasons == ["moved", "client_left"])
