"""What follows announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class FollowAdded(Fact):
    """`follower` follows the person `followed` from now on."""

    kind: ClassVar[str] = "follow.added"
    follow: int
    follower: int
    followed: int


class FollowRemoved(Fact):
    """`follower` does not follow `followed` any more."""

    kind: ClassVar[str] = "follow.removed"
    follow: int
    follower: int
    followed: int
