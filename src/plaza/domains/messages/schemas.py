"""Shapes of direct messages (contract, section 1.10)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal

from msgspec import Meta, field

from plaza.domains.people import PersonCard
from plaza.kernel.ids import HIGHEST
from plaza.kernel.paging import Cursor, Limit, PageNumber
from plaza.kernel.wire import (
    Body,
    ClientId,
    Count,
    Email,
    Id,
    IdText,
    Instant,
    Line,
    Person,
    Query,
    Record,
    Url,
    at_least_one,
)

LONGEST = 10_000
"""Characters of a message."""
MOST_ATTACHMENTS = 20
WHOLE_HISTORY = 1_000
"""Messages of a history when nobody gives a `limit` (contract: "full history")."""

Text = Annotated[str, Meta(max_length=LONGEST)]
ContentType = Literal["text", "image", "file", "audio", "link", "contact"]
Status = Literal["sent", "delivered", "read", "deleted"]
Position = Annotated[int, Meta(ge=0, le=HIGHEST, description="The id of a message, or its `seq`.")]


class Attachment(Body):
    """A file that lies elsewhere."""

    url: Url
    type: Annotated[str, Meta(max_length=127)] = ""
    name: Annotated[str, Meta(max_length=255)] = ""
    size: Annotated[int, Meta(ge=0, le=1 << 50, description="Bytes.")] = 0


Attachments = Annotated[list[Attachment], Meta(max_length=MOST_ATTACHMENTS)]


class NewMessage(Body):
    """A message to send: words, attachments, or both; its record takes 64 KiB at most as JSON, without `fromInfo`."""

    rules = at_least_one("content", "attachments")
    to: Person
    content: Text = ""
    content_type: ContentType = "text"
    attachments: Attachments | None = None
    reply_to: IdText | None = None
    client_id: ClientId | None = None


class Quote(Record):
    """What a reply answers, shortened."""

    id: Id
    from_: Email = field(name="from")
    content: Line
    content_type: ContentType


class Message(Record):
    """A direct message as one of the two sees it; `seq` numbers the thread from 1 without gaps."""

    id: Id
    thread: Id
    seq: Count
    from_: Email = field(name="from")
    to: Email
    content: Text
    content_type: ContentType
    attachments: Attachments
    reply_to: Id | None
    reply_preview: Quote | None
    client_id: ClientId | None
    status: Status
    created_at: Instant
    delivered_at: Instant | None
    read_at: Instant | None
    from_info: PersonCard


class Thread(Record):
    """One conversation: the other person, the newest message, and how many of theirs you have not read."""

    id: Id
    peer: Email
    peer_info: PersonCard
    last_message: Message
    unread_count: Count


Threads = Annotated[Sequence[Thread], Meta(max_length=100)]


class ThreadsPage(Query):
    """Which threads."""

    limit: Limit | None = None
    page_num: PageNumber | None = None


class History(Query):
    """Which part of a thread: the newest, what is older than `before`, or what came after `after` (oldest first).

    One of `before`, `after`, `cursor` and `pageNum` says where it begins.
    """

    exclusive = tuple(combinations(("before", "after", "cursor", "pageNum"), 2))
    limit: Limit | None = None
    before: Position | None = None
    after: Position | None = None
    cursor: Cursor | None = None
    page_num: PageNumber | None = None


class Ids(Body):
    """Some messages by id; those that are not addressed to you are passed over."""

    ids: Annotated[list[IdText], Meta(max_length=1_000)]


class Reads(Body):
    """What was read: one message, several, or all of a person's."""

    rules = at_least_one("messageId", "messageIds", "peer")
    message_id: IdText | None = None
    message_ids: Annotated[list[IdText], Meta(max_length=1_000)] | None = None
    peer: Person | None = None


class Deletion(Query):
    """For whom a message goes: for you alone, or for both (its sender only)."""

    scope: Literal["me", "everyone"] = "me"


class Read(Record):
    """How many messages went from unread to read."""

    read: Count


class UnreadCount(Record):
    """Unread messages across all threads; those of people blocked either way do not count."""

    count: Count


class Typing(Body):
    """To whom you are typing."""

    to: Person


class TypingFrom(Record):
    """Who is typing to you."""

    from_: Email = field(name="from")


class MessageWasRead(Record):
    """One of your messages was read."""

    message_id: Id
    by: Email
    thread: Id
    read_at: Instant


class MessageWasDeleted(Record):
    """A message is gone, for you or for both."""

    message_id: Id
    thread: Id
    by: Email
    scope: Literal["me", "everyone"]
