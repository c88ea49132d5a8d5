"""Use cases of follows, in the order of the documentation."""

from __future__ import annotations

from typing import NoReturn

from plaza.domains.follows import queries
from plaza.domains.follows.queries import Added
from plaza.domains.follows.schemas import Follow, FollowChanges, Followed, Follower, Following, NewFollow, Which
from plaza.domains.people import NoSuchPerson, invite
from plaza.kernel import addresses
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.errors import Forbidden, Invalid, Missing, Refusal
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
    """Follow a person; following again changes nothing, and answers 200 with the follow that is there."""
    if wish.following_type == "page":
        raise NoSuchPage
    email, person = addresses.split(PersonRef(wish.following), "following")
    added = await _add(ctx, email, person)
    if added.verdict == "nobody" and email is not None:
        added = await _add(ctx, None, await invite(ctx, email))
    if added.follow is None:
        _refuse(added.verdict)
    return Made(added.follow, added.new)


async def _add(ctx: Context, email: str | None, person: int | None) -> Added:
    return await ctx.db.one(
        queries.ADD,
        org=ctx.org.id,
        me=ctx.me.id,
        email=email,
        person=person,
        id=ctx.new_id(),
        origin=ctx.origin,
        now=ctx.now,
    )


def _refuse(verdict: str) -> NoReturn:
    raise _REFUSALS[verdict]


async def change(ctx: Context, following_id: PersonRef, changes: FollowChanges) -> Follow:
    """Mute somebody you follow, or choose whether to be told of what they publish; what is left out stays."""
    email, number = addresses.split(following_id, "followingId")
    changed = await ctx.db.maybe(
        queries.CHANGE,
        org=ctx.org.id,
        me=ctx.me.id,
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
    await ctx.db.one(
        queries.REMOVE,
        org=ctx.org.id,
        me=ctx.me.id,
        email=email,
        id=number,
        type=which.following_type,
        origin=ctx.origin,
        now=ctx.now,
    )
    return Ok()


async def followers(ctx: Context, paging: Paging) -> Listing[Follower]:
    """Who follows you, the newest first; people blocked either way are left out."""
    rows = await ctx.db.all(
        queries.FOLLOWERS,
        org=ctx.org.id,
        me=ctx.me.id,
        before=paging.before(),
        rows=paging.size() + 1,
        offset=paging.offset(),
    )
    return listing(rows, paging)


async def following(ctx: Context, which: Followed) -> Listing[Following]:
    """Whom and what you follow, the newest first; people blocked either way are left out."""
    rows = await ctx.db.all(
        queries.FOLLOWING,
        org=ctx.org.id,
        me=ctx.me.id,
        type=which.following_type,
        before=which.before(),
        rows=which.size() + 1,
        offset=which.offset(),
    )
    return listing(rows, which)
