"""What direct messages announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class MessageSent(Fact):
    """A message was stored."""

    kind: ClassVar[str] = "message.sent"
    message: int
    thread: int
    sender: int
    recipient: int


class MessageRead(Fact):
    """`reader` has read messages of `sender`, the oldest first."""

    kind: ClassVar[str] = "message.read"
    messages: list[int]
    thread: int
    sender: int
    reader: int


class MessageDeleted(Fact):
    """A message is gone for `people`: for one of the two, or for both."""

    kind: ClassVar[str] = "message.deleted"
    message: int
    thread: int
    by: int
    people: list[int]
