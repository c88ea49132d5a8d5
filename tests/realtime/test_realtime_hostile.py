"""Clients that break every rule: each is closed at once, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from plaza.realtime import Options

if TYPE_CHECKING:
    from tests.realtime.conftest import Recorder, Serve

pytestmark = pytest.mark.anyio

FRAMES: dict[str, tuple[int, Any]] = {
    "a frame without a mask": (1002, lambda c: c.frame(b"4", mask=False)),
    "reserved bits": (1002, lambda c: c.frame(b"4", rsv=4)),
    "a compressed frame": (1002, lambda c: c.frame(b"\xaa\x00", rsv=4)),
    "a binary frame": (1003, lambda c: c.frame(b"4", 2)),
    "an unknown opcode": (1002, lambda c: c.frame(b"", 3)),
    "text that is no UTF-8": (1007, lambda c: c.frame(b"4\xff")),
    "a frame one byte too long": (1009, lambda c: c.frame(b"4" + b"x" * 262_144)),
    "the head of an endless frame": (1009, lambda c: c.writer.write(b"\x81\xff" + b"\xff" * 8)),
    "fragments over the limit": (1009, lambda c: [c.frame(b"x" * 140_000, 0 if n else 1, final=False) for n in (0, 1)]),
    "a fragment of nothing": (1002, lambda c: c.frame(b"x", 0)),
    "empty fragments without end": (1008, lambda c: [c.frame(b"", 0 if n else 1, final=False) for n in range(1100)]),
    "a ping too long": (1002, lambda c: c.frame(b"x" * 126, 9)),
    "a ping in fragments": (1002, lambda c: c.frame(b"x", 9, final=False)),
    "a flood of pings": (1008, lambda c: [c.frame(b"x", 9) for _ in range(5000)]),
    "a flood of pongs": (1008, lambda c: [c.frame(b"x", 10) for _ in range(5000)]),
    "close code 0": (1002, lambda c: c.frame(b"\0\0", 8)),
    "close code 999": (1002, lambda c: c.frame((999).to_bytes(2, "big"), 8)),
    "close code 65535": (1002, lambda c: c.frame(b"\xff\xff", 8)),
    "a close code of one byte": (1002, lambda c: c.frame(b"\x03", 8)),
    "a close reason that is no UTF-8": (1007, lambda c: c.frame(b"\x03\xe8\xff", 8)),
    "an empty message": (1002, lambda c: c.text("")),
    "an Engine.IO open packet": (1002, lambda c: c.text("0{}")),
    "an Engine.IO ping": (1002, lambda c: c.text("2")),
    "a probe outside an upgrade": (1002, lambda c: c.text("2probe")),
    "an upgrade outside an upgrade": (1002, lambda c: c.text("5")),
    "an Engine.IO noop": (1002, lambda c: c.text("6")),
    "an unknown Engine.IO packet": (1002, lambda c: c.text("9")),
    "a base64 packet": (1003, lambda c: c.text("bAQIDBA==")),
}
PACKETS: dict[str, tuple[int, Any]] = {
    "a binary event": (1003, lambda c: c.text('4551-["x",{"_placeholder":true,"num":0}]')),
    "a binary event with a billion attachments": (1003, lambda c: c.text('451000000000-["x"]')),
    "a binary acknowledgement": (1003, lambda c: c.text("461-1[]")),
    "packet type 7": (1002, lambda c: c.text("47")),
    "packet type 9": (1002, lambda c: c.text('49["x"]')),
    "a server's packet": (1002, lambda c: c.text('44{"message":"x"}')),
    "an acknowledgement id of 100 digits": (1002, lambda c: c.text("42" + "1" * 100 + '["x"]')),
    "an event name that is a number": (1002, lambda c: c.text("42[1]")),
    "an event name that is an object": (1002, lambda c: c.text('42[{"toString":""}]')),
    "no event name": (1002, lambda c: c.text("42[]")),
    "a reserved event name": (1002, lambda c: c.text('42["disconnect"]')),
    "10,000 arguments": (1008, lambda c: c.text('42["x"' + ",1" * 10_000 + "]")),
    "an array 30,000 deep": (1002, lambda c: c.text("42" + "[" * 30_000)),
    "JSON that is none": (1002, lambda c: c.text('42["x",NaN]')),
    "half a surrogate pair as bytes": (1007, lambda c: c.frame(b'42["x","\xed\xa0\xbd"]')),
    "half a surrogate pair behind JSON": (1002, lambda c: c.text('42["x","\\ud800"]x')),
    "a disconnect with a payload": (1002, lambda c: c.text("41{}")),
    "auth of a megabyte": (1009, lambda c: c.text("40" + json.dumps({"a": "x" * 1_000_000}))),
    "10,000 namespaces": (1008, lambda c: [c.text(f"40/{n}") for n in range(10_000)]),
    "an event in a namespace never entered": (1002, lambda c: c.text('42/other,["x"]')),
}
AFTER: dict[str, tuple[int, Any]] = {
    "connecting twice": (1002, lambda c: [c.text("40") for _ in range(10_000)]),
    "connecting and leaving without end": (1008, lambda c: [c.text("4" + str(n % 2)) for n in range(1, 10_000)]),
}


async def offence(client: Any, commit: Any) -> tuple[int, str]:
    """Commit it; the close code and reason, soon, and the connection is gone."""
    commit(client)
    async with asyncio.timeout(3):
        ended: tuple[int, str] = await client.closed()
        while await client.reader.read(65_536):
            pass
    return ended


@pytest.mark.parametrize("name", [*FRAMES, *PACKETS])
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
async def test_who_sends(serve: Serve, raw: Any, recorder: Recorder, name: str, inside: bool) -> None:
    code, commit = (FRAMES | PACKETS)[name]
    async with serve({"/": recorder}) as live:
        offender, bystander = await raw(live.port), await raw(live.port)
        await bystander.join()
        if inside:
            await offender.join()
        assert (await offence(offender, commit))[0] == code
        bystander.text('421["fine"]')
        assert await bystander.next() == "431[]"
        assert recorder.events == [("fine", [])]
        assert len(live.server.engine.sessions) == 1


@pytest.mark.parametrize("name", AFTER)
async def test_who_keeps(serve: Serve, raw: Any, recorder: Recorder, name: str, soon: Any) -> None:
    code, commit = AFTER[name]
    async with serve({"/": recorder}) as live:
        offender = await raw(live.port)
        await offender.join()
        assert (await offence(offender, commit))[0] == code
        await soon(lambda: len(recorder.reasons) == len(recorder.sockets))


async def test_an_event_before_any_connect_closes(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        assert await offence(await raw(live.port), lambda c: c.text('42["x"]')) == (1002, "packet outside a namespace")
        assert recorder.events == []


@pytest.mark.parametrize("auth", ["[1]", '"x"', "true"])
async def test_auth_that_is_no_object_is_a_connect_error(serve: Serve, raw: Any, auth: str) -> None:
    async with serve() as live:
        client = await raw(live.port)
        client.text("40/x," + auth)
        assert await client.next() == '44/x,{"message":"Invalid namespace"}'
        client.text("40/," + auth)
        answer = json.loads((await client.next()).removeprefix("44"))
        message = "Invalid auth payload"
        assert answer == {"message": message, "data": {"code": "request.invalid", "message": message}}


async def test_what_is_odd_but_allowed(serve: Serve, raw: Any, recorder: Recorder) -> None:
    async with serve({"/": recorder}) as live:
        client = await raw(live.port, Sec_WebSocket_Extensions="permessage-deflate")
        client.text("40/__proto__")
        assert "Invalid namespace" in await client.next()
        await client.join()
        client.text("43999[]")  # an acknowledgement that nobody asked for
        client.text("3")  # an answer to no ping
        client.frame(b"hello", 9)
        assert await client.receive() == (10, b"hello")
        client.frame(b'421["frag', final=False)
        client.frame(b"ments", 0, final=False)
        client.frame(b'"]', 0)
        assert await client.next() == "431[]"
        client.frame((1001).to_bytes(2, "big"), 8)
        assert await client.closed() == (1001, "")


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        ("/other", "EIO=4&transport=websocket", {}, 404),
        ("/socket.io/more", "EIO=4&transport=websocket", {}, 404),
        ("/socket.io/", "EIO=3&transport=websocket", {}, 400),
        ("/socket.io/", "EIO=4&transport=websocket&sid=__proto__", {}, 400),
        ("/socket.io/", "EIO=4&transport=websocket&" + "a=1&" * 50, {}, 400),
        ("/socket.io/", "EIO=4&transport=websocket", {"Sec_WebSocket_Version": "8"}, 400),
        ("/socket.io/", "EIO=4&transport=websocket", {"Sec_WebSocket_Key": "short"}, 400),
        ("/socket.io/", "EIO=4&transport=websocket", {"Sec_WebSocket_Key": "=?"}, 400),
    ],
)
async def test_a_handshake_is_refused(
    serve: Serve, raw: Any, refusal: Any, path: str, query: str, headers: dict[str, str], status: int
) -> None:
    async with serve() as live:
        with pytest.raises(refusal) as refused:
            await raw(live.port, query, path, **headers)
        assert refused.value.status == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 200),
        ("https://evil.example", 403),
        ("https://shop.example.evil.example", 403),
        ("https://evil-shop.example", 403),
        ("http://shop.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_origin(serve: Serve, raw: Any, refusal: Any, origin: str, status: int) -> None:
    async with serve(options=Options(origins=("https://shop.example",), close_timeout=0.01)) as live:
        headers = {"Origin": origin} if origin else {}
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{live.url}/socket.io/?EIO=4&transport=polling", headers=headers) as answer:
                assert answer.status == status
                assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)
            async with http.options(f"{live.url}/socket.io/", headers=headers) as answer:
                assert ("Access-Control-Allow-Methods" in answer.headers) == (status == 200)
        if status == 200:
            assert await raw(live.port, **headers)
        else:
            with pytest.raises(refusal) as refused:
                await raw(live.port, **headers)
            assert refused.value.status == 403


async def test_a_page_of_our_own_and_clients_that_are_no_browsers(serve: Serve, raw: Any) -> None:
    async with serve(options=Options(origins=("https://shop.example",), close_timeout=0.01)) as live:
        assert await raw(live.port, Sec_Fetch_Site="same-origin")
    async with serve(options=Options(origins=("https://shop.example",), originless=True, close_timeout=0.01)) as live:
        assert await raw(live.port)


async def test_random_bytes_for_a_moment_hurt_nobody(serve: Serve, raw: Any, recorder: Recorder) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    dice = random.Random(seed)
    options = Options(close_timeout=0.02, per_address=1000, max_handshakes=1000)
    async with serve({"/": recorder}, options) as live:
        bystander = await raw(live.port)
        await bystander.join()
        for n in range(150):
            client = await raw(live.port)
            if dice.random() < 0.5:
                await client.join()
            good = bytearray(b'\x81\x8c\0\0\0\0421["say",1]'.ljust(40, b"x"))
            for _ in range(dice.randrange(8)):
                good[dice.randrange(len(good))] = dice.randrange(256)
            client.writer.write(bytes(good) * dice.randrange(1, 20))
            if dice.random() < 0.3:
                client.cut()
            bystander.text(f'42{n}["fine"]')
            assert await bystander.next() == f"43{n}[]"
