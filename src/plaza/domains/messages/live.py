"""What direct messages say on sockets: at once, and again to those who were away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from plaza.domains.messages import queries, relayed
from plaza.domains.messages.facts import MessageDeleted, MessageRead, MessageSent
from plaza.domains.messages.schemas import MessageWasDeleted, MessageWasRead, Typing, TypingFrom
from plaza.domains.presence import lapsed
from plaza.kernel import addresses
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.outbox import Announced, Live, LiveEvent
from plaza.kernel.sql import Database
from plaza.kernel.wire import Ok


async def typing(ctx: Context, whom: Typing) -> Ok:
    """Tell a person that you are typing to them; nothing is kept, and nobody learns whether it arrived."""
    email, person = addresses.split(PersonRef(whom.to), "to")
    hearer = await ctx.db.maybe(queries.HEARER, **ctx.viewer, email=email, person=person)
    if hearer is not None and ctx.me.email is not None:
        ctx.tell(ctx.org.id, hearer, "typing", TypingFrom(ctx.me.email))
    return Ok()


async def messages(db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The message of each event as its audience may see it now; nothing where they may not any more."""
    shown = await db.all(
        relayed.SHOW,
        orgs=[event.org for event in events],
        ids=[event.fact.message for event in events],
        viewers=[event.audience for event in events],
    )
    found = {(row.viewer, row.key): row.message for row in shown}
    seen = [found.get((event.audience, event.fact.message)) for event in events]
    return [() if message is None else (message,) for message in seen]


async def receipts(db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """One `messageRead` for each message that was read, where both sides let it be known."""
    asked = [(event.org, message) for event in events for message in event.fact.messages]
    rows = await db.all(relayed.RECEIPTS, orgs=[org for org, _ in asked], ids=[message for _, message in asked])
    known = {row.id: row for row in rows}
    return [
        [
            MessageWasRead(str(message), known[message].by, str(event.fact.thread), known[message].read_at)
            for message in event.fact.messages
            if message in known
        ]
        for event in events
    ]


async def deletions(db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The ids of what is gone; never what it said."""
    emails = await db.all(
        relayed.EMAILS, orgs=[event.org for event in events], people=[event.fact.by for event in events]
    )
    return [
        [
            MessageWasDeleted(
                str(event.fact.message),
                str(event.fact.thread),
                email,
                "everyone" if len(event.fact.people) > 1 else "me",
            )
        ]
        for event, email in zip(events, emails, strict=True)
    ]


async def delivered(db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
    """Notes which messages reached somebody who is online."""
    now = max(item.at for item in announced)
    await db.all(
        relayed.DELIVERED,
        orgs=[item.org for item in announced],
        ids=[item.fact.message for item in announced],
        now=now,
        lapsed=lapsed(datetime.fromisoformat(now)),
    )
    return ()


LIVE = (
    Live(MessageSent, "newMessage", lambda fact: [fact.recipient], messages),
    Live(MessageSent, "messageSent", lambda fact: [fact.sender], messages),
    Live(MessageRead, "messageRead", lambda fact: [fact.sender], receipts),
    Live(MessageDeleted, "messageDeleted", lambda fact: fact.people, deletions),
)
