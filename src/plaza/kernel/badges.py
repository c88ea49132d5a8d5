"""Badges on a profile: the newest that a person has earned, the same on their own profile and on others' view of it.

Tables: `badge`, `badge_award`, which the domain of badges writes; profiles stand below it and read them by this rule.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plaza.kernel.wire import Id, Instant, Name, Paragraph, Record

MOST_SHOWN = 20

Category = Literal["engagement", "networking", "events", "content", "special", "milestone"]
Rarity = Literal["common", "uncommon", "rare", "legendary"]
Icon = Annotated[str, Meta(max_length=2_048, description="An emoji, or the http(s) address of an image.")]


class ProfileBadge(Record):
    """A badge beside the person who has earned it."""

    id: Id
    name: Name
    title: Name
    description: Paragraph
    icon: Icon | None
    category: Category
    rarity: Rarity
    awarded_at: Instant


ProfileBadges = Annotated[
    list[ProfileBadge], Meta(max_length=MOST_SHOWN, description="What they have earned, the newest first.")
]


def earned(person: str) -> str:
    """The SQL of `ProfileBadges` of the row `person`; whoever may see the profile may see them."""
    awarded_at = """to_char(a.awarded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    return f"""coalesce((
            select jsonb_agg(jsonb_build_object('id', b.id::text, 'name', b.name, 'title', b.title,
                'description', b.description, 'icon', b.icon, 'category', b.category, 'rarity', b.rarity,
                'awardedAt', {awarded_at}) order by a.id desc)
            from (
                select id, badge, awarded_at from badge_award
                where org = :org and person = {person}.id and revoked_at is null
                order by id desc limit {MOST_SHOWN}
            ) a
            join badge b on b.org = :org and b.id = a.badge
        ), '[]'::jsonb)"""
