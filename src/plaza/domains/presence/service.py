"""Use cases of presence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta

from plaza.domains.presence import queries
from plaza.domains.presence.queries import OnlinePerson
from plaza.kernel.context import Context

LEASE_SECONDS = 40
"""A process that has not renewed its rows for so long is gone, and those on it with it."""

Online = Annotated[Sequence[OnlinePerson], Meta(max_length=10_000)]


async def online(ctx: Context) -> Online:
    """Who is online in your organisation, yourself included; people blocked either way are left out."""
    return await ctx.db.all(queries.ONLINE, **ctx.viewer, lapsed=lapsed(ctx.now))


def online_now(person: str) -> str:
    """SQL: whether a person, given as `(organisation, person)`, has a socket open; binds `:lapsed`."""
    # `offset 0`: looked up for each person asked about; else everybody who is online would be read first.
    return f"""exists (select 1 from presence join node on node.id = presence.node and seen_at > :lapsed
        where (presence.org, presence.person) = ({person}) offset 0)"""


def lapsed(now: datetime, lease_seconds: float = LEASE_SECONDS) -> datetime:
    """Rows not renewed since are over."""
    return now - timedelta(seconds=lease_seconds)
