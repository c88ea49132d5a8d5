"""Shapes of connections (contract, section 1.9)."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from plaza.domains.people import PersonCard
from plaza.kernel.paging import Paging
from plaza.kernel.wire import Body, Count, Email, Id, Instant, Person, Record

Status = Literal["pending", "accepted", "rejected"]
Source = Literal["event", "qr_scan", "search", "recommendation", "mutual", "other"]
SOURCES = get_args(Source)

Note = Annotated[str, Meta(max_length=500)]
Key = Annotated[str, Meta(min_length=1, max_length=64)]
Word = Annotated[str, Meta(max_length=200)]
Whole = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
Circumstances = Annotated[
    dict[Key, Word | Whole | bool | None],
    Meta(
        max_length=20,
        description="Where two people met: `event`, `eventName`, `session`, `sessionName`, `source`, and your own.",
        examples=[{"event": "figma-conf-2026", "source": "event"}],
        extra_json_schema={"properties": {"source": {"enum": [*SOURCES, None]}}},
    ),
]


class NewRequest(Body):
    """Whom to ask for a connection, with a word to them."""

    target_id: Person
    message: Note | None = None
    context: Circumstances | None = None


class Response(Body):
    """What you answer."""

    action: Literal["accept", "reject"]


class Filter(Paging):
    """Which connections: the accepted ones when nothing is said."""

    status: Status = "accepted"


class Connection(Record):
    """A request or a connection as one of the two sees it: `peer` is the other one."""

    id: Id
    peer: Email
    peer_info: PersonCard
    requester_email: Email
    requester_info: PersonCard
    target_email: Email
    target_info: PersonCard
    status: Status
    message: Note | None
    context: Circumstances | None
    requested_at: Instant
    responded_at: Instant | None


class MutualConnection(Record):
    """Somebody with whom you and the other person are both connected."""

    peer: Email
    peer_info: PersonCard


class Stats(Record):
    """How many: `total` is the sum of accepted, `pending` (requests to you) and `sent` (your own)."""

    total: Count
    accepted: Count
    pending: Count
    sent: Count


class Accepted(Record):
    """How many requests were accepted."""

    accepted: Count


class ConnectionWasRemoved(Record):
    """A request or a connection is no more."""

    id: Id
    reason: Literal["rejected", "cancelled", "removed"]
