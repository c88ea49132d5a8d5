"""Long-polling: who breaks its rules, the upgrade, and the last words of a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from plaza.realtime import Options

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio

NO_CODE = (0, "")
"""A close frame without a code."""

POSTS: dict[str, tuple[bytes, int]] = {
    "binary": (b"bAQIDBA==", 400),
    "nothing": (b"", 400),
    "no UTF-8": (b"4\xff", 400),
    "an invalid packet among good ones": (b"40\x1eabc", 400),
    "more packets than any client has": (b"\x1e".join([b"3"] * 1025), 400),
    "JSONP": (b"d=40", 400),
    "over the limit": (b"4" + b"x" * 262_144, 413),
}


@pytest.mark.parametrize("name", POSTS)
async def test_who_posts(serve: Serve, recorder: Recorder, name: str) -> None:
    body, status = POSTS[name]
    async with serve({"/": recorder}) as live, aiohttp.ClientSession() as http:
        base = f"{live.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(base) as answer:
            sid = (await answer.text()).split('"')[3]
        async with http.post(f"{base}&sid={sid}", data=body) as answer:
            assert answer.status == status
        async with http.get(f"{base}&sid={sid}") as answer:
            assert answer.status == 400
        assert not live.server.engine.sessions


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "EIO=4&transport=polling&j=0", 400),
        ("GET", "EIO=3&transport=polling", 400),
        ("GET", "EIO=4&transport=polling&sid=__proto__", 400),
        ("POST", "EIO=4&transport=polling&sid=nobody", 400),
        ("DELETE", "EIO=4&transport=polling", 400),
        ("GET", "EIO=4&transport=websocket", 400),
        ("GET", "EIO=4&transport=polling&" + "a=1&" * 50, 400),
    ],
)
async def test_a_request_is_refused(serve: Serve, method: str, query: str, status: int) -> None:
    async with serve() as live, aiohttp.ClientSession() as http:
        async with http.request(method, f"{live.url}/socket.io/?{query}") as answer:
            assert answer.status == status
            assert set(await answer.json()) == {"code", "message"}
        async with http.get(f"{live.url}/other/?{query}") as answer:
            assert answer.status == 404


async def polling(http: aiohttp.ClientSession, live: Any) -> str:
    """A long-polling client inside the namespace; the address of its requests."""
    base = f"{live.url}/socket.io/?EIO=4&transport=polling"
    async with http.get(base) as answer:
        sid = (await answer.text()).split('"')[3]
    async with http.post(f"{base}&sid={sid}", data=b"40") as answer:
        assert answer.status == 200
    async with http.get(f"{base}&sid={sid}") as answer:
        assert (await answer.text()).startswith("40{")
    return f"{base}&sid={sid}"


def link(live: Any) -> Any:
    """What carries the only session."""
    (session,) = live.server.engine.sessions.values()
    return session.link


async def test_other_methods_do_not_touch_a_session(serve: Serve) -> None:
    async with serve() as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        async with http.delete(url) as answer:
            assert answer.status == 400
        assert len(live.server.engine.sessions) == 1


async def test_two_posts_at_once_close_the_session(serve: Serve, soon: Any) -> None:
    async with serve() as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)

        async def dribble() -> Any:
            yield b"4"
            await asyncio.sleep(0.2)
            yield b'2["x"]'

        first = asyncio.create_task(http.post(url, data=dribble()))
        polls = link(live)
        await soon(lambda: polls.posting)
        async with http.post(url, data=b"3") as answer:
            assert answer.status == 400
        assert not live.server.engine.sessions
        (await first).close()


async def test_a_post_that_breaks_off_closes_the_session(serve: Serve, raw: Any, recorder: Recorder, soon: Any) -> None:
    async with serve({"/": recorder}) as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        _, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(f"POST {url[len(live.url) :]} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n4".encode())
        polls = link(live)
        await soon(lambda: polls.posting)
        writer.transport.abort()
        await soon(lambda: recorder.reasons == ["transport_closed"])


async def test_an_upgrade_is_offered_once_and_only_as_a_probe(serve: Serve, raw: Any, refusal: Any) -> None:
    async with serve() as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        query = url.split("?")[1].replace("polling", "websocket")
        probe = await raw(live.port, query)
        assert await (await raw(live.port, query)).closed() == NO_CODE
        with pytest.raises(refusal):
            await raw(live.port, query.replace("EIO=4", "EIO=3"))
        probe.text('42["too early"]')
        assert await probe.closed() == (1002, "not a probe")
        probe.cut()
        await asyncio.sleep(0.05)
        again = await raw(live.port, query)
        again.frame(b"", 9)
        assert await again.receive() == (10, b"")
        again.text("2probe")
        assert await again.next() == "3probe"
        async with http.post(url, data=b"1") as answer:
            assert answer.status == 200
        again.text("5")
        assert await again.closed() == (1008, "session is over")


async def test_a_second_websocket_of_a_session_is_accepted_and_closed_and_the_first_goes_on(
    serve: Serve, raw: Any
) -> None:
    async with serve() as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        query = url.split("?")[1].replace("polling", "websocket")
        probe = await raw(live.port, query)
        probe.text("2probe")
        probe.text("5")
        assert await probe.next() == "3probe"
        upgraded = await raw(live.port, query)
        assert await upgraded.closed() == NO_CODE
        upgraded.text('421["from the second"]')
        probe.text('422["alive"]')
        assert await probe.next() == "432[]"
        first = await raw(live.port)
        second = await raw(live.port, f"EIO=4&transport=websocket&sid={first.sid}")
        assert await second.closed() == NO_CODE
        await first.join()


async def test_a_request_that_waits_is_let_go_when_the_client_upgrades(serve: Serve, raw: Any, soon: Any) -> None:
    async with serve() as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        waiting = asyncio.create_task(http.get(url))
        polls = link(live)
        await soon(lambda: polls.waiting)
        probe = await raw(live.port, url.split("?")[1].replace("polling", "websocket"))
        probe.text("2probe")
        assert await probe.next() == "3probe"
        async with await waiting as answer:
            assert await answer.text() == "6"
        probe.text("5")
        live.server.emit("/", None, "over")
        assert await probe.next() == '42["over"]'


async def test_the_last_words_reach_a_polling_client_that_was_between_two_requests(
    serve: Serve, recorder: Recorder
) -> None:
    async with serve({"/": recorder}) as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        for n in range(20):
            recorder.sockets[0].emit("n", n)
        recorder.sockets[0].disconnect("enough")
        texts = []
        for _ in range(3):
            async with http.get(url) as answer:
                texts.append(await answer.text())
        assert [text.count("\x1e") + 1 for text in texts] == [16, 5, 1]
        assert texts[1].endswith("41")
        assert texts[2] == "1"
        async with http.get(url) as answer:
            assert answer.status == 400


async def test_a_polling_client_that_does_not_come_is_a_slow_consumer(
    serve: Serve, recorder: Recorder, soon: Any
) -> None:
    options = Options(queue_events=10, close_timeout=0.01)
    async with serve({"/": recorder}, options) as live, aiohttp.ClientSession() as http:
        url = await polling(http, live)
        for n in range(10):
            live.server.emit("/", None, "typing", n, volatile=True)
        for n in range(5):
            live.server.emit("/", None, "message", n)
        async with http.get(url) as answer:
            assert (await answer.text()).count("\x1e") == 9
        for n in range(11):
            live.server.emit("/", None, "message", n)
        await soon(lambda: recorder.reasons == ["slow_consumer"])
        async with http.get(url) as answer:
            assert await answer.text() == "1"
