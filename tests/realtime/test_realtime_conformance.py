"""The cases of the protocols' published suites, against the echo server as it ships.

Binary ones aside, four of them: this server takes no binary packets, and ends the connection (decisions/0006).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.realtime.conftest import Echoes

pytestmark = pytest.mark.anyio

OPEN_KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


class Echoed:
    """An echo server and a client session for it."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self.http = http
        self.base = base

    async def get(self, query: str) -> tuple[int, str]:
        """A request, as (status, body)."""
        async with self.http.get(f"{self.base}?{query}") as answer:
            return answer.status, await answer.text()

    async def send(self, method: str, query: str, body: str = "") -> tuple[int, str]:
        """Another one."""
        async with self.http.request(method, f"{self.base}?{query}", data=body.encode()) as answer:
            return answer.status, await answer.text()

    async def open(self) -> str:
        """A new long-polling session: the query of its requests."""
        status, body = await self.get("EIO=4&transport=polling")
        assert status == 200
        return f"EIO=4&transport=polling&sid={json.loads(body[1:])['sid']}"

    async def socket(self, query: str = "EIO=4&transport=websocket") -> aiohttp.ClientWebSocketResponse:
        """A WebSocket."""
        return await self.http.ws_connect(f"{self.base}?{query}")


@pytest.fixture
async def engine(echo_servers: Echoes) -> AsyncIterator[Echoed]:
    """The echo of Engine.IO messages."""
    async with aiohttp.ClientSession() as http:
        yield Echoed(http, f"http://127.0.0.1:{echo_servers['engine']}/engine.io/")


@pytest.fixture
async def socket(echo_servers: Echoes) -> AsyncIterator[Echoed]:
    """The echo of Socket.IO events."""
    async with aiohttp.ClientSession() as http:
        yield Echoed(http, f"http://127.0.0.1:{echo_servers['socket']}/socket.io/")


@pytest.fixture(params=["engine", "socket"])
async def either(request: pytest.FixtureRequest, engine: Echoed, socket: Echoed) -> Echoed:
    """One, then the other."""
    return engine if request.param == "engine" else socket


async def text(websocket: aiohttp.ClientWebSocketResponse) -> str:
    """The next text message."""
    message = await websocket.receive(timeout=5)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return str(message.data)


async def closed(websocket: aiohttp.ClientWebSocketResponse) -> None:
    """The server closes, whatever it says before."""
    while (await websocket.receive(timeout=5)).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
        pass


async def test_polling_opens_a_session(either: Echoed) -> None:
    status, body = await either.get("EIO=4&transport=polling")
    assert status == 200
    assert body[0] == "0"
    opened = json.loads(body[1:])
    assert set(opened) == OPEN_KEYS
    assert opened["upgrades"] == ["websocket"]
    assert (opened["pingInterval"], opened["pingTimeout"], opened["maxPayload"]) == (300, 200, 1_000_000)


async def test_websocket_opens_a_session(either: Echoed) -> None:
    opened = json.loads((await text(await either.socket()))[1:])
    assert set(opened) == OPEN_KEYS
    assert opened["upgrades"] == []
    assert (opened["pingInterval"], opened["pingTimeout"], opened["maxPayload"]) == (300, 200, 1_000_000)


@pytest.mark.parametrize("query", ["transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"])
async def test_an_invalid_query_is_refused(either: Echoed, query: str) -> None:
    assert (await either.get(query))[0] == 400
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await either.socket(query.replace("polling", "websocket"))
    assert refusal.value.status == 400


async def test_a_session_is_not_opened_by_other_methods(either: Echoed) -> None:
    assert (await either.send("POST", "EIO=4&transport=polling"))[0] == 400
    assert (await either.send("PUT", "EIO=4&transport=polling"))[0] == 400


@pytest.mark.parametrize("payload", ["4hello", "4test1\x1e4test2\x1e4test3"])
async def test_polling_carries_messages_both_ways(engine: Echoed, payload: str) -> None:
    query = await engine.open()
    assert await engine.send("POST", query, payload) == (200, "ok")
    assert await engine.get(query) == (200, payload)


async def test_polling_refuses_an_invalid_packet_and_closes(engine: Echoed) -> None:
    query = await engine.open()
    assert (await engine.send("POST", query, "abc"))[0] == 400
    assert (await engine.get(query))[0] == 400


async def test_two_polls_at_once_close_the_session(engine: Echoed) -> None:
    query = await engine.open()
    answers = sorted(await asyncio.gather(engine.get(query), engine.get(query)))
    assert answers[0] == (200, "1")
    assert answers[1][0] == 400
    assert (await engine.get(query))[0] == 400


async def test_a_cancelled_poll_closes_the_session(engine: Echoed) -> None:
    query = await engine.open()
    poll = asyncio.create_task(engine.get(query))
    await asyncio.sleep(0.02)
    poll.cancel()
    await asyncio.sleep(0.02)
    assert (await engine.get(query))[0] == 400


async def test_websocket_carries_messages_both_ways(engine: Echoed) -> None:
    websocket = await engine.socket()
    await text(websocket)
    await websocket.send_str("4hello")
    assert await text(websocket) == "4hello"


async def test_websocket_closes_upon_an_invalid_packet(engine: Echoed) -> None:
    websocket = await engine.socket()
    await websocket.send_str("abc")
    await closed(websocket)


async def test_polling_is_pinged_and_answers(either: Echoed) -> None:
    query = await either.open()
    for _ in range(3):
        assert await either.get(query) == (200, "2")
        assert await either.send("POST", query, "3") == (200, "ok")


async def test_polling_without_an_answer_to_the_ping_is_over(either: Echoed) -> None:
    query = await either.open()
    await asyncio.sleep(0.5 + 0.3)  # a server that had no core for its sweep gives the client that much more
    assert (await either.get(query))[0] == 400


async def test_websocket_is_pinged_and_without_an_answer_closed(either: Echoed) -> None:
    websocket = await either.socket()
    await text(websocket)
    for _ in range(3):
        assert await text(websocket) == "2"
        await websocket.send_str("3")
    await closed(websocket)


async def test_the_client_closes_a_polling_session(either: Echoed) -> None:
    query = await either.open()
    poll = asyncio.create_task(either.get(query))
    await asyncio.sleep(0.02)
    assert await either.send("POST", query, "1") == (200, "ok")
    assert await poll == (200, "6")
    assert (await either.get(query))[0] == 400


async def test_the_client_closes_a_websocket_session(either: Echoed) -> None:
    websocket = await either.socket()
    await websocket.send_str("1")
    await closed(websocket)


async def upgraded(echo: Echoed) -> tuple[str, aiohttp.ClientWebSocketResponse]:
    query = await echo.open()
    websocket = await echo.socket(query.replace("polling", "websocket"))
    await websocket.send_str("2probe")
    assert await text(websocket) == "3probe"
    assert await echo.get(query) == (200, "6")
    await websocket.send_str("5")
    return query, websocket


async def test_polling_upgrades_to_websocket(engine: Echoed) -> None:
    _, websocket = await upgraded(engine)
    await websocket.send_str("4hello")
    assert await text(websocket) == "4hello"


async def test_after_an_upgrade_other_requests_of_the_session_are_refused(engine: Echoed) -> None:
    query, websocket = await upgraded(engine)
    assert (await engine.get(query))[0] == 400
    await websocket.send_str("4hello")
    assert await text(websocket) == "4hello"


async def test_after_an_upgrade_another_websocket_of_the_session_is_accepted_and_closed(engine: Echoed) -> None:
    query, websocket = await upgraded(engine)
    second = await engine.socket(query.replace("polling", "websocket"))
    assert (await second.receive(timeout=5)).type == aiohttp.WSMsgType.CLOSE
    await websocket.send_str("4hello")
    assert await text(websocket) == "4hello"


async def test_an_upgrade_that_waits_for_nothing_counts_at_once(either: Echoed) -> None:
    query = await either.open()
    websocket = await either.socket(query.replace("polling", "websocket"))
    await websocket.send_str("2probe")
    await websocket.send_str("5")
    assert (await either.get(query))[0] == 400
    await closed(await either.socket(query.replace("polling", "websocket")))
    assert await text(websocket) == "3probe"


@pytest.mark.parametrize(
    ("connect", "prefix", "auth"),
    [
        ("40", "40", '42["auth",{}]'),
        ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
        ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
        ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
    ],
)
async def test_a_client_connects_with(socket: Echoed, connect: str, prefix: str, auth: str) -> None:
    websocket = await socket.socket()
    await text(websocket)
    await websocket.send_str(connect)
    answer = await text(websocket)
    assert answer.startswith(prefix)
    assert set(json.loads(answer[len(prefix) :])) == {"sid"}
    assert await text(websocket) == auth


async def connected(echo: Echoed) -> aiohttp.ClientWebSocketResponse:
    websocket = await echo.socket()
    await websocket.send_str("40")
    for _ in range(3):
        await text(websocket)
    return websocket


async def test_an_unknown_namespace_is_refused(socket: Echoed) -> None:
    websocket = await socket.socket()
    await text(websocket)
    await websocket.send_str("40/random")
    assert await text(websocket) == '44/random,{"message":"Invalid namespace"}'


async def test_a_client_that_connects_to_nothing_is_closed(socket: Echoed) -> None:
    websocket = await socket.socket()
    async with asyncio.timeout(2):
        while (message := await websocket.receive()).type == aiohttp.WSMsgType.TEXT:
            await websocket.send_str("3")
    assert message.type == aiohttp.WSMsgType.CLOSE
    assert message.extra == "connect_timeout"


async def test_leaving_the_main_namespace_keeps_the_session(socket: Echoed) -> None:
    websocket = await connected(socket)
    await websocket.send_str("41")
    assert await text(websocket) == "2"


async def test_leaving_one_namespace_keeps_the_other(socket: Echoed) -> None:
    websocket = await connected(socket)
    await websocket.send_str("40/custom")
    assert (await text(websocket)).startswith("40/custom,")
    assert (await text(websocket)).startswith("42/custom,")
    await websocket.send_str("41/custom")
    await websocket.send_str('42["message","message to main namespace"]')
    assert await text(websocket) == '42["message-back","message to main namespace"]'


async def test_events_come_back_and_are_acknowledged(socket: Echoed) -> None:
    websocket = await connected(socket)
    await websocket.send_str('42["message",1,"2",{"3":[true]}]')
    assert await text(websocket) == '42["message-back",1,"2",{"3":[true]}]'
    await websocket.send_str('42456["message-with-ack",1,"2",{"3":[false]}]')
    assert await text(websocket) == '43456[1,"2",{"3":[false]}]'


@pytest.mark.parametrize("packet", ["4abc", "42{}", '42abc["message-with-ack",1]'])
async def test_an_invalid_packet_closes_the_connection(socket: Echoed, packet: str) -> None:
    websocket = await connected(socket)
    await websocket.send_str(packet)
    await closed(websocket)


async def test_the_echo_server_explains_its_flags() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "plaza.realtime.echo", "--help", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    for flag in ("--port", "--ping-interval", "--ping-timeout", "--max-payload", "--connect-timeout", "--engine"):
        assert flag in out.decode()
