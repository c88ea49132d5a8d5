"""Shapes of the directory (contract, section 1.14)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plaza.domains.people import PublicProfile
from plaza.kernel.badges import ProfileBadges
from plaza.kernel.paging import Limit, Paging
from plaza.kernel.wire import Count, Id, Query, Record

Words = Annotated[str, Meta(max_length=200, description="Parts of a name, company, job title or headline.")]
Named = Annotated[str, Meta(max_length=200, description="One or several, separated by commas: who has all of them.")]


class Sought(Paging):
    """Whom to look for: case, accents and width do not matter, in any script; everybody when nothing is said."""

    q: Words | None = None
    expertise: Named | None = None
    interests: Named | None = None


class Wished(Query):
    """How many suggestions."""

    limit: Limit | None = None


class Counters(Record):
    """How many ties a person has: as many as their own lists show them."""

    followers: Count
    following: Count
    connections: Count


class Relationship(Record):
    """What lies between you and a person: `pending` is their request to you, `sent` is yours to them.

    `blocked` says that you block them. `mutualCountExact` is false where both have more than 1,000 connections.
    """

    following: bool
    follows_me: bool
    connection: Literal["none", "pending", "sent", "accepted"]
    connection_id: Id | None
    blocked: bool
    mutual_count: Count
    mutual_count_exact: bool


class PersonProfile(PublicProfile):
    """A person's profile as you may see it; `relationship` is null for readers without a token.

    Of somebody whom you block it has the name, the picture and `relationship.blocked`, and nothing else.
    """

    badges: ProfileBadges
    counters: Counters
    relationship: Relationship | None


class Suggestion(PublicProfile):
    """Somebody you may know, and why: how many connections, followed people or interests you have in common."""

    reason: Literal["mutual_connections", "followed_by", "shared_interests", "new"]
    mutual_count: Count
