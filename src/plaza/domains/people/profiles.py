"""Use cases of one's own profile: read, changed as a whole by compare and set."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from plaza.domains.people import profile_queries as queries
from plaza.domains.people.finding import Entry, entry, fold
from plaza.domains.people.schemas import Profile, ProfileChanges
from plaza.kernel.context import Context
from plaza.kernel.errors import Conflict
from plaza.kernel.wire import Body, Record

R = TypeVar("R", bound=Record)

MOST_TRIES = 10
_NEVER_NULL: dict[str, Any] = {
    "first_name": "",
    "last_name": "",
    "expertise": [],
    "interests": [],
    "looking_for": [],
    "social_links": {},
}
"""What null clears these to; every other field to nothing."""


class ProfileChanged(Conflict):
    """The profile is not at the version that the change was made for."""

    reason = "person.version"
    message = "The profile has been changed meanwhile; read it again."


async def me(ctx: Context) -> Profile:
    """Your own profile and preferences."""
    return await ctx.db.one(queries.PROFILE, **ctx.viewer)


async def change_me(ctx: Context, changes: ProfileChanges) -> Profile:
    """Change your profile and preferences: what is left out stays, null clears.

    With `version`, or the header `If-Match`, the change is made only where the profile is still at that version.
    """
    for _ in range(MOST_TRIES):
        before = await me(ctx)
        if changes.version not in (UNSET, before.version) or not ctx.means(before.version):
            raise ProfileChanged
        after = _tidied(_merged(before, changes))
        changed = await ctx.db.maybe(queries.CHANGE, **_columns(ctx, after))
        if changed is not None:
            return changed
    raise ProfileChanged


def _merged(record: R, changes: Body) -> R:
    """`record` with what `changes` says."""
    given: dict[str, Any] = {}
    for name in changes.__struct_fields__:
        value = getattr(changes, name)
        if isinstance(value, Body):
            given[name] = _merged(getattr(record, name), value)
        elif value is not UNSET and name != "version":
            given[name] = _NEVER_NULL.get(name) if value is None else value
    return msgspec.structs.replace(record, **given)


def _tidied(profile: Profile) -> Profile:
    """A line of nothing but spaces is no line, and the same word twice is one."""
    community = profile.community_profile
    tags = {name: _distinct(getattr(community, name)) for name in ("expertise", "interests", "looking_for")}
    lines = {name: _line(getattr(profile, name)) for name in ("company", "job_title", "about", "phone", "location")}
    texts = {name: _line(getattr(community, name)) for name in ("headline", "bio")}
    names = {name: getattr(profile, name).strip() for name in ("first_name", "last_name")}
    described = msgspec.structs.replace(community, **tags, **texts)
    return msgspec.structs.replace(profile, community_profile=described, **names, **lines)


def _distinct(tags: list[str]) -> list[str]:
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(fold(tag), tag.strip())
    return [tag for folded, tag in first.items() if folded]


def _line(text: str | None) -> str | None:
    return (text or "").strip() or None


def _columns(ctx: Context, profile: Profile) -> dict[str, Any]:
    """What the statement binds."""
    community = profile.community_profile
    allowed = msgspec.structs.asdict(community.connection_preferences)
    everyone = allowed.pop("allow_messages_from_non_connections")
    own = msgspec.structs.asdict(profile)
    for name in ("id", "email", "community_profile", "created_at", "updated_at", "badges"):
        del own[name]
    described = msgspec.structs.asdict(community)
    for name in ("visibility", "connection_preferences"):
        del described[name]
    listed = found_by(ctx.org.id, profile)
    return {
        **own,
        **described,
        **msgspec.structs.asdict(community.visibility),
        "auto_accept_qr_scans": allowed["auto_accept_qr_scans"],
        "read_receipts": allowed["send_read_receipts"],
        "messages_from": "everyone" if everyone else "connections",
        "words": listed.words,
        "tags": listed.tags,
        "keys": listed.keys,
        "org": ctx.org.id,
        "me": ctx.me.id,
        "origin": ctx.origin,
        "now": ctx.now,
    }


def found_by(org: int, profile: Profile) -> Entry:
    """What a person is found by: of what they hide, nothing."""
    community = profile.community_profile
    company = profile.company if community.visibility.show_company else None
    texts = (profile.first_name, profile.last_name, company, profile.job_title, community.headline)
    return entry(org, texts, community.expertise, community.interests)
