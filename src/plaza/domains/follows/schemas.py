"""Shapes of follows (contract, section 1.8)."""

from __future__ import annotations

from typing import Literal

from plaza.domains.people import PersonCard
from plaza.kernel.paging import Paging
from plaza.kernel.wire import Body, Email, Id, Instant, Person, Query, Record

Kind = Literal["person", "page"]


class NewFollow(Body):
    """Whom or what to follow, and how."""

    following: Person
    following_type: Kind = "person"
    muted: bool | None = None
    notify_on_post: bool | None = None


class FollowChanges(Body):
    """What to change about a follow; what is left out stays."""

    muted: bool | None = None
    notify_on_post: bool | None = None


class Which(Query):
    """Of which kind the followed is, where the address or id leaves it open."""

    following_type: Kind | None = None


class Followed(Paging):
    """Which follows of yours."""

    following_type: Kind | None = None


class Follow(Record):
    """A follow: `muted` keeps the followed out of your feed, `notifyOnPost` tells you of what they publish."""

    id: Id
    follower: Email
    following: Email
    following_type: Kind
    muted: bool
    notify_on_post: bool
    created_at: Instant


class Following(Record):
    """Whom or what you follow."""

    id: Id
    following: Email
    following_type: Kind
    following_info: PersonCard
    muted: bool
    notify_on_post: bool
    created_at: Instant


class Follower(Record):
    """Somebody who follows you; whether they have muted you is theirs to know."""

    id: Id
    follower: Email
    follower_info: PersonCard
    created_at: Instant
