"""What notifications announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class Notified(Fact):
    """A notification was written."""

    kind: ClassVar[str] = "notification.made"
    notification: int
    recipient: int
