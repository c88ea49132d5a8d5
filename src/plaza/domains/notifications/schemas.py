"""Shapes of notifications (contract, section 1.13)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plaza.domains.people import PersonCard
from plaza.kernel.paging import Paging
from plaza.kernel.wire import Body, Count, Email, Id, IdText, Instant, Line, Name, Record

Type = Literal[
    "connection_request",
    "connection_accepted",
    "message",
    "group_message",
    "reaction",
    "comment",
    "mention",
    "share",
    "follow",
    "page_invite",
    "page_join_request",
    "announcement",
    "event_reminder",
    "session_starting",
    "post_trending",
    "badge_earned",
    "meeting_invite",
    "meeting_reminder",
    "system",
]


class Notification(Record):
    """Something that happened to you; the summary is written when it is read, and never quotes a message."""

    id: Id
    recipient: Email
    type: Type
    actor: Email
    actor_info: PersonCard
    target: Id
    target_type: Name
    summary: Line
    data: Annotated[dict[Name, Line], Meta(max_length=8)]
    group_key: Line
    read: bool
    read_at: Instant | None
    created_at: Instant


class Filter(Paging):
    """Which notifications."""

    unread: bool | None = None
    type: Type | None = None


class Ids(Body):
    """Some notifications by id; those that are not yours are passed over."""

    ids: Annotated[list[IdText], Meta(max_length=1_000)]


class Read(Record):
    """How many went from unread to read."""

    read: Count


class UnreadCount(Record):
    """Unread notifications."""

    count: Count
