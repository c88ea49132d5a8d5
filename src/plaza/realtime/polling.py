"""The long-polling transport: an ASGI application under `Options.path`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from plaza.realtime import endings, engineio, handshake
from plaza.realtime.errors import Violation
from plaza.realtime.handshake import Answer
from plaza.realtime.heads import Head
from plaza.realtime.polls import Polls
from plaza.realtime.rfc6455 import TOO_BIG

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine
    from plaza.realtime.session import Session

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Polling:
    """GET opens a session or waits for packets, POST brings some, OPTIONS asks for a browser's permission."""

    def __init__(self, engine: Engine) -> None:
        options = engine.options
        self.engine = engine
        self._opening = engineio.Opening(
            ("websocket",), options.ping_interval, options.ping_timeout, options.max_payload
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        head = Head()
        for name, value in scope["headers"]:
            head.on_header(name, value)
        headers = head.headers
        cors = self._cors(scope["method"], headers)
        if scope["method"] == "OPTIONS":
            await _reply(cors, send, 204, b"")
            return
        answer = await self._served(scope, headers, receive)
        if isinstance(answer, bytes):
            await _reply(cors, send, 200, answer)
        elif answer is not None:
            await _reply(cors, send, answer.status, answer.body, answer.retry_after)

    async def _served(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> bytes | Answer | None:
        """The body of a 200, a refusal, or None where nobody waits for an answer."""
        options, method = self.engine.options, scope["method"]
        request = handshake.request(options, "polling", scope["path"], scope["query_string"], headers)
        if request.refusal is not None:
            return request.refusal
        if method == "POST" and _encoded(headers):
            return handshake.ENCODED
        if "sid" in request.query:
            self.engine.inbox.hear()  # what its WebSocket said before this request, an upgrade above all
            return await self._go_on(request.query["sid"], method, receive)
        if method != "GET":
            return handshake.BAD_METHOD
        peer = scope.get("client")
        return self._open(handshake.address_of(options, peer[0] if peer else "", headers), request.kept)

    def _open(self, address: str, kept: Mapping[str, str]) -> bytes | Answer:
        polls = Polls(self.engine)
        session = self.engine.open(polls, address, kept)
        if isinstance(session, Answer):
            return session
        polls.session = session
        session.blocked = True
        return self._opening.packet(session.id)

    async def _go_on(self, sid: str, method: str, receive: Receive) -> bytes | Answer | None:
        session = self.engine.find(sid)
        if session is None:
            last = self.engine.farewells.take(sid) if method == "GET" else None
            return last or handshake.UNKNOWN_SID
        if not isinstance(session.link, Polls):
            return handshake.BAD_REQUEST
        if method == "GET":
            return await self._poll(session, session.link, receive)
        if method == "POST":
            return await self._post(session, session.link, receive)
        return handshake.BAD_REQUEST

    async def _poll(self, session: Session, polls: Polls, receive: Receive) -> bytes | Answer | None:
        if polls.waiting is not None:
            session.end(endings.BROKEN)
            return handshake.BAD_REQUEST
        answer = polls.wait()
        if answer.done():
            return answer.result()
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            return None
        finally:
            gone.cancel()
            if not answer.done():  # the client went away, or the HTTP server stops
                session.end(endings.TRANSPORT_CLOSED)

    async def _post(self, session: Session, polls: Polls, receive: Receive) -> bytes | Answer | None:
        if polls.posting:
            session.end(endings.BROKEN)
            return handshake.BAD_REQUEST
        polls.posting = True
        try:
            body = await _body(receive, self.engine.options.max_payload)
            for kind, data in engineio.decode_payload(body):
                if session.ended:
                    break
                session.received(kind, data)
                await polls.readable()
        except Violation as violation:
            session.violated(violation)
            return handshake.TOO_LARGE if violation.code == TOO_BIG else handshake.BAD_REQUEST
        except ConnectionError:
            session.end(endings.TRANSPORT_CLOSED)
            return None
        finally:
            polls.posting = False
        return b"ok"

    def _cors(self, method: str, asked: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """What a browser needs to show the answer to a page of another origin."""
        origin = asked.get("origin")
        if origin is None or not handshake.origin_allowed(self.engine.options, asked):
            return []
        headers = [(b"access-control-allow-origin", b"*")]
        if self.engine.options.origins is not None:
            # Credentials carry a load balancer's cookie; the list says whom we trust with it.
            headers = [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                (b"vary", b"Origin"),
            ]
        if method == "OPTIONS":
            headers += [
                (b"access-control-allow-methods", b"GET, POST"),
                (b"access-control-allow-headers", b"content-type, authorization"),
                (b"access-control-max-age", b"600"),
            ]
        return headers


def _encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body would have to be decompressed."""
    named = (headers.get("content-encoding", ""), headers.get("transfer-encoding", ""))
    return any(name.strip().lower() not in ("", "identity", "chunked") for name in named)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive, limit: int) -> bytes:
    """The request's body; raises Violation over the limit, ConnectionError when the client goes away."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise Violation(TOO_BIG, f"request over {limit} bytes")
    return bytes(body)


async def _reply(
    cors: list[tuple[bytes, bytes]], send: Send, status: int, body: bytes, retry_after: int | None = None
) -> None:
    kind = b"text/plain; charset=utf-8" if status == 200 else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store"), *cors]
    if status == 413:
        headers.append((b"connection", b"close"))  # what is left of the body is not worth reading
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
