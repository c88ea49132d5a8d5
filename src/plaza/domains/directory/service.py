"""Use cases of the directory, in the order of the documentation."""

from __future__ import annotations

from typing import Any

from plaza.domains.directory import queries
from plaza.domains.directory.schemas import PersonProfile, Sought, Suggestion, Wished
from plaza.domains.directory.suggestion_queries import SUGGESTIONS
from plaza.domains.people import NoSuchPerson, PublicProfile, sought
from plaza.kernel import addresses
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.paging import DEFAULT, MOST, Listing, listing


async def people(ctx: Context, wish: Sought) -> Listing[PublicProfile]:
    """The people of the organisation, the newest first, or those who have every word of `q` in what they show.

    `total` counts up to 10,000 people, and up to 1,000 whom a search finds.
    """
    asked = sought(ctx.org.id, wish.q or "", _parts(wish.expertise), _parts(wish.interests))
    if asked.keys:
        rows = await ctx.db.all(queries.FIND, **_viewer(ctx), **wish.place, **asked._asdict())
    else:
        rows = await ctx.db.all(queries.PEOPLE, **_viewer(ctx), **wish.place)
    return listing(rows, wish)


def _parts(named: str | None) -> list[str]:
    return (named or "").split(",")


async def person(ctx: Context, email: PersonRef) -> PersonProfile:
    """A person's profile as you may see it, by their address or id, with what lies between you."""
    address, number = addresses.split(email, "email")
    if ctx.person is None and ctx.org.settings.mask_emails:
        # Else whoever has a list of addresses could ask which of them are members, and who each is.
        address = None
    found = await ctx.db.maybe(queries.PROFILE, **_viewer(ctx), email=address, person=number)
    if found is None:
        raise NoSuchPerson
    return found


async def suggestions(ctx: Context, wish: Wished) -> Listing[Suggestion]:
    """People you may know: friends of friends, those whom you follow people who follow, shared interests, newcomers.

    Nobody who is blocked either way, tied to you already, or has left the directory.
    """
    size = min(wish.limit or DEFAULT, MOST)
    rows = await ctx.db.all(SUGGESTIONS, **_viewer(ctx), rows=size)
    return Listing(data=[row.item for row in rows], total=len(rows), has_next=False, limit=size, page_num=1)


def _viewer(ctx: Context) -> dict[str, Any]:
    """What decides what may be seen."""
    return {
        "org": ctx.org.id,
        "me": None if ctx.person is None else ctx.person.id,
        "staff": ctx.person is not None and ctx.person.is_staff,
        "unmasked": not ctx.org.settings.mask_emails,
    }
