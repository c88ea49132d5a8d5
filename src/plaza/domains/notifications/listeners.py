"""What becomes a notification, and what makes one go away; heard in the relay's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from plaza.domains.badges import BadgeEarned, BadgeTakenBack
from plaza.domains.follows import FollowAdded, FollowRemoved
from plaza.domains.notifications import queries
from plaza.domains.notifications.facts import Notified
from plaza.kernel.outbox import Announced, Live, LiveEvent
from plaza.kernel.sql import Database

ASKED, AGREED = "connection_request", "connection_accepted"
"""Types of notifications, and what their causes begin with."""


class News(NamedTuple):
    """A notification to write: what was heard, whom it is for, and what it is about."""

    heard: Announced
    recipient: int
    type: str
    actor: int
    target: int
    target_type: str
    group_key: str
    cause: str
    """Unique for the recipient: however often it is heard, it is written once."""


class Cause(NamedTuple):
    """A notification that is over."""

    heard: Announced
    recipient: int
    cause: str


class Listeners:
    """The durable effects; `new_id` numbers what they write."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id

    async def followed(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A notification for whoever is followed."""
        return await self._record(
            db,
            [
                News(item, fact.followed, "follow", fact.follower, fact.follow, "follow", "follow", _follow(fact))
                for item in announced
                for fact in [item.fact]
            ],
        )

    async def unfollowed(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A follow that is no more takes its notification along."""
        return await _withdraw(db, [Cause(item, item.fact.followed, _follow(item.fact)) for item in announced])

    async def connection_requested(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A notification for the person asked."""
        return await self._record(
            db, [_connection(item, item.fact.requester, item.fact.target, ASKED) for item in announced]
        )

    async def connection_accepted(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A notification for the one whose act it was not; the request's own has been seen."""
        await _settle(db, [Cause(item, item.fact.target, _tie(ASKED, item.fact)) for item in announced])
        return await self._record(
            db,
            [
                _connection(item, fact.by, fact.requester if fact.by == fact.target else fact.target, AGREED)
                for item in announced
                for fact in [item.fact]
            ],
        )

    async def connection_rejected(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Whoever rejected a request has seen its notification."""
        return await _settle(db, [Cause(item, item.fact.target, _tie(ASKED, item.fact)) for item in announced])

    async def connection_ended(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A request or a connection that is no more takes its notifications along."""
        return await _withdraw(
            db,
            [
                Cause(item, person, _tie(what, item.fact))
                for item in announced
                for person in (item.fact.requester, item.fact.target)
                for what in (ASKED, AGREED)
            ],
        )

    async def message_sent(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A notification for the recipient of each message."""
        return await self._record(
            db,
            [
                News(
                    item,
                    fact.recipient,
                    "message",
                    fact.sender,
                    fact.message,
                    "message",
                    f"message:thread:{fact.thread}",
                    _message(fact.message),
                )
                for item in announced
                for fact in [item.fact]
            ],
        )

    async def message_read(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Reading a message reads its notification."""
        return await _settle(
            db,
            [Cause(item, item.fact.reader, _message(message)) for item in announced for message in item.fact.messages],
        )

    async def message_deleted(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A message that is gone for somebody takes its notification along."""
        return await _withdraw(
            db,
            [Cause(item, person, _message(item.fact.message)) for item in announced for person in item.fact.people],
        )

    async def badge_earned(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A notification for whoever has earned a badge; nobody else has done it, so that no block hides it."""
        return await self._record(
            db,
            [
                News(item, fact.person, "badge_earned", fact.person, fact.badge, "badge", "badge_earned", _badge(fact))
                for item in announced
                for fact in [item.fact]
            ],
        )

    async def badge_taken_back(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A badge that was taken back takes its notification along."""
        return await _withdraw(db, [Cause(item, item.fact.person, _badge(item.fact)) for item in announced])

    async def _record(self, db: Database, news: Sequence[News]) -> Sequence[Announced]:
        made = await db.all(
            queries.RECORD,
            orgs=[item.heard.org for item in news],
            ids=[self._new_id() for _ in news],
            recipients=[item.recipient for item in news],
            types=[item.type for item in news],
            actors=[item.actor for item in news],
            targets=[item.target for item in news],
            target_types=[item.target_type for item in news],
            group_keys=[item.group_key for item in news],
            causes=[item.cause for item in news],
            ats=[item.heard.at for item in news],
        )
        return [
            Announced(row.org, Notified(notification=row.id, recipient=row.recipient), None, row.at)
            for row in sorted(made, key=lambda row: row.id)
        ]


def _message(message: int) -> str:
    return f"message:{message}"


def _follow(fact: FollowAdded | FollowRemoved) -> str:
    return f"follow:{fact.follow}"


def _badge(fact: BadgeEarned | BadgeTakenBack) -> str:
    return f"badge:{fact.award}"


def _tie(what: str, fact: Any) -> str:
    return f"{what}:{fact.connection}"


def _connection(item: Announced, actor: int, recipient: int, what: str) -> News:
    return News(item, recipient, what, actor, item.fact.connection, "connection", what, _tie(what, item.fact))


async def _settle(db: Database, causes: Sequence[Cause]) -> Sequence[Announced]:
    """Marks notifications as read."""
    await db.all(
        queries.SETTLE,
        orgs=[cause.heard.org for cause in causes],
        recipients=[cause.recipient for cause in causes],
        causes=[cause.cause for cause in causes],
        ats=[cause.heard.at for cause in causes],
    )
    return ()


async def _withdraw(db: Database, causes: Sequence[Cause]) -> Sequence[Announced]:
    """Takes notifications away."""
    await db.all(
        queries.WITHDRAW,
        orgs=[cause.heard.org for cause in causes],
        recipients=[cause.recipient for cause in causes],
        causes=[cause.cause for cause in causes],
    )
    return ()


async def notification(db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The records of new notifications; nothing where the actor is blocked."""
    shown = await db.all(
        queries.SHOW,
        orgs=[event.org for event in events],
        ids=[event.fact.notification for event in events],
    )
    found = {row.key: row.item for row in shown}
    return [[found[event.fact.notification]] if event.fact.notification in found else [] for event in events]


LIVE = (Live(Notified, "notification", lambda fact: [fact.recipient], notification),)
