"""Shapes of blocks (contract, section 1.15)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plaza.domains.people import PersonCard
from plaza.kernel.wire import Body, Email, Id, IdText, Instant, Line, Name, Paragraph, Person, Record


class BlockContext(Body):
    """Where the block came from."""

    source: Literal["chat", "connection", "profile", "other"] = "other"
    message_id: IdText | None = None


class NewBlock(Body):
    """Whom to block, and why; the reason is free text (contract, decision 18)."""

    target_id: Person
    reason: Line | None = None
    reason_details: Paragraph | None = None
    context: BlockContext | None = None


class Block(Record):
    """A block that you made; only you see it."""

    id: Id
    target_id: Email
    target_info: PersonCard
    reason: Line | None
    reason_details: Paragraph | None
    context: Annotated[dict[Name, IdText | None], Meta(max_length=2)] | None
    created_at: Instant
