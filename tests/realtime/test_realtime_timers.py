"""Timeouts, clocks that jump, and the server's own end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest
import uvicorn

from plaza.realtime import Options, Server

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio

QUICK = Options(ping_interval=0.05, ping_timeout=0.05, connect_timeout=0.2, close_timeout=0.01)


async def test_a_client_that_does_not_answer_a_ping_is_closed(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}, QUICK) as live:
        client = await raw(live.port)
        await client.join()
        assert await client.closed() == (4002, "ping_timeout")
        assert recorder.reasons == ["ping_timeout"]


async def test_a_client_that_answers_stays_and_one_that_left_every_namespace_does_not(
    serve: Serve, raw: Any, recorder: Recorder
) -> None:
    async with serve({"/": recorder}, QUICK) as live:
        client = await raw(live.port)
        await client.join()
        started = time.monotonic()
        pings = 0
        while time.monotonic() < started + 0.5:
            opcode, payload = await client.receive()
            assert (opcode, payload) == (1, b"2")
            client.text("3")
            pings += 1
        assert pings > 3
        client.text("41")
        with pytest.raises(AssertionError, match="connect_timeout"):
            await client.next()


async def test_a_client_outside_every_namespace_is_closed_though_it_answers_pings(serve: Serve, raw: Any) -> None:
    async with serve(options=QUICK) as live:
        started = time.monotonic()
        client = await raw(live.port)
        with pytest.raises(AssertionError, match="connect_timeout"):
            await client.next()
        assert 0.15 < time.monotonic() - started < 1
        assert not live.server.engine.sessions


async def test_a_probe_that_is_never_completed_is_cut_and_the_session_goes_on(
    serve: Serve, raw: Any, recorder: Recorder
) -> None:
    options = msgspec.structs.replace(QUICK, ping_timeout=5.0)
    async with serve({"/": recorder}, options) as live, aiohttp.ClientSession() as http:
        base = f"{live.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(base) as answer:
            sid = (await answer.text()).split('"')[3]
        async with http.post(f"{base}&sid={sid}", data=b"40") as answer:
            assert answer.status == 200
        probe = await raw(live.port, f"EIO=4&transport=websocket&sid={sid}")
        probe.text("2probe")
        assert await probe.next() == "3probe"
        assert await probe.reader.read() == b""
        async with http.post(f"{base}&sid={sid}", data=b'421["alive"]') as answer:
            assert answer.status == 200
        assert recorder.events == [("alive", [])]
        again = await raw(live.port, f"EIO=4&transport=websocket&sid={sid}")
        again.text("2probe")
        assert await again.next() == "3probe"


async def test_the_wall_clock_has_no_say_and_the_monotonic_one_does(serve: Serve, raw: Any, recorder: Recorder) -> None:
    offset = 0.0
    async with serve({"/": recorder}, Options(close_timeout=0.01), lambda: time.monotonic() + offset) as live:
        client = await raw(live.port)
        await client.join()
        offset = 25.0
        assert await client.receive() == (1, b"2")
        offset = 25.0 + 20.5
        assert await client.closed() == (4002, "ping_timeout")


async def test_a_server_that_was_stopped_reads_the_answers_before_it_judges(
    serve: Serve, raw: Any, recorder: Recorder
) -> None:
    offset = 0.0
    async with serve({"/": recorder}, Options(close_timeout=0.01), lambda: time.monotonic() + offset) as live:
        client = await raw(live.port)
        await client.join()
        offset = 25.0
        assert await client.receive() == (1, b"2")
        client.text("3")
        offset = 95.0
        time.sleep(0.15)  # the loop is late: its timer is due before it reads
        await asyncio.sleep(0.15)
        assert recorder.sockets[0].gone is None


async def test_a_draining_server_refuses_newcomers_keeps_its_clients_and_parts_from_them_over_time(
    serve: Serve, raw: Any, refusal: Any, recorder: Recorder
) -> None:
    async with serve({"/": recorder}) as live:
        clients = [await raw(live.port) for _ in range(10)]
        for client in clients:
            await client.join()
        live.server.stop_accepting()
        assert live.server.refusing
        with pytest.raises(refusal) as refused:
            await raw(live.port)
        assert refused.value.status == 503
        live.server.emit("/", None, "going_away")
        assert {await client.next() for client in clients} == {'42["going_away"]'}

        async def gone(client: Any) -> float:
            assert await client.closed() == (1001, "going_away")
            return time.monotonic()

        closing = asyncio.create_task(live.server.close(over=0.4))
        moments = await asyncio.gather(*map(gone, clients))
        await closing
        assert 0.2 < max(moments) - min(moments) < 1
        assert recorder.reasons == ["going_away"] * 10


async def test_a_closing_server_waits_for_the_handlers(serve: Serve, raw: Any, recorder: Recorder) -> None:
    answer = recorder.event

    async def slowly(*arguments: Any) -> Any:
        await asyncio.sleep(0.1)
        return await answer(*arguments)

    recorder.event = slowly  # type: ignore[assignment, method-assign]
    async with serve({"/": recorder}) as live:
        client = await raw(live.port)
        await client.join()
        client.text('42["save"]')
        await asyncio.sleep(0.02)
        await live.server.close()
        assert recorder.events == [("save", [])]
        assert recorder.reasons == ["going_away"]


async def test_uvicorn_stops_without_waiting_for_who_is_here_and_closing_sends_them_away(
    raw: Any, recorder: Recorder
) -> None:
    server = Server({"/": recorder}, Options(close_timeout=0.01))
    await server.start()
    config = uvicorn.Config(
        server.polling, ws=server.websocket_protocol, port=0, lifespan="off", log_config=None, ws_ping_interval=None
    )
    runner = uvicorn.Server(config)
    running = asyncio.create_task(runner.serve())
    while not runner.started:
        await asyncio.sleep(0.01)
    client = await raw(runner.servers[0].sockets[0].getsockname()[1])
    await client.join()
    runner.should_exit = True
    await asyncio.wait_for(running, 5)
    closing = asyncio.create_task(server.close())
    assert await client.closed() == (1001, "going_away")
    await closing
    assert recorder.reasons == ["going_away"]
