"""What connections say on sockets: at once, and again to those who were away."""

from __future__ import annotations

from collections.abc import Sequence

from plaza.domains.connections import relayed
from plaza.domains.connections.facts import (
    ConnectionAccepted,
    ConnectionEnded,
    ConnectionRejected,
    ConnectionRequested,
)
from plaza.domains.connections.schemas import ConnectionWasRemoved
from plaza.kernel.outbox import Live, LiveEvent
from plaza.kernel.sql import Database


async def requests(db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The request of each event; nothing once it has been answered or cancelled."""
    return await _shown(db, events, "pending")


async def acceptances(db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The connection of each event; nothing once it has been removed."""
    return await _shown(db, events, "accepted")


async def _shown(db: Database, events: Sequence[LiveEvent], status: str) -> list[Sequence[object]]:
    rows = await db.all(
        relayed.SHOW,
        orgs=[event.org for event in events],
        ids=[event.fact.connection for event in events],
        viewers=[event.audience for event in events],
        statuses=[status] * len(events),
    )
    found = {(row.viewer, row.key): row.connection for row in rows}
    seen = [found.get((event.audience, event.fact.connection)) for event in events]
    return [() if connection is None else (connection,) for connection in seen]


async def rejections(_db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The ids of requests that were rejected."""
    return [[ConnectionWasRemoved(str(event.fact.connection), "rejected")] for event in events]


async def endings(_db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """The ids of what was cancelled or removed."""
    return [
        [ConnectionWasRemoved(str(event.fact.connection), "cancelled" if event.fact.was == "pending" else "removed")]
        for event in events
    ]


def _both(fact: ConnectionAccepted | ConnectionRejected | ConnectionEnded) -> list[int]:
    return [fact.requester, fact.target]


LIVE = (
    Live(ConnectionRequested, "connectionRequest", lambda fact: [fact.target], requests),
    Live(ConnectionRequested, "connectionRequestSent", lambda fact: [fact.requester], requests),
    Live(ConnectionAccepted, "connectionAccepted", _both, acceptances),
    Live(ConnectionRejected, "connectionRemoved", _both, rejections),
    Live(ConnectionEnded, "connectionRemoved", _both, endings),
)
