"""Use cases of people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from plaza.domains.people import queries
from plaza.domains.people.queries import PersonRow
from plaza.domains.people.schemas import Profile, ProfileChanges
from plaza.kernel.context import Context, Organisation
from plaza.kernel.errors import Forbidden, Missing
from plaza.kernel.sql import Database


class NoSuchPerson(Missing):
    """No person of this organisation, or one whom the caller may not see."""

    reason = "person.not_found"
    message = "There is no such person."


class Suspended(Forbidden):
    """Staff have suspended this person."""

    reason = "person.suspended"
    message = "This account is suspended."


class AddressTaken(Forbidden):
    """The token's address belongs to somebody with another subject."""

    reason = "person.address_taken"
    message = "This e-mail address belongs to another person of the organisation."


async def arrive(
    db: Database,
    org: Organisation,
    *,
    subject: str,
    email: str,
    name: str | None,
    picture: str | None,
    now: datetime,
    new_id: Callable[[], int],
) -> PersonRow:
    """The person of a verified token, made just in time; an unclaimed person of the address is claimed by it."""
    person = await db.maybe(queries.BY_SUBJECT, org=org.id, subject=subject)
    if person is None:
        first, _, last = (name or "").strip().partition(" ")
        person = await db.maybe(
            queries.ARRIVE,
            org=org.id,
            id=new_id(),
            email=email,
            subject=subject,
            first_name=first[:100],
            last_name=last.strip()[:100],
            image=picture,
            now=now,
        )
    if person is None:
        raise AddressTaken
    if person.status != "active":
        raise Suspended
    return person


async def invite(ctx: Context, email: str) -> int:
    """The id of the person at an address, made unclaimed when nobody has used it yet (contract, decision 16)."""
    return await ctx.db.one(queries.INVITE, org=ctx.org.id, id=ctx.new_id(), email=email, now=ctx.now)


async def me(ctx: Context) -> Profile:
    """Your own profile and preferences."""
    return await ctx.db.one(queries.PROFILE, org=ctx.org.id, me=ctx.me.id)


async def change_me(ctx: Context, changes: ProfileChanges) -> Profile:
    """Change your profile and preferences; what is left out stays."""
    community = changes.community_profile
    preferences = community.connection_preferences if community else None
    everyone = preferences.allow_messages_from_non_connections if preferences else None
    return await ctx.db.one(
        queries.CHANGE,
        org=ctx.org.id,
        me=ctx.me.id,
        first_name=changes.first_name,
        last_name=changes.last_name,
        image=changes.image,
        company=changes.company,
        job_title=changes.job_title,
        messages_from=None if everyone is None else "everyone" if everyone else "connections",
        read_receipts=preferences.send_read_receipts if preferences else None,
        now=ctx.now,
    )


async def suspend(db: Database, org: Organisation, email: str, now: datetime, *, lift: bool = False) -> int:
    """Suspends a person, or lifts the suspension; their id."""
    status = "active" if lift else "suspended"
    person = await db.maybe(queries.SUSPEND, org=org.id, email=email, status=status, origin=None, now=now)
    if person is None:
        raise NoSuchPerson
    return person
