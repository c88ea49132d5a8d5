"""Use cases of connections, in the order of the documentation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from plaza.domains.connections import list_queries, queries
from plaza.domains.connections.list_queries import ConnectionRow
from plaza.domains.connections.queries import Moved
from plaza.domains.connections.schemas import (
    SOURCES,
    Accepted,
    Connection,
    Filter,
    MutualConnection,
    NewRequest,
    Response,
    Stats,
)
from plaza.domains.people import NoSuchPerson, meet, naming
from plaza.kernel import ids
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.errors import Conflict, Forbidden, Invalid, Missing, Refusal
from plaza.kernel.limits import APPROACHES
from plaza.kernel.paging import Listing, Paging, listing
from plaza.kernel.sql import Statement
from plaza.kernel.wire import Ok

COOL_DOWN = timedelta(days=7)
"""How long somebody who was rejected waits before asking the same person again; the other side need not wait."""


class SelfConnection(Invalid):
    """Nobody connects with themselves."""

    reason = "connection.self"
    message = "You cannot connect with yourself."


class Blocked(Forbidden):
    """One of the two blocks the other."""

    reason = "connection.blocked"
    message = "You cannot connect with this person."


class AlreadyTied(Conflict):
    """The two are connected, or the caller has asked before."""

    reason = "connection.exists"
    message = "You are connected with this person, or have already asked."


class CoolingDown(Conflict):
    """The caller was rejected not long ago."""

    reason = "connection.rejected"
    message = "This person has rejected your request; ask again later."


class NoSuchConnection(Missing):
    """No such connection, or one between other people."""

    reason = "connection.not_found"
    message = "There is no such connection."


class NotYours(Forbidden):
    """Only the person asked answers a request."""

    reason = "connection.not_yours"
    message = "Only the person asked can answer a request."


class NotPending(Conflict):
    """The request has been answered."""

    reason = "connection.not_pending"
    message = "This request has been answered already."


class Over(Conflict):
    """A rejected request can neither be cancelled nor removed."""

    reason = "connection.over"
    message = "This request was rejected; there is nothing to remove."


_REFUSALS: dict[str, type[Refusal]] = {
    "nobody": NoSuchPerson,
    "self": SelfConnection,
    "blocked": Blocked,
    "exists": AlreadyTied,
    "cooling": CoolingDown,
    "missing": NoSuchConnection,
    "not_yours": NotYours,
    "not_pending": NotPending,
    "over": Over,
}


async def request(ctx: Context, wish: NewRequest) -> Connection:
    """Ask a person for a connection; where they have asked you already, or accept whoever scans their code, it is made.

    A rejected request may be sent again after seven days; who rejected it may ask at once.
    """
    source = (wish.context or {}).get("source")
    if source is not None and source not in SOURCES:
        raise Invalid.field("context.source", f"is none of {', '.join(SOURCES)}")

    asked = ctx.new_id()

    async def ask(**whom: Any) -> Moved:
        moved = await ctx.db.one(
            queries.REQUEST,
            **ctx.writer,
            **whom,
            id=asked,
            may_begin=token.granted,
            message=wish.message,
            context=wish.context,
            scanned=source == "qr_scan",
            cooled=ctx.now - COOL_DOWN,
        )
        if moved.verdict == "limited" and token.refusal is not None:
            raise token.refusal
        return moved

    with ctx.reserve(APPROACHES) as token:
        made = _moved(await meet(ctx, PersonRef(wish.target_id), "targetId", ask))
        if made.id == str(asked):  # else it answers a request of the other side
            token.keep()
        return made


def _moved(moved: Moved) -> Connection:
    if moved.connection is None:
        raise _REFUSALS[moved.verdict]
    return moved.connection


async def found(ctx: Context, id: str) -> Connection:  # noqa: A002 — the documentation's own name
    """A connection of yours as it is now."""
    row = await ctx.db.maybe(queries.FIND, **ctx.viewer, id=ids.parse(id))
    if row is None:
        raise NoSuchConnection
    return row.connection


async def respond(ctx: Context, id: str, response: Response) -> Connection:  # noqa: A002 — the documentation's own name
    """Accept or reject a request that was sent to you."""
    return _moved(
        await ctx.db.one(
            queries.RESPOND,
            **ctx.writer,
            id=ids.parse(id),
            status="accepted" if response.action == "accept" else "rejected",
            position=ctx.new_id(),
        )
    )


async def connections(ctx: Context, which: Filter) -> Listing[Connection]:
    """Your connections, or with `status` your requests of both directions; what changed last comes first."""
    reach = which.offset() + which.size() + 1
    return await _list(ctx, list_queries.LIST, which, status=which.status, reach=reach)


async def pending(ctx: Context, paging: Paging) -> Listing[Connection]:
    """The requests that wait for your answer, the newest first."""
    return await _list(ctx, list_queries.PENDING, paging)


async def sent(ctx: Context, paging: Paging) -> Listing[Connection]:
    """Your own requests that have not been answered yet, the newest first."""
    return await _list(ctx, list_queries.SENT, paging)


async def _list(
    ctx: Context, statement: Statement[ConnectionRow], paging: Paging, **more: object
) -> Listing[Connection]:
    rows = await ctx.db.all(statement, **ctx.viewer, **paging.pair, **more)
    return listing(rows, paging)


async def stats(ctx: Context) -> Stats:
    """How many connections you have, and how many requests wait on either side."""
    found = await ctx.db.one(list_queries.STATS, **ctx.viewer)
    return Stats(found.accepted + found.pending + found.sent, found.accepted, found.pending, found.sent)


async def mutual(ctx: Context, email: PersonRef, paging: Paging) -> Listing[MutualConnection]:
    """The people with whom both you and another person are connected.

    Somebody whom nobody knows yet has none in common with you, and so has somebody blocked either way. Where both have
    more than 1,000 connections, the newest of one are compared, and `totalExact` is false.
    """
    names = naming(ctx, email, "email")
    rows = await ctx.db.all(list_queries.MUTUAL, **ctx.viewer, **names, **paging.place)
    if names["person"] is not None and not rows[0].known:
        raise NoSuchPerson
    return listing(rows, paging, exact=rows[0].exact)


async def accept_all(ctx: Context) -> Accepted:
    """Accept every request that waits for your answer; those of people blocked either way stay as they are."""
    return Accepted(await ctx.db.one(queries.ACCEPT_ALL, **ctx.writer, position=ctx.new_id()))


async def end(ctx: Context, id: str) -> Ok:  # noqa: A002 — the documentation's own name
    """Cancel a pending request or remove a connection; either side may."""
    verdict = await ctx.db.one(queries.END, **ctx.writer, id=ids.parse(id))
    if verdict != "ended":
        raise _REFUSALS[verdict]
    return Ok()
