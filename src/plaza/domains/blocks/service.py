"""Use cases of blocks."""

from __future__ import annotations

from plaza.domains.blocks import queries
from plaza.domains.blocks.schemas import Block, NewBlock
from plaza.domains.people import NoSuchPerson, invite, naming
from plaza.kernel import addresses, ids
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.errors import Invalid, Missing
from plaza.kernel.paging import Listing, Paging, listing
from plaza.kernel.routes import Made
from plaza.kernel.wire import Email, Ok, Record


class SelfBlock(Invalid):
    """Nobody blocks themselves."""

    reason = "block.self"
    message = "You cannot block yourself."


class NoSuchBlock(Missing):
    """The caller has no block of this id, or has lifted it."""

    reason = "block.not_found"
    message = "There is no such block."


class Absent(Record):
    """A person who is not to be seen as online."""

    email: Email


async def block(ctx: Context, wish: NewBlock) -> Made[Block]:
    """Block a person: neither sees or reaches the other any more, groups excepted; blocking again changes nothing."""
    names = naming(ctx, PersonRef(wish.target_id), "targetId")
    if names["email"] == ctx.me.email:
        raise SelfBlock
    if names["email"] is not None:
        await invite(ctx, names["email"])
    done = await ctx.db.one(
        queries.ADD,
        **ctx.viewer,
        **names,
        id=ctx.new_id(),
        reason=wish.reason,
        reason_details=wish.reason_details,
        context={"source": wish.context.source, "messageId": wish.context.message_id} if wish.context else None,
        now=ctx.now,
    )
    if done.target is None:
        raise NoSuchPerson
    if done.block is None:
        raise SelfBlock
    _part(ctx, done.target, done.block.target_id)
    return Made(done.block, new=bool(done.new))


async def found(ctx: Context, id: str) -> Block:  # noqa: A002 — the documentation's own name
    """A block of yours as it is now."""
    row = await ctx.db.maybe(queries.FIND, **ctx.viewer, id=ids.parse(id))
    if row is None:
        raise NoSuchBlock
    return row.block


async def unblock(ctx: Context, user_id: PersonRef) -> Ok:
    """Lift a block; lifting one that is not there changes nothing."""
    email, person = addresses.split(user_id, "userId")
    await ctx.db.maybe(queries.REMOVE, **ctx.viewer, email=email, person=person)
    return Ok()


async def blocks(ctx: Context, paging: Paging) -> Listing[Block]:
    """The people whom you have blocked, the newest block first."""
    rows = await ctx.db.all(queries.LIST, **ctx.viewer, **paging.place)
    return listing(rows, paging)


def _part(ctx: Context, target: int, target_email: str) -> None:
    """Each goes offline for the other at once; a client that shows a green dot must lose it."""
    ctx.tell(ctx.org.id, ctx.me.id, "userOffline", Absent(target_email))
    if ctx.me.email is not None:
        ctx.tell(ctx.org.id, target, "userOffline", Absent(ctx.me.email))
