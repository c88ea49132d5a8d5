"""Use cases of the directory, in the order of the documentation."""

from __future__ import annotations

from typing import Any

import msgspec

from plaza.domains.directory import queries
from plaza.domains.directory.schemas import (
    Counters,
    PersonProfile,
    Relationship,
    Sought,
    Suggestion,
    Wished,
)
from plaza.domains.directory.suggestion_queries import SUGGESTIONS
from plaza.domains.people import NoSuchPerson, PublicProfile, sought
from plaza.kernel import addresses
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.paging import DEFAULT, MOST, Listing, listing


async def people(ctx: Context, wish: Sought) -> Listing[PublicProfile]:
    """The people of the organisation, the newest first, or those who have every word of `q` in what they show.

    `total` counts up to 10,000 people, and up to 100 whom a search finds; beyond, `totalExact` is false.
    """
    asked = sought(ctx.org.id, wish.q or "", _parts(wish.expertise), _parts(wish.interests))
    if asked.keys:
        rows = await ctx.db.all(queries.FIND, **_viewer(ctx), **wish.place, **asked._asdict())
        return listing(rows, wish, most=queries.COUNTED_FOUND)
    rows = await ctx.db.all(queries.PEOPLE, **_viewer(ctx), **wish.place)
    return listing(rows, wish, most=queries.COUNTED_PEOPLE)


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
    return _hidden(found) if found.relationship is not None and found.relationship.blocked else found


def _hidden(profile: PersonProfile) -> PersonProfile:
    """What a block leaves of a profile to whoever blocks: who it is, so that the block can be lifted."""
    community = msgspec.structs.replace(
        profile.community_profile, headline=None, bio=None, expertise=[], interests=[], looking_for=[], social_links={}
    )
    return msgspec.structs.replace(
        profile,
        **dict.fromkeys(("company", "job_title", "about", "phone", "location")),
        community_profile=community,
        badges=[],
        counters=Counters(0, 0, 0),
        relationship=Relationship(False, False, "none", None, True, 0, True),
    )


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
