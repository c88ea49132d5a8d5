"""Pages about the server itself: whoever comes through a proxy, named or not, sees neither mail nor metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx2
import msgspec
import pytest

from plaza.entry.proxies import Proxies, is_loopback
from tests import nginx
from tests.server import SETTINGS, Running
from tests.world import World

KEY, TOKEN = "the-key-of-this-start", "scraper-secret-0123456789"
PAGES = ("outbox", "metrics")
HEADERS = [
    ("Forwarded", "for=203.0.113.7"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-For", ""),
    ("x-FORWARDED-proto", "https"),
    ("X-Forwarded-Host", "localhost"),
    ("X-Forwarded-Whatever", "1"),
    ("X-Real-IP", "127.0.0.1"),
    ("Via", "1.1 varnish"),
    ("CF-Connecting-IP", "203.0.113.7"),
    ("CF-Ray", "1"),
    ("CDN-Loop", "cloudflare"),
    ("True-Client-IP", "203.0.113.7"),
    ("Fastly-Client-IP", "203.0.113.7"),
    ("Fly-Client-IP", "203.0.113.7"),
    ("X-Client-IP", "203.0.113.7"),
    ("X-Envoy-External-Address", "203.0.113.7"),
    ("X-Amzn-Trace-Id", "Root=1"),
    ("Tailscale-User-Login", "eve@mail.test"),
    ("Origin", "https://evil.example"),
    ("Connection", "close"),
    ("Connection", "upgrade"),
    ("Upgrade", "websocket"),
]
"""What a proxy adds, or another site's page."""


async def raw(port: int, head: str) -> tuple[int, bytes]:
    """The status and the body of a request whose head is written as it stands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in answer.lower().splitlines() if line.startswith(b"content-length")
        )
        return int(answer.split()[1]), await reader.readexactly(length)
    finally:
        writer.close()


async def refused(http: httpx2.AsyncClient, path: str, *, method: str = "GET", **headers: str) -> bool:
    """Whether the answer is word for word that of a path that does not exist."""
    answers = []
    for asked in (path, "/nowhere-at-all"):
        answer = await http.request(method, asked, headers={"x-request-id": "same", **headers})
        lines = sorted(
            (name, value) for name, value in answer.headers.items() if name not in ("date", "content-length")
        )
        body = answer.text.replace(asked.partition("?")[0], "/…")
        answers.append((answer.status_code, lines, body))
    return answers[0] == answers[1] and answers[0][0] == 404


@pytest.fixture(scope="module")
def plain(module_database_url: str) -> Iterator[Running]:
    with Running(
        module_database_url, msgspec.structs.replace(SETTINGS, metrics_token=TOKEN), outbox_key=KEY
    ) as running:
        yield running


@pytest.fixture
async def here(plain: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=plain.url, timeout=20) as http:
        yield http


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_shown_to_this_computer_alone(plain: Running, here: httpx2.AsyncClient, path: str) -> None:
    for host in ("127.0.0.1", "localhost", "LocalHost", "[::1]", f"127.0.0.1:{plain.port}", "localhost:9"):
        answer = await here.get(f"/{path}", headers={"host": host})
        assert answer.status_code == 200, host
    for host in ("plaza.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:127", "127.1", ""):
        assert await refused(here, f"/{path}", host=host), host
    for name, value in HEADERS:
        assert await refused(here, f"/{path}", **{name: value}), name
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert await refused(here, f"/{path}", method=method, Via="1.1 proxy"), method
    assert (await here.post(f"/{path}")).status_code == 405


@pytest.mark.parametrize("path", PAGES)
async def test_a_head_that_only_a_proxy_writes_is_refused(plain: Running, path: str) -> None:
    local = f"Host: 127.0.0.1:{plain.port}"
    assert (await raw(plain.port, f"GET /{path} HTTP/1.1\n{local}"))[0] == 200
    for head in (
        f"GET /{path} HTTP/1.0\n{local}",
        f"GET /{path} HTTP/1.0",
        f"GET /{path} HTTP/1.1\n{local}\nConnection: close",
        f"GET /{path} HTTP/1.1\n{local}\nConnection: keep-alive, Upgrade",
        f"GET /{path} HTTP/1.1\nHost: evil.example",
    ):
        assert (await raw(plain.port, head))[0] == 404, head
    assert (await raw(plain.port, f"GET /{path} HTTP/1.1\n{local}\n{local}"))[0] in (400, 404)


async def test_the_key_opens_the_outbox_from_everywhere_and_a_wrong_one_is_no_answer(here: httpx2.AsyncClient) -> None:
    through = {"host": "plaza.example", "x-forwarded-for": "203.0.113.7"}
    assert (await here.get("/outbox", params={"key": KEY}, headers=through)).status_code == 200
    for key in ("", "x", KEY[:-1], KEY + "x", "é", TOKEN):
        assert (await here.get("/outbox", params={"key": key}, headers=through)).status_code == 404, key
    for query in (f"key={KEY}&key={KEY}", f"keys={KEY}", "key=%ff", "key"):
        assert (await here.get(f"/outbox?{query}", headers=through)).status_code == 404, query
    assert await refused(here, "/outbox?key=wrong", **through)


async def test_the_token_opens_the_metrics_from_everywhere_and_a_wrong_one_is_no_answer(
    here: httpx2.AsyncClient,
) -> None:
    through = {"host": "plaza.example", "x-forwarded-for": "203.0.113.7"}
    good = await here.get("/metrics", headers=through | {"authorization": f"Bearer {TOKEN}"})
    assert good.status_code == 200
    assert "plaza_request_seconds" in good.text
    for given in (
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        "Bearer",
        "Bearer \xe9",
        f"Bearer {KEY}",
    ):
        lines = [*through.items(), ("authorization", given)]
        answer = await here.get("/metrics", headers=[(name.encode(), value.encode("latin-1")) for name, value in lines])
        assert answer.status_code == 404, given
    assert await refused(here, "/metrics", Authorization="Bearer wrong", **through)
    twice = [("x-real-ip", "1"), ("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")]
    assert (await here.get("/metrics", headers=twice)).status_code == 404


async def test_without_a_token_metrics_are_for_this_computer_alone(world: World) -> None:
    assert (await world.http.get("/metrics")).status_code == 200
    for given in ("Bearer", "Bearer None", "Basic"):
        assert await refused(world.http, "/metrics", Authorization=given, Via="1.1 proxy")


async def test_where_others_come_in_mail_is_shown_for_the_key_alone(own_database_url: str) -> None:
    """The peer is then 127.0.0.1 mapped into IPv6, which is this computer for the metrics."""
    settings = msgspec.structs.replace(SETTINGS, host="::")
    with Running(own_database_url, settings, outbox_key=KEY) as running:
        async with httpx2.AsyncClient(base_url=running.url) as http:
            assert (await http.get("/metrics")).status_code == 200
            assert await refused(http, "/outbox")
            assert (await http.get(f"/outbox?key={KEY}")).status_code == 200


async def test_where_mail_is_sent_there_is_no_outbox(own_database_url: str) -> None:
    settings = msgspec.structs.replace(SETTINGS, smtp_url="smtp://127.0.0.1:1")
    with Running(own_database_url, settings, outbox_key=KEY) as running:
        async with httpx2.AsyncClient(base_url=running.url) as http:
            assert await refused(http, f"/outbox?key={KEY}")


@pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not on this machine")
@pytest.mark.parametrize(
    "lines",
    [
        "",
        "proxy_http_version 1.1;",
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
        " proxy_set_header Connection $connection_upgrade;",
        "proxy_http_version 1.1; proxy_set_header Connection upgrade; proxy_set_header Host $http_host;",
        "proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;",
        "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Forwarded-For $remote_addr;",
    ],
    ids=["nothing set", "1.1", "sockets", "host passed on", "real ip", "forwarded for"],
)
async def test_behind_a_real_proxy_that_nobody_named_pages_need_their_secret(plain: Running, lines: str) -> None:
    with nginx.Nginx(plain.port, lines) as proxy:
        for name in ("plaza.example", f"127.0.0.1:{plain.port}", "localhost"):
            async with proxy.client(name) as outside:
                assert (await outside.get("/healthz")).status_code == 200
                for path in PAGES:
                    assert await refused(outside, f"/{path}"), (name, path)
                assert (await outside.get(f"/outbox?key={KEY}")).status_code == 200
                scraped = await outside.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
                assert scraped.status_code == 200


async def test_a_proxy_that_nobody_named_is_warned_of_once(
    own_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = msgspec.structs.replace(SETTINGS, log_level="warning")
    with Running(own_database_url, settings) as running:
        async with httpx2.AsyncClient(base_url=running.url) as http:
            for path in ("/healthz", "/socket.io/?EIO=4&transport=polling"):
                await http.get(path)
            assert "proxy.unnamed" not in capsys.readouterr().err
            for _ in range(3):
                await http.get("/socket.io/?EIO=4&transport=polling", headers={"x-forwarded-for": "203.0.113.7"})
                await http.get("/healthz", headers={"x-real-ip": "203.0.113.7"})
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "proxy.unnamed" in line]
    warning = json.loads(line)
    assert (warning["level"], warning["peer"]) == ("warning", "127.0.0.1")
    assert "PLAZA_TRUSTED_PROXIES" in warning["advice"]


def test_of_a_proxy_that_was_named_nobody_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    named = Proxies(["127.0.0.1", "10.0.0.0/8"])
    named.notice("127.0.0.1", [b"host", b"x-forwarded-for"])
    named.notice("::ffff:10.1.2.3", [b"via"])
    named.notice("203.0.113.7", [b"host", b"user-agent"])
    assert caplog.records == []
    named.notice("203.0.113.7", [b"host", b"forwarded"])
    named.notice("203.0.113.8", [b"host", b"forwarded"])
    assert len(caplog.records) == 1


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"])
def test_a_peer_on_this_computer_is_known_in_every_form(peer: str) -> None:
    assert is_loopback(peer)


@pytest.mark.parametrize("peer", ["", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%lo", "::2", "localhost", "::"])
def test_a_peer_elsewhere_is_none(peer: str) -> None:
    assert not is_loopback(peer)
