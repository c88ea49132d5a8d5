"""How large a message may be: its record, as the server encodes it (contract, decision 39)."""

from __future__ import annotations

from typing import Any

import msgspec

from plaza.kernel.errors import TooLarge

LARGEST = 65_536
"""Bytes of a record in UTF-8 JSON, without `fromInfo`, when it is sent."""
_REST = 8_192
"""More than all of a record but its content and its attachments can take."""
_AROUND = 512
"""About what the record of a message takes beside them, when it is listed."""
_BARE = len(
    b'{"id":"","thread":"","seq":,"from":"","to":"","content":,"contentType":"","attachments":,"replyTo":,'
    b'"replyPreview":null,"clientId":,"status":"sent","createdAt":"2026-11-20T09:30:00.000Z","deliveredAt":null,'
    b'"readAt":null}'
)
_PREVIEW = len(b'{"id":"","from":"","content":,"contentType":""}') - len(b"null")


class MessageTooLarge(TooLarge):
    """The record would be larger than one may be, each field within its own bounds though it is."""

    reason = "message.too_large"
    message = f"A message may take {LARGEST:,} bytes as JSON, its attachments included; this one takes more."


def encoded(*values: object) -> int:
    """Bytes of values as JSON."""
    return sum(len(msgspec.json.encode(value)) for value in values)


def room(draft: dict[str, Any]) -> int | None:
    """Bytes left for what only the store can say of a draft; None where they suffice whatever that is."""
    if draft["size"] + _REST <= LARGEST:
        return None
    reply = None if draft["reply_to"] is None else str(draft["reply_to"])
    known = encoded(reply, draft["client_id"]) + len(f"{draft['id']}{draft['content_type']}")
    return LARGEST - _BARE - int(draft["size"]) - known


ADDED = f"""octet_length(me.email) + octet_length(peer.email)
    + coalesce((
        select octet_length(t.id::text) + octet_length((t.last_seq + 1)::text) from thread t
        where t.org = :org and t.low = least(:me, peer.id) and t.high = greatest(:me, peer.id)
    ), octet_length(:thread::bigint::text) + 1)
    + coalesce({_PREVIEW} + answered.size
        + octet_length(case when answered.sender = :me then me.email else peer.email end), 0)"""
"""SQL: the bytes that only the store can say."""
QUOTED = "octet_length(to_json(left(q.content, 140))::text) + octet_length(q.id::text) + octet_length(q.content_type)"
"""SQL: those of the message `q` that a draft answers."""

PAGE_BYTES = 1_000_000
"""Of a page of messages, as they are measured."""


def measure(message: str) -> str:
    """SQL: the bytes that a message takes on a page."""
    return f"""(coalesce({message}.size, octet_length({message}.content) + octet_length({message}.attachments::text))
        + {_AROUND})"""


def share(size: int) -> int:
    """The bytes that each of so many messages of a page has at least: a page is full of rows, or of bytes."""
    return PAGE_BYTES // size


def paged(select: str, order: str) -> str:
    """SQL: rows that have `bytes`, in an order, each with its `page` from 0 and that of the row before it.

    Each row takes its bytes of its page, its share (`:share`) at least, the whole page at most: a page ends where its
    rows or its bytes are used up, the next begins right behind it, none is empty, and no content is read to find them.
    """
    full, taken = (
        "(:share::integer * :size::integer)",
        "least(greatest(bytes, :share::integer), :share::integer * :size::integer)",
    )
    return f"""
        select measured.*, (used - 1) / {full} as page,
            (used - {taken} - 1) / {full} as page_before
        from (
            select listed.*, sum({taken}) over (order by {order} rows unbounded preceding) as used
            from ({select}) listed
        ) measured"""
