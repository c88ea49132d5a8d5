"""What becomes a notification, and what makes one go away; heard in the relay's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plaza.domains.messages import MessageDeleted, MessageRead, MessageSent
from plaza.domains.notifications import queries
from plaza.domains.notifications.facts import Notified
from plaza.kernel.outbox import Announced, Live, LiveEvent
from plaza.kernel.sql import Database


def cause(message: int) -> str:
    """The unique cause of the notification of a direct message."""
    return f"message:{message}"


class Listeners:
    """The durable effects; `new_id` numbers what they write."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id

    async def message_sent(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A notification for the recipient of each message."""
        facts: list[MessageSent] = [item.fact for item in announced]
        made = await db.all(
            queries.RECORD,
            orgs=[item.org for item in announced],
            ids=[self._new_id() for _ in announced],
            recipients=[fact.recipient for fact in facts],
            types=["message"] * len(facts),
            actors=[fact.sender for fact in facts],
            targets=[fact.message for fact in facts],
            target_types=["message"] * len(facts),
            group_keys=[f"message:thread:{fact.thread}" for fact in facts],
            causes=[cause(fact.message) for fact in facts],
            ats=[item.at for item in announced],
        )
        return [
            Announced(row.org, Notified(notification=row.id, recipient=row.recipient), None, row.at)
            for row in sorted(made, key=lambda row: row.id)
        ]

    async def message_read(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Reading a message reads its notification."""
        settled: list[tuple[Announced, MessageRead, int]] = [
            (item, item.fact, message) for item in announced for message in item.fact.messages
        ]
        await db.all(
            queries.SETTLE,
            orgs=[item.org for item, _, _ in settled],
            recipients=[fact.reader for _, fact, _ in settled],
            causes=[cause(message) for _, _, message in settled],
            ats=[item.at for item, _, _ in settled],
        )
        return ()

    async def message_deleted(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """A message that is gone for somebody takes its notification along."""
        gone: list[tuple[Announced, MessageDeleted, int]] = [
            (item, item.fact, person) for item in announced for person in item.fact.people
        ]
        await db.all(
            queries.WITHDRAW,
            orgs=[item.org for item, _, _ in gone],
            recipients=[person for _, _, person in gone],
            causes=[cause(fact.message) for _, fact, _ in gone],
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
