"""What accounts announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class SessionEnded(Fact):
    """A session is over: its refresh token and every access token of it are worth nothing from now on."""

    kind: ClassVar[str] = "session.ended"
    session: int
    account: int


class MailPosted(Fact):
    """A mail waits to be sent."""

    kind: ClassVar[str] = "mail.posted"
    mail: int
