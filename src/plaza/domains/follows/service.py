"""Use cases of follows, in the order of the documentation."""

from __future__ import annotations

from typing import Any

from plaza.domains.follows import queries
from plaza.domains.follows.queries import Added
from plaza.domains.follows.schemas import Follow, FollowChanges, Followed, Follower, Following, NewFollow, Which
from plaza.domains.people import NoSuchPerson, meet
from plaza.kernel import addresses, ids
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.errors import Forbidden, Invalid, Missing, Refusal
from plaza.kernel.limits import APPROACHES
from plaza.kernel.paging import Listing, Paging, listing
from plaza.kernel.routes import Made
from plaza.kernel.wire import Ok


class SelfFollow(Invalid):
    """Nobody follows themselves."""

    reason = "follow.self"
    message = "You cannot follow yourself."


class Blocked(Forbidden):
    """One of the two blocks the other."""

    reason = "follow.blocked"
    message = "You cannot follow this person."


class NoSuchPage(Missing):
    """No page of this id, or one that the caller may not see."""

    reason = "page.not_found"
    message = "There is no such page."


class NotFollowed(Missing):
    """The caller follows nobody of this name."""

    reason = "follow.not_found"
    message = "You do not follow this."


_REFUSALS: dict[str, type[Refusal]] = {"nobody": NoSuchPerson, "self": SelfFollow, "blocked": Blocked}


async def follow(ctx: Context, wish: NewFollow) -> Made[Follow]:
    """Follow a person; following again answers 200 with the follow that is there, and changes what the body says."""
    if wish.following_type == "page":
        raise NoSuchPage

    async def add(**whom: Any) -> Added:
        chosen = {"muted": wish.muted, "notify_on_post": wish.notify_on_post, "may_begin": token.granted}
        added = await ctx.db.one(queries.ADD, **ctx.writer, **whom, **chosen, id=ctx.new_id())
        if added.verdict == "limited" and token.refusal is not None:
            raise token.refusal
        return added

    with ctx.reserve(APPROACHES) as token:
        added = await meet(ctx, PersonRef(wish.following), "following", add)
        if added.follow is None:
            raise _REFUSALS[added.verdict]
        if added.new:
            token.keep()
        return Made(added.follow, added.new)


async def found(ctx: Context, id: str) -> Follow:  # noqa: A002 — the documentation's own name
    """A follow of yours as it is now."""
    follow = await ctx.db.maybe(queries.FIND, **ctx.viewer, id=ids.parse(id))
    if follow is None:
        raise NotFollowed
    return follow


async def change(ctx: Context, following_id: PersonRef, changes: FollowChanges) -> Follow:
    """Mute somebody you follow, or choose whether to be told of what they publish; what is left out stays."""
    email, number = addresses.split(following_id, "followingId")
    changed = await ctx.db.maybe(
        queries.CHANGE,
        **ctx.viewer,
        email=email,
        id=number,
        type=None,
        muted=changes.muted,
        notify_on_post=changes.notify_on_post,
    )
    if changed is None:
        raise NotFollowed
    return changed


async def unfollow(ctx: Context, following_id: PersonRef, which: Which) -> Ok:
    """Stop following, by address, by id or by the follow's own id; what is not followed stays so."""
    email, number = addresses.split(following_id, "followingId")
    await ctx.db.one(queries.REMOVE, **ctx.writer, email=email, id=number, type=which.following_type)
    return Ok()


async def followers(ctx: Context, paging: Paging) -> Listing[Follower]:
    """Who follows you, the newest first; people blocked either way are left out."""
    rows = await ctx.db.all(queries.FOLLOWERS, **ctx.viewer, **paging.place)
    return listing(rows, paging)


async def following(ctx: Context, which: Followed) -> Listing[Following]:
    """Whom and what you follow, the newest first; people blocked either way are left out."""
    rows = await ctx.db.all(queries.FOLLOWING, **ctx.viewer, **which.place, type=which.following_type)
    return listing(rows, which)
