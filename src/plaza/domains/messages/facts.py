"""What direct messages announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import WEIGHT, Fact

UNSIZED = 16_384
"""Bytes that a message is taken for whose fact is of a version that did not note its size."""


class MessageSent(Fact):
    """A message was stored."""

    kind: ClassVar[str] = "message.sent"
    message: int
    thread: int
    sender: int
    recipient: int
    size: int = UNSIZED
    """Bytes of its content and its attachments, about."""

    @property
    def weight(self) -> int:
        """The record."""
        return WEIGHT + self.size


class MessageRead(Fact):
    """`reader` has read messages of `sender`, the oldest first."""

    kind: ClassVar[str] = "message.read"
    messages: list[int]
    thread: int
    sender: int
    reader: int

    @property
    def weight(self) -> int:
        """One receipt for each message."""
        return WEIGHT + 256 * len(self.messages)


class MessageDeleted(Fact):
    """A message is gone for `people`: for one of the two, or for both."""

    kind: ClassVar[str] = "message.deleted"
    message: int
    thread: int
    by: int
    people: list[int]
