"""Use cases of notifications."""

from __future__ import annotations

from plaza.domains.notifications import queries
from plaza.domains.notifications.schemas import Filter, Ids, Notification, Read, UnreadCount
from plaza.kernel import ids
from plaza.kernel.context import Context
from plaza.kernel.paging import Listing, listing


async def notifications(ctx: Context, which: Filter) -> Listing[Notification]:
    """Your notifications, the newest first; those of people blocked either way are left out."""
    rows = await ctx.db.all(
        queries.LIST,
        org=ctx.org.id,
        me=ctx.me.id,
        unread=which.unread,
        type=which.type,
        before=which.before(),
        rows=which.size() + 1,
        offset=which.offset(),
    )
    return listing(rows, which)


async def mark_read(ctx: Context, which: Ids) -> Read:
    """Mark notifications as read by their ids; only yours count."""
    numbers = [ids.parse(text) for text in which.ids]
    return Read(await ctx.db.one(queries.READ, org=ctx.org.id, me=ctx.me.id, ids=numbers, now=ctx.now))


async def mark_all_read(ctx: Context) -> Read:
    """Mark all your notifications as read."""
    return Read(await ctx.db.one(queries.READ, org=ctx.org.id, me=ctx.me.id, ids=None, now=ctx.now))


async def unread_count(ctx: Context) -> UnreadCount:
    """How many notifications you have not read."""
    return UnreadCount(await ctx.db.one(queries.UNREAD, org=ctx.org.id, me=ctx.me.id))
