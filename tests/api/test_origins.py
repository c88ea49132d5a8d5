"""Which pages may come in: the same on REST and on sockets (decisions/0022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.server import SETTINGS, Running
from tests.world import World

SHOP, PLAZA = "https://shop.example", "https://plaza.example"
POLLING, WEBSOCKET = "EIO=4&transport=polling", "EIO=4&transport=websocket"
ASKED = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "orgid,authorization"}
OWN: list[dict[str, str]] = [
    {},
    {"Origin": "http://{host}"},
    {"Origin": "https://{host}"},
    {"Origin": PLAZA, "Host": "plaza.example"},
    {"Origin": PLAZA, "Host": "Plaza.Example:443"},
    {"Origin": "http://plaza.example", "Host": "plaza.example:80"},
    {"Origin": "http://localhost:{port}", "Host": "localhost:{port}"},
    {"Origin": "http://[::1]:3000", "Host": "[::1]:3000"},
]
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "https://plaza.example:8443", "Host": "plaza.example"},
    {"Origin": "https://plaza.example.evil.example", "Host": "plaza.example"},
    {"Origin": "https://evil.example/plaza.example", "Host": "plaza.example"},
    {"Origin": "https://evil.example@plaza.example", "Host": "plaza.example"},
    {"Origin": PLAZA, "X-Forwarded-Host": "plaza.example"},
]


async def sockets_take(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> bool:
    """Whether a page may open a socket, by either transport."""
    async with http.get(f"{url}/socket.io/?{POLLING}", headers=headers) as answer:
        polling = answer.status
    try:
        async with http.ws_connect(f"{url}/socket.io/?{WEBSOCKET}", headers=headers):
            websocket = 200
    except aiohttp.WSServerHandshakeError as refusal:
        websocket = refusal.status
    assert polling == websocket
    assert polling in (200, 403)
    return polling == 200


async def rest_takes(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser lets a page of another origin call the API."""
    path = f"{url}/client/community/people/me"
    async with http.options(path, headers={**headers, **ASKED}) as answer:
        return answer.headers.get("Access-Control-Allow-Origin") in ("*", headers["Origin"]) and answer.status == 200


def filled(headers: Mapping[str, str], server: Running) -> dict[str, str]:
    return {name: value.format(host=f"127.0.0.1:{server.port}", port=server.port) for name, value in headers.items()}


@pytest.mark.parametrize("more", [{}, {"cors_origins": [SHOP]}, {"cors_origins": ["*"]}, {"public_url": f"{SHOP}/x"}])
async def test_the_same_pages_come_in_on_rest_and_on_sockets(database_url: str, more: dict[str, Any]) -> None:
    settings = msgspec.structs.replace(SETTINGS, **more)
    with Running(database_url, settings) as server:
        async with aiohttp.ClientSession() as http, World(server, "client/community") as world:
            (alice,) = await world.north.people("alice")
            for headers in (filled(one, server) for one in OWN):
                assert await sockets_take(http, server.url, headers), headers
                path = f"{server.url}/client/community/people/me"
                async with http.get(path, headers={**alice.headers, **headers}) as answer:  # no browser asks before it
                    assert answer.status == 200
            for headers in ({**filled(one, server)} for one in (*FOREIGN, {"Origin": SHOP})):
                named = "*" in settings.cors_origins or (bool(more) and headers["Origin"] == SHOP)
                assert await sockets_take(http, server.url, headers) == named, headers
                assert await rest_takes(http, server.url, headers) == named, headers


async def test_the_page_of_the_document_is_at_an_origin_that_may_call_the_api(world: World) -> None:
    """`/docs` opened in a browser, which sends the page's origin along with what is no plain GET."""
    alice, bob = await world.north.people("alice", "bob")
    assert (await world.http.get("/docs")).status_code == 200
    origin = {"origin": world.url, "sec-fetch-site": "same-origin"}
    answer = await alice.ask("POST", "messages", json={"to": bob.email, "content": "from the page"}, headers=origin)
    assert answer.status_code == 201
    async with aiohttp.ClientSession() as http:
        assert await sockets_take(http, world.url, {"Origin": world.url})
