"""The long-polling transport: an ASGI application under `Options.path`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from plaza.realtime import endings, engineio, handshake
from plaza.realtime.errors import Violation
from plaza.realtime.handshake import Answer, Request
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
        self.engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        request = _request(scope)
        if request.method == "OPTIONS":
            await _reply(self._cors(request), send, 204, b"")
            return
        answer = await self._served(request, receive)
        cors = self._cors(request)
        if isinstance(answer, bytes):
            await _reply(cors, send, 200, answer)
        elif answer is not None:
            await _reply(cors, send, answer.status, answer.body, answer.retry_after)

    async def _served(self, request: Request, receive: Receive) -> bytes | Answer | None:
        """The body of a 200, a refusal, or None where nobody waits for an answer."""
        query = handshake.query_of(request.query)
        if not handshake.ours(self.engine, request.path):
            return handshake.NOT_FOUND
        if query is None:
            return handshake.BAD_REQUEST
        answer = handshake.misfit(self.engine, query, request.headers, "polling")
        if answer is not None:
            return answer
        if "sid" not in query:
            return self._open(request) if request.method == "GET" else handshake.BAD_METHOD
        return await self._go_on(query["sid"], request, receive)

    def _open(self, request: Request) -> bytes | Answer:
        engine, options = self.engine, self.engine.options
        address = handshake.address_of(engine, request)
        answer = handshake.no_room(engine, address)
        if answer is not None:
            return answer
        polls = Polls(engine)
        polls.session = session = engine.open(polls, address, request.headers)
        session.blocked = True
        return engineio.open_packet(
            session.id, ("websocket",), options.ping_interval, options.ping_timeout, options.max_payload
        )

    async def _go_on(self, sid: str, request: Request, receive: Receive) -> bytes | Answer | None:
        session = self.engine.find(sid)
        if session is None:
            last = self.engine.farewells.take(sid) if request.method == "GET" else None
            return last or handshake.UNKNOWN_SID
        if not isinstance(session.link, Polls):
            return handshake.BAD_REQUEST
        if request.method == "GET":
            return await self._poll(session, session.link, receive)
        if request.method == "POST":
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

    def _cors(self, request: Request) -> list[tuple[bytes, bytes]]:
        """What a browser needs to show the answer to a page of another origin."""
        origin = request.headers.get("origin")
        if origin is None or not handshake.origin_allowed(self.engine, request.headers):
            return []
        headers = [(b"access-control-allow-origin", b"*")]
        if self.engine.options.origins is not None:
            # Credentials carry a load balancer's cookie; the list says whom we trust with it.
            headers = [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                (b"vary", b"Origin"),
            ]
        if request.method == "OPTIONS":
            headers += [
                (b"access-control-allow-methods", b"GET, POST"),
                (b"access-control-allow-headers", b"content-type, authorization"),
                (b"access-control-max-age", b"600"),
            ]
        return headers


def _request(scope: Scope) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    return Request(scope["method"], scope["path"], scope["query_string"], headers, client[0] if client else "")


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
