"""Shapes of badges (contract, sections 1.14 and 1.17)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from plaza.kernel.badges import Category, Icon, Rarity
from plaza.kernel.paging import Paging
from plaza.kernel.wire import Body, Count, Email, Id, Instant, Name, Paragraph, Person, Record

Slug = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[a-z0-9][a-z0-9_-]*$(?!\n)",
        description="Unique in the organisation, and never changed.",
        examples=["first-post"],
    ),
]
Title = Annotated[str, Meta(min_length=1, max_length=100)]
NewIcon = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2_048,
        pattern=r"^([hH][tT][tT][pP][sS]?://[^\s\x00-\x20\x7f-\x9f\ufeff]+|[^\s\x00-\x20\x7f-\x9f\ufeff:/]{1,32})$(?!\n)",
        description="An emoji, or the http(s) address of an image.",
        examples=["🏅"],
    ),
]
CriteriaType = Literal["connections_count", "followers_count", "membership_years", "posts_count"]
"""What is counted of a person; nobody has posts yet."""
Threshold = Annotated[int, Meta(ge=1, le=1_000_000_000, description="How many of them earn the badge.")]
Status = Literal["active", "retired"]


class Badge(Record):
    """A badge: `criteria` says in words what earns it, `earnedBy` how many people have it."""

    id: Id
    name: Name
    title: Name
    description: Paragraph
    icon: Icon | None
    category: Category
    rarity: Rarity
    criteria: Paragraph
    criteria_type: CriteriaType | None
    criteria_value: Count | None
    auto_award: bool
    earned_by: Count
    status: Status
    version: Count
    created_at: Instant
    updated_at: Instant


class EarnedBadge(Record):
    """A badge of yours, and since when."""

    badge: Badge
    awarded_at: Instant


class Which(Paging):
    """Which badges: those that can be earned, or for staff the retired ones."""

    status: Status = "active"


class NewBadge(Body):
    """A badge to make; without a criterion it is given by staff alone."""

    name: Slug
    title: Title
    description: Paragraph = ""
    icon: NewIcon | None = None
    category: Category = "special"
    rarity: Rarity = "common"
    criteria: Paragraph = ""
    criteria_type: CriteriaType | None = None
    criteria_value: Threshold | None = None
    auto_award: bool | None = None


class BadgeChanges(Body):
    """What to change of a badge: what is left out stays; `version` says which one is meant to be changed."""

    title: Title | UnsetType = UNSET
    description: Paragraph | UnsetType = UNSET
    icon: NewIcon | UnsetType | None = UNSET
    category: Category | UnsetType = UNSET
    rarity: Rarity | UnsetType = UNSET
    criteria: Paragraph | UnsetType = UNSET
    criteria_type: CriteriaType | UnsetType | None = UNSET
    criteria_value: Threshold | UnsetType | None = UNSET
    auto_award: bool | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    version: Count | UnsetType = UNSET


class Recipient(Body):
    """Who gets a badge."""

    email: Person


class Award(Record):
    """Who has a badge, and since when."""

    badge: Id
    email: Email
    awarded_at: Instant
