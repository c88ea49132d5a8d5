"""What badges announce; the award is new whenever somebody gets the badge, also again."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class BadgeEarned(Fact):
    """`person` has `badge` from now on."""

    kind: ClassVar[str] = "badge.earned"
    award: int
    badge: int
    person: int


class BadgeTakenBack(Fact):
    """Staff have taken `badge` back from `person`."""

    kind: ClassVar[str] = "badge.taken_back"
    award: int
    badge: int
    person: int
