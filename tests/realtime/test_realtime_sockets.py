"""What an application and its clients see of namespaces, rooms, events and acknowledgements."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from plaza.realtime import Frame, Refused, Socket

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio


async def test_a_client_comes_in_says_something_and_gets_its_answer(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/chat": recorder}) as live:
        client = await raw(live.port)
        sid = await client.join("/chat", {"token": "t"})
        socket = recorder.sockets[0]
        assert (socket.id, socket.namespace, socket.address, socket.data) == (sid, "/chat", "127.0.0.1", {"token": "t"})
        assert socket.headers["sec-websocket-version"] == "13"
        client.text('42/chat,7["say","hi",{"a":[1]}]')
        assert await client.next() == '43/chat,7["hi",{"a":[1]}]'
        assert socket.asked
        client.text('42/chat,["echo","no answer asked"]')
        assert await client.next() == '42/chat,["echo","no answer asked"]'
        assert not socket.asked


async def test_a_room_hears_one_event_and_others_do_not(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        clients = [await raw(live.port) for _ in range(4)]
        for client in clients:
            await client.join()
        for socket in recorder.sockets[:3]:
            socket.enter("garden")
        recorder.sockets[2].enter("shed")
        live.server.emit("/", "garden", "seed", 1, but=["shed", "nowhere"])
        live.server.emit("/", "nowhere", "unheard")
        live.server.emit("/", None, "end")
        assert [await client.next() for client in clients[:2]] == ['42["seed",1]'] * 2
        for client in clients:
            assert await client.next() == '42["end"]'
        assert set(live.server.sockets("/", "garden")) == set(recorder.sockets[:3])
        recorder.sockets[0].leave("garden")
        recorder.sockets[0].leave("garden")
        assert recorder.sockets[0].rooms == set()
        assert len(live.server.sockets("/", "garden")) == 2


async def test_a_frame_that_came_from_another_process_is_sent_as_it_is(
    serve: Serve, raw: Any, recorder: Recorder
) -> None:
    async with serve({"/": recorder, "/chat": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        await client.join("/chat")
        frame = Frame(live.server.encode("news", {"at": 1}).body)
        live.server.send("/", None, [frame])
        live.server.send("/chat", None, [frame])
        assert await client.next() == '42["news",{"at":1}]'
        assert await client.next() == '42/chat,["news",{"at":1}]'


class Slow:
    """Takes its time, never the same."""

    def __init__(self) -> None:
        self.running = 0
        self.order: list[int] = []

    async def connect(self, socket: Socket, auth: object) -> None: ...

    async def event(self, socket: Socket, event: str, args: list[Any]) -> list[Any]:
        self.running += 1
        assert self.running == 1
        await asyncio.sleep(random.random() / 500)
        self.order.append(args[0])
        self.running -= 1
        return args

    def disconnected(self, socket: Socket, reason: str) -> None: ...


async def test_events_of_one_socket_are_handled_and_acknowledged_in_order(serve: Serve, raw: Any) -> None:
    slow = Slow()
    async with serve({"/": slow}) as live:
        client = await raw(live.port)
        await client.join()
        for n in range(300):
            client.text(f'42{n}["send",{n}]')
        assert [await client.next() for _ in range(300)] == [f"43{n}[{n}]" for n in range(300)]
        assert slow.order == list(range(300))


async def test_a_handler_that_breaks_is_logged_and_kills_nothing(
    serve: Serve, raw: Any, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        client.text('421["fail"]')
        client.text('422["after"]')
        assert await client.next() == "432[]"
        assert "broken on purpose" in caplog.text


class Door:
    """A namespace whose `connect` does what the test says."""

    def __init__(self, connect: Any) -> None:
        self.connect = connect
        self.reasons: list[str] = []

    async def event(self, socket: Socket, event: str, args: list[Any]) -> None: ...

    def disconnected(self, socket: Socket, reason: str) -> None:
        self.reasons.append(reason)


async def test_what_is_sent_while_a_client_comes_in_arrives_behind_its_answer(serve: Serve, raw: Any) -> None:
    async def connect(socket: Socket, auth: object) -> None:
        socket.enter("garden")
        socket.emit("mine")
        live.server.emit("/", "garden", "ours")
        await asyncio.sleep(0.01)
        live.server.emit("/", None, "everybody's")

    async with serve({"/": Door(connect)}) as live:
        client = await raw(live.port)
        await client.join()
        assert [await client.next(), await client.next()] == ['42["mine"]', '42["ours"]']
        live.server.emit("/", None, "now")
        assert await client.next() == '42["now"]'


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (Refused("no_entry", {"code": 7}), '{"message":"no_entry","data":{"code":7}}'),
        (Refused("no_entry"), '{"message":"no_entry"}'),
    ],
)
async def test_a_client_that_is_not_let_in_reads_why_and_leaves_no_trace(
    serve: Serve, raw: Any, error: Exception, answer: str
) -> None:
    async def connect(socket: Socket, auth: object) -> None:
        socket.enter("garden")
        socket.emit("unheard")
        raise error

    door = Door(connect)
    async with serve({"/": door}) as live:
        client = await raw(live.port)
        client.text("40")
        assert await client.next() == f"44{answer}"
        assert live.server.sockets("/", "garden") == ()
        client.text('42["early"]')  # late packets of a namespace that was left are no offence
        client.text("40")
        assert await client.next() == f"44{answer}"
        assert door.reasons == []


async def test_a_client_that_leaves_while_it_comes_in_is_told_of_once(serve: Serve, raw: Any, soon: Any) -> None:
    came = asyncio.Event()

    async def connect(socket: Socket, auth: object) -> None:
        came.set()
        await asyncio.sleep(0.05)
        socket.enter("garden")

    door = Door(connect)
    async with serve({"/": door}) as live:
        client = await raw(live.port)
        client.text("40")
        await came.wait()
        client.cut()
        await soon(lambda: door.reasons == ["transport_closed"])
        assert live.server.sockets("/") == live.server.sockets("/", "garden") == ()


async def test_a_connect_may_change_its_mind(serve: Serve, raw: Any, soon: Any) -> None:
    async def connect(socket: Socket, auth: object) -> None:
        socket.disconnect("too_many")

    door = Door(connect)
    async with serve({"/": door}) as live:
        client = await raw(live.port)
        client.text("40")
        assert await client.next() == '44{"message":"too_many"}'
        assert door.reasons == ["too_many"]


async def test_the_application_parts_from_a_client_and_the_reason_arrives(
    serve: Serve, raw: Any, recorder: Recorder, soon: Any
) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        socket = recorder.sockets[0]
        socket.enter("garden")
        client.text('42["unheard"]')
        socket.emit("token_expired")
        socket.disconnect("token_expired")
        socket.disconnect("again")
        socket.emit("unheard")
        socket.enter("garden")
        assert [await client.next(), await client.next()] == ['42["token_expired"]', "41"]
        assert await client.closed() == (4000, "token_expired")
        await soon(lambda: recorder.reasons == ["token_expired"])
        assert recorder.events == []
        assert socket.gone == "token_expired"
        assert live.server.sockets("/", "garden") == ()


async def test_a_client_that_may_come_again_gets_no_disconnect_packet(
    serve: Serve, raw: Any, recorder: Recorder
) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        recorder.sockets[0].disconnect("moved", again=True)
        assert await client.receive() == (8, (4000).to_bytes(2, "big") + b"moved")


async def test_leaving_one_namespace_leaves_the_other(serve: Serve, raw: Any, recorder: Recorder, soon: Any) -> None:
    async with serve({"/": recorder, "/chat": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        await client.join("/chat")
        recorder.sockets[1].disconnect("enough")
        assert await client.next() == "41/chat,"
        client.text('421["still"]')
        assert await client.next() == "431[]"
        client.text("41")
        await soon(lambda: recorder.reasons == ["enough", "client_left"])
        assert await client.join("/chat")  # the session lives on, and every namespace may be entered again


async def test_what_a_client_sent_before_it_left_is_still_heard(
    serve: Serve, raw: Any, recorder: Recorder, soon: Any
) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        for n in range(40):
            client.text(f'42["n",{n}]')
        client.text("1")
        assert await client.closed() == (1000, "client_left")
        await soon(lambda: recorder.reasons == ["client_left"])
        assert [args[0] for _, args in recorder.events] == list(range(40))


async def test_reserved_names_are_not_emitted(serve: Serve, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        with pytest.raises(ValueError, match="disconnect"):
            live.server.emit("/", None, "disconnect")
