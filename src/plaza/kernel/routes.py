"""The route table: REST routes and socket events as data, read from the signatures of the use cases.

A use case is `async def verb(ctx, path parameters…, body or query) -> Record`. The parameter whose type is a `Body`
is the request's body (or a socket's payload), one whose type is a `Query` the query string, every other the segment
of the path with the same name. The first sentence of its docstring becomes the API document's.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from plaza.kernel.errors import Refusal, TooMany
from plaza.kernel.limits import BYTES, EVENTS, ORGANISATION_BYTES, READS, SIGN_INS, WRITES, Limit
from plaza.kernel.wire import Body, Query

T = TypeVar("T")
UseCase = Callable[..., Awaitable[Any]]
Auth = Literal["public", "session", "optional", "member", "account", "staff"]
"""`public`: the organisation alone; `session`: also the account of a token, nobody where the token does not hold;
`optional`: a person, or nobody while the organisation lets everybody read;
`member`: a person; `account`: also one whose address is not verified yet; `staff`: a person whose token says staff or
admin, below the prefix of staff alone.
"""
Method = Literal["GET", "POST", "PUT", "DELETE"]


class Made(msgspec.Struct, Generic[T], frozen=True):
    """What a creation gives that finds instead of making twice: `new` says which; on the wire 201 or 200."""

    record: T
    new: bool
    id: int | None = None
    """The id of a record that does not show it, for retries (`Route(again=…)`)."""


class Signature(NamedTuple):
    """What a use case takes after the context, and what it gives."""

    path: tuple[str, ...]
    body: type[Body] | None
    query: type[Query] | None
    returns: Any
    """The shape of the record that goes out."""
    finds: bool
    """Whether it may give what was there before (`Made`)."""
    kinds: tuple[Literal["path", "body", "query"], ...]
    """Where each parameter comes from, in order."""
    summary: str

    def arguments(self, values: Sequence[str], body: Body | None, query: Query | None) -> list[Any]:
        """What the use case takes after the context: path segments, body and query in its own order."""
        path = iter(values)
        sources: dict[str, Callable[[], Any]] = {"path": path.__next__, "body": lambda: body, "query": lambda: query}
        return [sources[kind]() for kind in self.kinds]


class Route:
    """One REST route; `path` is written below its prefix, with `:userId` for parameters.

    `limits` come on top of the ordinary one: reads or writes of a person, sign-ins of a network. `again` reads the
    record that a write answered once more, by its id where it takes one, for a retry with the same `Idempotency-Key`;
    only an answer of numbers alone needs none.
    """

    def __init__(
        self,
        method: Method,
        path: str,
        call: UseCase,
        *,
        status: int = 200,
        auth: Auth = "member",
        errors: Sequence[type[Refusal]] = (),
        limits: Sequence[Limit] = (),
        again: UseCase | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.call = call
        self.status = HTTPStatus(status)
        self.auth = auth
        self.limits = (*_ordinary(method, auth), *limits)
        self.per_request, self.per_byte = _by_unit(self.limits)
        self.errors = (*errors, *refusals(limits))
        self.signature = signature(call)
        if tuple(map(snake, re.findall(r":(\w+)", path))) != self.signature.path:
            raise TypeError(f"{method} {path}: the parameters are not those of {call.__qualname__}")
        self.again = None if again is None else _again(again)
        if self.keyed and (_words(self.signature.returns) if again is None else not self._identified()):
            raise TypeError(f"{method} {path}: say how a retry reads its answer again, by the id of its record")

    def _identified(self) -> bool:
        """Whether what the use case gives has an id."""
        fields = msgspec.structs.fields(self.signature.returns)
        return self.signature.finds or any(field.name == "id" for field in fields)

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    @property
    def keyed(self) -> bool:
        """Whether it takes an `Idempotency-Key`: a write of somebody who is known."""
        return self.writes and self.auth in ("member", "staff")

    def kept(self, result: Any) -> Any:
        """What retries need of what the use case gave: the id of the record, or itself where it is numbers alone."""
        if self.again is None:
            return result
        if isinstance(result, Made):
            return {"id": result.record.id if result.id is None else str(result.id)}
        return {"id": result.id}

    def answer(self, result: Any) -> tuple[HTTPStatus, Any]:
        """The status and the record of what the use case gave."""
        if isinstance(result, Made):
            return self.status if result.new else HTTPStatus.OK, result.record
        return self.status, result


class Event:
    """One socket event that clients emit; `reply` shapes the acknowledgement from what the use case gives.

    `quiet` names the target of a payload: a socket's second event to the same target within a second is passed over.
    `writes` says that it is stored. `limits` come on top of that of all events, and of those of bytes if it writes.
    """

    def __init__(
        self,
        name: str,
        call: UseCase,
        *,
        reply: Callable[[Any], object] | None = None,
        errors: Sequence[type[Refusal]] = (),
        quiet: Callable[[Any], str] | None = None,
        limits: Sequence[Limit] = (),
        writes: bool = False,
    ) -> None:
        self.name = name
        self.call = call
        self.reply = reply or succeeded
        self.writes = writes
        self.quiet = quiet
        self.limits = (EVENTS, *(BYTES if writes else ()), *limits)
        self.per_request, self.per_byte = _by_unit(self.limits)
        self.errors = (*errors, *refusals(self.limits))
        self.signature = signature(call)


class Push(NamedTuple):
    """One socket event that the server emits, for the document: its name, its payload and its audience."""

    name: str
    payload: type[msgspec.Struct]
    audience: str


class Table(NamedTuple):
    """What one domain offers to the world."""

    name: str
    routes: tuple[Route, ...] = ()
    events: tuple[Event, ...] = ()
    pushes: tuple[Push, ...] = ()
    root: bool = False
    """Mounted at the root (`/profile…`) instead of on the two community prefixes."""


def refusals(limits: Iterable[Limit]) -> Iterable[type[Refusal]]:
    """The refusals of limits that have one of their own."""
    return (limit.refusal for limit in limits if limit.refusal is not TooMany)


def _by_unit(limits: Iterable[Limit]) -> tuple[tuple[Limit, ...], tuple[Limit, ...]]:
    """The limits of which the entry takes a token for each request, and those of which it takes one for each byte."""
    entry = [limit for limit in limits if not limit.by_use_case]
    return tuple(limit for limit in entry if not limit.of_bytes), tuple(limit for limit in entry if limit.of_bytes)


def _ordinary(method: Method, auth: Auth) -> tuple[Limit, ...]:
    if auth not in ("public", "session"):
        return (READS,) if method == "GET" else (WRITES, *BYTES)
    return () if method == "GET" else (SIGN_INS, ORGANISATION_BYTES)


def _again(call: UseCase) -> Callable[[Any, str], Awaitable[Any]]:
    """`call` as a function of the context and an id."""
    named = signature(call).path
    return call if named else lambda ctx, _: call(ctx)


def _words(shape: Any) -> bool:
    """Whether a record may hold a word of somebody's: whether it is more than numbers."""
    return any(_bare(field.type) not in (bool, int) for field in msgspec.structs.fields(shape))


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def succeeded(result: object) -> object:
    """The acknowledgement of a use case that gives a flat record: its fields beside `success`."""
    return {"success": True, **msgspec.to_builtins(result)}


def snake(name: str) -> str:
    """`userId` as `user_id`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def signature(call: UseCase) -> Signature:
    """What a use case's annotations say."""
    hints = typing.get_type_hints(call, include_extras=True)
    path: list[str] = []
    shapes: dict[str, Any] = {"body": None, "query": None}
    kinds: list[Literal["path", "body", "query"]] = []
    for name in tuple(inspect.signature(call).parameters)[1:]:
        kind = _kind(hints[name])
        kinds.append(kind)
        if kind == "path":
            path.append(name)
        else:
            shapes[kind] = hints[name]
    summary = (inspect.getdoc(call) or "").split("\n\n")[0].replace("\n", " ")
    finds = typing.get_origin(hints["return"]) is Made
    returns = typing.get_args(hints["return"])[0] if finds else hints["return"]
    return Signature(tuple(path), shapes["body"], shapes["query"], returns, finds, tuple(kinds), summary)


def _kind(hint: Any) -> Literal["path", "body", "query"]:
    if isinstance(hint, type) and issubclass(hint, Body):
        return "body"
    return "query" if isinstance(hint, type) and issubclass(hint, Query) else "path"
