"""Who has earned what: the badges that every organisation begins with, and those that people are due."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple

from plaza.domains.badges import awarding, queries
from plaza.domains.badges.schemas import CriteriaType
from plaza.kernel.badges import Category, Rarity
from plaza.kernel.sql import Database


class Default(NamedTuple):
    """A badge that every organisation begins with."""

    name: str
    title: str
    icon: str
    category: Category
    rarity: Rarity
    criteria: str
    criteria_type: CriteriaType
    criteria_value: int


DEFAULTS = (
    Default("first-post", "First post", "✍️", "content", "common", "Publish a post.", "posts_count", 1),
    Default(
        "first-connection", "First connection", "🤝", "networking", "common", "Connect with one person.",
        "connections_count", 1,
    ),
    Default(
        "connections-10", "Well connected", "🕸️", "networking", "uncommon", "Connect with 10 people.",
        "connections_count", 10,
    ),
    Default(
        "connections-50", "Networker", "🌐", "networking", "rare", "Connect with 50 people.", "connections_count", 50
    ),
    Default("followers-10", "Noticed", "👀", "engagement", "common", "Have 10 followers.", "followers_count", 10),
    Default("followers-100", "Popular", "📣", "engagement", "rare", "Have 100 followers.", "followers_count", 100),
    Default(
        "followers-1000", "Beloved", "🌟", "engagement", "legendary", "Have 1,000 followers.", "followers_count", 1_000
    ),
    Default("anniversary-1", "One year", "🎂", "milestone", "common", "Be here for a year.", "membership_years", 1),
    Default("anniversary-2", "Two years", "🎉", "milestone", "uncommon", "Be here for 2 years.", "membership_years", 2),
    Default("anniversary-5", "Five years", "🏅", "milestone", "rare", "Be here for 5 years.", "membership_years", 5),
    Default(
        "anniversary-10", "Ten years", "🏆", "milestone", "legendary", "Be here for 10 years.", "membership_years", 10
    ),
)  # fmt: skip
"""In the order in which a list shows them."""
NAMES = [default.name for default in DEFAULTS]


async def begin(db: Database, orgs: Collection[int], now: datetime | str, new_id: Callable[[], int]) -> None:
    """Writes the badges that these organisations begin with; those that are there stay as they are."""
    badges = [
        {"org": org, "id": new_id(), "description": "", "auto_award": True, **default._asdict()}
        for org in orgs
        # A list shows the newest first.
        for default in reversed(DEFAULTS)
    ]
    await db.all(queries.BEGIN, badges=badges, now=now)


async def evaluate(
    db: Database, people: Collection[tuple[int, int]], now: datetime | str, new_id: Callable[[], int]
) -> int:
    """Gives people, each (organisation, person), every badge that they have earned by now; how many were given.

    Whoever is suspended, or has not come in yet, earns nothing until they do.
    """
    due = await db.all(awarding.DUE, orgs=[org for org, _ in people], people=[person for _, person in people], now=now)
    if not due:
        return 0
    made = await db.all(
        awarding.AWARD,
        orgs=[item.org for item in due],
        ids=[new_id() for _ in due],
        badges=[item.badge for item in due],
        people=[item.person for item in due],
        now=now,
    )
    return len(made)
