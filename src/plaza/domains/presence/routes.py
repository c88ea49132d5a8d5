"""Routes and socket events of presence."""

from __future__ import annotations

from plaza.domains.presence import service
from plaza.kernel.routes import Event, Push, Route, Table
from plaza.kernel.wire import Email, Record


class Someone(Record):
    """Who came or went."""

    email: Email


TABLE = Table(
    "presence",
    routes=(Route("GET", "presence/online", service.online),),
    events=(Event("getOnlineUsers", service.online, reply=lambda people: people),),
    pushes=(
        Push("userOnline", Someone, "the organisation, minus people blocked either way; first socket only"),
        Push("userOffline", Someone, "the same; five seconds after the last socket, unless the person is back by then"),
    ),
)
