"""REST: the route tables on their prefixes; authenticate → decode → call → encode."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import structlog

from plaza.entry import decoding
from plaza.entry.answers import error_body
from plaza.entry.auth import Authenticator, bearer
from plaza.entry.concurrency import Concurrency, subject
from plaza.entry.http import ClientGone, Receive, Request, Scope, Send, respond
from plaza.entry.limits import Limits
from plaza.entry.metrics import Meter
from plaza.entry.proxies import Proxies
from plaza.entry.router import Router
from plaza.kernel import idempotency, limits
from plaza.kernel.context import Context, Organisation, Principal
from plaza.kernel.errors import AnswerGone, Forbidden, Invalid, MethodNotAllowed, Refusal, Unauthenticated
from plaza.kernel.idempotency import Answer
from plaza.kernel.ports import Store
from plaza.kernel.routes import Auth, Route, Table

log = structlog.get_logger("plaza.rest")
PREFIXES = ("client/community", "community")
"""Customers' and staff's; member routes are on both, those of staff on theirs alone (contract, decision 2)."""
IN_FLIGHT_MS = 5_000
"""How long a request waits for an earlier one with the same key."""
LONGEST_KEY = 255
NewContext = Callable[..., Context]


class Target(NamedTuple):
    """A route where it is mounted, or a page of the server's own (`page` takes the request and answers it)."""

    template: str
    route: Route | None = None
    page: Callable[[Request, Send], Any] | None = None


class PrivatePage(NamedTuple):
    """A page that only some requests may see."""

    target: Target
    admits: Callable[[Request], bool]


class Failure(Refusal):
    """Something in the server broke; what, stands in its log beside the request's id."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    reason = "server.error"
    temporary = True
    message = "Something went wrong here; the log has it under this request's id."


class Rest:
    """The HTTP side of the server."""

    def __init__(
        self,
        tables: Iterable[Table],
        authenticator: Authenticator,
        store: Store,
        context: NewContext,
        allow: Limits,
        meter: Meter,
        proxies: Proxies,
        concurrency: Concurrency,
        body_bytes: int,
        room: Callable[[], None],
    ) -> None:
        self._authenticator = authenticator
        self._store = store
        self._context = context
        self._limits = allow
        self._meter = meter
        self._proxies = proxies
        self._concurrency = concurrency
        self._body_bytes = body_bytes
        self._room = room
        self._router: Router[Target] = Router()
        self._private: dict[bytes, PrivatePage] = {}
        for path, route in mounted(tables):
            self._router.add(route.method, path, Target(path, route))

    def page(self, path: str, answer: Callable[[Request, Send], Any]) -> None:
        """Adds a page of the server's own at `/path`."""
        self._router.add("GET", path, Target(path, page=answer))

    def private_page(
        self, path: str, answer: Callable[[Request, Send], Any], admits: Callable[[Request], bool]
    ) -> None:
        """Adds a page at `/path`; a request that is not admitted gets the answer of a path that does not exist."""
        self._private[f"/{path}".encode()] = PrivatePage(Target(path, page=answer), admits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with self._meter.request(request) as measured:
            try:
                address = request.address(self._proxies)
                # Before anything is looked for: a page that is not there, or one of our own, costs as well.
                self._limits.take(*limits.takes((limits.STRANGERS,), org=0, person=None, address=address))
                target, values = self._find(request)
                measured.route = target.template
                if target.page is not None:
                    await target.page(request, send)
                    return
                status, body = await self._answer(target, values, request, address)
                measured.status = status
                await respond(send, request, status, body)
            except Refusal as refusal:
                measured.status = refusal.status
                self._meter.refusal(refusal.reason)
                await _refuse(send, request, refusal)
            except ClientGone:
                measured.status = 499
            except Exception:
                measured.status = 500
                log.exception("request.failed", request=request.id, route=measured.route)
                await _refuse(send, request, Failure())

    def _find(self, request: Request) -> tuple[Target, list[str]]:
        method = "GET" if request.method == "HEAD" else request.method
        private = self._private.get(request.path)
        if private is None or not private.admits(request):
            return self._router.find(method, request.segments())
        if method != "GET":
            raise MethodNotAllowed(["GET"])
        return private.target, []

    async def _answer(self, target: Target, values: list[str], request: Request, address: str) -> tuple[int, bytes]:
        route = target.route
        assert route is not None
        org = await self._authenticator.organisation(request.only("orgid"))
        person = await self._person(org, route.auth, request)
        ctx = self._context(org, person, request_id=request.id, address=address)
        ctx.spend(*route.per_request)
        if route.writes:
            self._room()
        shape = route.signature
        asked = decoding.query(shape.query, request.query())
        raw = await request.body(self._body_bytes) if route.writes else b""
        sent = decoding.body(shape.body, raw, request.header("content-type"))
        ctx.spend(*route.per_byte, amount=_weight(raw, sent))
        ctx.if_match = request.only("if-match") if route.writes else None
        arguments = shape.arguments(values, sent, asked)
        key = request.only("idempotency-key") if route.keyed else None
        async with self._concurrency.slot(subject(ctx)) as ctx.slot:
            if key is not None:
                return await self._once(ctx, route, arguments, key, request, sent)
            status, record = route.answer(await route.call(ctx, *arguments))
        return status, msgspec.json.encode(record)

    async def _person(self, org: Organisation, auth: Auth, request: Request) -> Principal | None:
        if auth == "public":
            return None
        if auth != "session":
            return await self._authenticator.person(org, _token(request), auth)
        with contextlib.suppress(Invalid, Unauthenticated, Forbidden):
            return await self._authenticator.person(org, _token(request), "account")
        return None

    async def _once(
        self, ctx: Context, route: Route, arguments: list[Any], key: str, request: Request, sent: Any
    ) -> tuple[int, bytes]:
        """The effect and its answer once for this key, in one transaction with the key itself."""
        if not 0 < len(key) <= LONGEST_KEY:
            raise Invalid.field("idempotency-key", f"must have 1 to {LONGEST_KEY} characters")
        path = request.path.removeprefix(b"/client")
        mark = idempotency.fingerprint(request.method, path, request.scope["query_string"], msgspec.json.encode(sent))
        async with ctx.transaction(self._store.transaction(lock_timeout_ms=IN_FLIGHT_MS)):
            db = ctx.db
            earlier = await idempotency.claim(db, org=ctx.org.id, person=ctx.me.id, key=key, mark=mark, now=ctx.now)
            if earlier is not None:
                return earlier.status, await _again(ctx, route, earlier)
            result = await route.call(ctx, *arguments)
            status, record = route.answer(result)
            kept = msgspec.json.encode(route.kept(result))
            await idempotency.store(db, org=ctx.org.id, person=ctx.me.id, key=key, status=status, body=kept)
            return status, msgspec.json.encode(record)


async def _again(ctx: Context, route: Route, earlier: Answer) -> bytes:
    """The answer to a retry: the thing as the caller may see it now."""
    if route.again is None:
        return earlier.body
    if earlier.thing is None:
        raise AnswerGone
    return msgspec.json.encode(await route.again(ctx, earlier.thing))


def mounted(tables: Iterable[Table]) -> Iterable[tuple[str, Route]]:
    """Every route with every path it is served at, without the leading slash."""
    for table in tables:
        for route in table.routes:
            if table.root:
                yield route.path, route
            else:
                for prefix in PREFIXES[1:] if route.auth == "staff" else PREFIXES:
                    yield f"{prefix}/{route.path}", route


def _weight(raw: bytes, sent: Any) -> int:
    """The bytes of a body that may be stored: white space, which costs its sender nothing, uses nobody's quota."""
    return min(len(raw), len(msgspec.json.encode(sent)))


def _token(request: Request) -> str | None:
    """The token of the person who acts: where a service signs the request, that of the person it acts for."""
    return bearer(request.only("x-client-authorization") or request.only("authorization"))


async def _refuse(send: Send, request: Request, refusal: Refusal) -> None:
    path = request.path.decode("ascii", errors="replace")[:2_048]
    body = error_body(refusal, path, request.id)
    await respond(send, request, refusal.status, body, headers=refusal.headers)
