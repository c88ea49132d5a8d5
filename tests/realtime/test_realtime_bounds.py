"""What one client may cost: unread events, unheard events, places in the queue at the door."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest

from plaza.realtime import Options, Refused, Socket
from plaza.realtime.outbox import Outbox

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1000, 60_000])
async def test_a_client_that_does_not_read_is_closed_and_others_lose_nothing(
    serve: Serve, raw: Any, recorder: Recorder, soon: Any, size: int
) -> None:
    async with serve({"/": recorder}, Options(close_timeout=1.0)) as live:
        slow, fine = await raw(live.port), await raw(live.port)
        await slow.join()
        await fine.join()
        for socket in recorder.sockets:
            socket.enter("garden")
        slow.reader._transport.pause_reading()  # the client's own stream
        while recorder.sockets[0].gone is None:
            live.server.emit("/", "garden", "grow", "x" * size)
            assert "grow" in await fine.next()
        assert recorder.sockets[0].gone == "slow_consumer"
        await soon(lambda: recorder.reasons == ["slow_consumer"])
        slow.reader._transport.resume_reading()
        assert await slow.closed() == (4001, "slow_consumer")


async def test_volatile_events_are_dropped_from_half_of_the_queue(
    serve: Serve, raw: Any, recorder: Recorder, soon: Any
) -> None:
    async with serve({"/": recorder}, Options(queue_events=20, close_timeout=0.01)) as live:
        client = await raw(live.port)
        await client.join()
        client.reader._transport.pause_reading()
        socket = recorder.sockets[0]
        session: Any = socket.outlet
        while not session.blocked:
            socket.emit("fill", "x" * 10_000)
            await asyncio.sleep(0)
        for n in range(20):
            socket.emit("typing", n, volatile=True)
        assert len(session.queue) < 10
        for n in range(9):
            socket.emit("message", n)
        await asyncio.sleep(0)
        assert socket.gone is None
        client.reader._transport.resume_reading()
        heard: list[str] = []
        while not heard or not heard[-1].startswith('42["message",8'):
            heard.append(await client.next())
        assert sum("message" in event for event in heard) == 9
        assert 0 < sum("typing" in event for event in heard) < 10


async def test_a_burst_in_one_tick_is_no_sign_of_a_slow_client(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        for n in range(1000):
            recorder.sockets[0].emit("n", n)
        for n in range(1000):
            assert await client.next() == f'42["n",{n}]'


async def test_who_sends_much_to_one_client_waits_for_it(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()

        async def send() -> None:
            for n in range(300):
                recorder.sockets[0].emit("n", n, "x" * 20_000)
                await recorder.sockets[0].drain()

        sending = asyncio.create_task(send())
        for n in range(300):
            assert (await client.next()).startswith(f'42["n",{n},')
        await sending
        recorder.sockets[0].emit("last")
        recorder.sockets[0].disconnect("done")
        await recorder.sockets[0].drain()


async def test_what_one_tick_sends_to_a_client_is_one_write(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        recorder.sockets[0].enter("garden")
        for n in range(10):
            live.server.emit("/", "garden", "grow", n)
            recorder.sockets[0].emit("mine", n)
        chunk = await client.reader.read(70_000)
        assert chunk.count(b"grow") == chunk.count(b"mine") == 10


class Outlet:
    """An outlet that writes down when it was flushed."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.queue: list[bytes] = []
        self.blocked = self.urgent = False
        self.name, self.log = name, log
        self.outlet = self

    def hold(self, frame: bytes, volatile: bool) -> None:
        raise AssertionError

    def flush(self) -> None:
        if self.queue:
            self.log.append(f"{self.name}:{b''.join(self.queue).decode()}")
            self.queue.clear()


async def test_a_large_room_is_written_in_slices_and_a_direct_message_does_not_wait_for_it() -> None:
    log: list[str] = []
    room = [Outlet(str(n), log) for n in range(6)]
    outbox = Outbox(2, 100)
    outbox.loop = asyncio.get_running_loop()
    outbox.many(room, [b"a"])
    outbox.many(room, [b"b"])
    outbox.one(room[5], b"c")
    await asyncio.sleep(0)
    assert log == ["5:abc", "0:ab", "1:ab"]
    outbox.many(room[:2], [b"d"])
    await asyncio.sleep(0)
    assert log[3:] == ["0:d", "1:d", "2:ab", "3:ab"]
    await asyncio.sleep(0)
    assert log[7:] == ["4:ab"]


class Busy:
    """Handles nothing before it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.handled = 0

    async def connect(self, socket: Socket, auth: object) -> None: ...

    async def event(self, socket: Socket, event: str, args: list[Any]) -> None:
        await self.go.wait()
        self.handled += 1

    def disconnected(self, socket: Socket, reason: str) -> None: ...


async def test_a_client_whose_handlers_are_busy_is_not_read_from(serve: Serve, raw: Any) -> None:
    busy = Busy()
    options = Options(inbound_events=8, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.01)
    async with serve({"/": busy}, options) as live:
        client = await raw(live.port)
        await client.join()
        for _ in range(2000):
            client.text('42["work","' + "x" * 2000 + '"]')
        await asyncio.sleep(0.3)
        assert client.writer.transport.get_write_buffer_size() > 0
        (session,) = live.server.engine.sessions.values()
        assert session.paused  # and alive: its answer to the ping is behind what we do not read
        busy.go.set()
        client.text('429["end"]')
        assert await client.next() == "439[]"
        assert busy.handled == 2001


async def test_polling_waits_for_busy_handlers_too(serve: Serve, recorder: Recorder) -> None:
    async with serve({"/": recorder}, Options(inbound_events=2)) as live, aiohttp.ClientSession() as http:
        url = f"{live.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(url) as answer:
            sid = (await answer.text()).split('"')[3]
        body = "\x1e".join(["40", *(f'42["n",{n}]' for n in range(30))])
        async with http.post(f"{url}&sid={sid}", data=body.encode()) as answer:
            assert await answer.text() == "ok"
        assert len(recorder.events) >= 28


class Careful:
    """Takes long to look at everybody, and lets in whom it likes."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def connect(self, socket: Socket, auth: object) -> None:
        await self.go.wait()
        if auth is not None:
            raise Refused("not you")

    async def event(self, socket: Socket, event: str, args: list[Any]) -> None: ...

    def disconnected(self, socket: Socket, reason: str) -> None: ...


@pytest.mark.parametrize("auth", ["", "{}"], ids=["let in", "refused"])
async def test_the_door_lets_so_many_in_at_once_and_tells_the_others_when_to_come(
    serve: Serve, raw: Any, refusal: Any, auth: str
) -> None:
    careful = Careful()
    async with serve({"/": careful}, Options(max_handshakes=3, retry_after=7, close_timeout=0.01)) as live:
        clients = [await raw(live.port) for _ in range(3)]
        for client in clients:
            client.text("40" + auth)
        with pytest.raises(refusal) as refused:
            await raw(live.port)
        assert refused.value.status == 503
        assert "retry-after: 7" in refused.value.head.lower()
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{live.url}/socket.io/?EIO=4&transport=polling") as answer,
        ):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
        careful.go.set()
        for client in clients:
            await client.next()
        assert await raw(live.port)


async def test_one_address_has_so_many_clients_outside_and_any_number_inside(
    serve: Serve, raw: Any, refusal: Any, soon: Any
) -> None:
    async with serve(options=Options(per_address=2, close_timeout=0.01)) as live:
        for _ in range(5):
            await (await raw(live.port)).join()
        outside = [await raw(live.port) for _ in range(2)]
        with pytest.raises(refusal) as refused:
            await raw(live.port)
        assert refused.value.status == 429
        outside[0].cut()
        await soon(lambda: not live.server.engine.gate.refusal("127.0.0.1"))
        assert await raw(live.port)


async def test_the_application_says_what_of_an_address_counts_as_one(
    serve: Serve, raw: Any, refusal: Any, recorder: Recorder, soon: Any
) -> None:
    options = Options(
        per_address=2,
        address=lambda peer, headers: headers.get("x-real-ip", peer),
        network=lambda address: address.rpartition(".")[0],
        close_timeout=0.01,
    )
    async with serve({"/": recorder}, options) as live:
        await (await raw(live.port, X_Real_IP="203.0.113.1")).join()
        assert recorder.sockets[0].address == "203.0.113.1"
        outside = [await raw(live.port, X_Real_IP=f"203.0.113.{number}") for number in (2, 3)]
        with pytest.raises(refusal) as refused:
            await raw(live.port, X_Real_IP="203.0.113.4")
        assert refused.value.status == 429
        assert await raw(live.port, X_Real_IP="203.0.114.4")
        outside[0].cut()
        await soon(lambda: not live.server.engine.gate.refusal("203.0.113"))
        assert await raw(live.port, X_Real_IP="203.0.113.4")


async def test_the_application_reads_the_address_and_may_ask_a_client_to_wait(
    serve: Serve, raw: Any, refusal: Any, recorder: Recorder
) -> None:
    options = Options(
        address=lambda peer, headers: headers.get("x-real-ip", peer),
        admit=lambda address: 30 if address == "203.0.113.9" else None,
        close_timeout=0.05,
    )
    async with serve({"/": recorder}, options) as live:
        await (await raw(live.port, X_Real_IP="203.0.113.1")).join()
        assert recorder.sockets[0].address == "203.0.113.1"
        with pytest.raises(refusal) as refused:
            await raw(live.port, X_Real_IP="203.0.113.9")
        assert refused.value.status == 429
        assert "retry-after: 30" in refused.value.head.lower()


async def test_who_only_stands_at_the_door_keeps_nobody_out_for_long(serve: Serve, raw: Any, refusal: Any) -> None:
    async with serve(options=Options(max_handshakes=2, close_timeout=0.01)) as live:
        for _ in range(2):
            await raw(live.port)
        with pytest.raises(refusal):
            await raw(live.port)
        await asyncio.sleep(1.2)
        assert await (await raw(live.port)).join()


async def test_a_stream_waits_for_the_client_and_leaves_the_queue_to_what_comes_meanwhile(
    serve: Serve, raw: Any, recorder: Recorder, soon: Any
) -> None:
    options = Options(queue_events=40, queue_bytes=100_000, kernel_bytes=4_096, close_timeout=0.01)
    async with serve({"/": recorder}, options) as live:
        client = await raw(live.port)
        await client.join()
        socket = recorder.sockets[0]
        client.reader._transport.pause_reading()
        frames = [live.server.encode("old", n, "x" * (200_000 if n == 3 else 30_000)) for n in range(30)]
        streaming = asyncio.create_task(socket.stream(frames))
        await soon(lambda: cast("Any", socket.outlet).blocked)
        for n in range(30):
            socket.emit("new", n, "y" * 3_000)
            await asyncio.sleep(0)
        assert socket.gone is None
        assert not streaming.done()
        client.reader._transport.resume_reading()
        heard = [json.loads((await client.next())[2:]) for _ in range(60)]
        await streaming
        assert [n for name, n, _ in heard if name == "old"] == list(range(30))
        assert [n for name, n, _ in heard if name == "new"] == list(range(30))


async def test_a_stream_to_a_client_that_leaves_ends(serve: Serve, raw: Any, recorder: Recorder, soon: Any) -> None:
    async with serve({"/": recorder}, Options(kernel_bytes=4_096, close_timeout=0.01)) as live:
        client = await raw(live.port)
        await client.join()
        client.reader._transport.pause_reading()
        socket = recorder.sockets[0]
        async with asyncio.TaskGroup() as group:
            group.create_task(socket.stream(live.server.encode("n", "x" * 60_000) for _ in range(200)))
            await soon(lambda: cast("Any", socket.outlet).blocked)
            client.cut()


async def test_a_poll_is_answered_with_so_many_bytes_and_one_packet_of_any_size(
    serve: Serve, recorder: Recorder
) -> None:
    async with serve({"/": recorder}, Options(max_payload=10_000)) as live, aiohttp.ClientSession() as http:
        url = f"{live.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(url) as answer:
            sid = (await answer.text()).split('"')[3]
        async with http.post(f"{url}&sid={sid}", data=b"40") as answer:
            assert await answer.text() == "ok"
        async with http.get(f"{url}&sid={sid}") as answer:
            assert (await answer.text()).startswith("40")
        sizes = [4_000, 4_000, 4_000, 50_000, 1_000, 8_000, *[10] * 40]
        for size in sizes:
            recorder.sockets[0].emit("n", "x" * size)
        polls: list[list[str]] = []
        while sum(map(len, polls)) < len(sizes):
            async with http.get(f"{url}&sid={sid}") as answer:
                polls.append((await answer.text()).split("\x1e"))
        assert [len(packet) - len('42["n",""]') for poll in polls for packet in poll] == sizes
        assert [len(poll) for poll in polls] == [2, 1, 1, 16, 16, 10]


async def test_what_waits_for_busy_handlers_is_bounded_in_bytes(serve: Serve, raw: Any, soon: Any) -> None:
    busy = Busy()
    async with serve({"/": busy}, Options(inbound_bytes=100_000, close_timeout=0.01)) as live:
        client = await raw(live.port)
        await client.join()
        (session,) = live.server.engine.sessions.values()
        for _ in range(3):
            client.text('42["work","' + "x" * 40_000 + '"]')
        await asyncio.sleep(0.05)
        assert not session.paused
        client.text('42["work","' + "x" * 40_000 + '"]')
        await soon(lambda: session.paused)
        busy.go.set()
        client.text('429["end"]')
        assert await client.next() == "439[]"
        assert busy.handled == 5
