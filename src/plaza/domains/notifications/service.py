"""Use cases of notifications."""

from __future__ import annotations

from plaza.domains.notifications import queries
from plaza.domains.notifications.schemas import Filter, Ids, Notification, Read, UnreadCount
from plaza.kernel import ids
from plaza.kernel.context import Context
from plaza.kernel.paging import Listing, listing


async def notifications(ctx: Context, which: Filter) -> Listing[Notification]:
    """Your notifications, the newest first; those of people blocked either way are left out."""
    rows = await ctx.db.all(queries.LIST, **ctx.viewer, **which.place, unread=which.unread, type=which.type)
    return listing(rows, which)


async def mark_read(ctx: Context, which: Ids) -> Read:
    """Mark notifications as read by their ids; only yours count."""
    numbers = [ids.parse(text) for text in which.ids]
    return Read(await ctx.db.one(queries.READ, **ctx.viewer, ids=numbers, now=ctx.now))


async def mark_all_read(ctx: Context) -> Read:
    """Mark all your notifications as read."""
    return Read(await ctx.db.one(queries.READ, **ctx.viewer, ids=None, now=ctx.now))


async def unread_count(ctx: Context) -> UnreadCount:
    """How many notifications you have not read."""
    return UnreadCount(await ctx.db.one(queries.UNREAD, **ctx.viewer))
