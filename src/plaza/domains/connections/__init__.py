"""Connections: two people who both said yes; one asks, the other accepts or rejects.

Table: `connection`, one row for a pair whoever asked, so that two requests that cross meet in it and become one
accepted connection. Every transition is one statement that compares and sets, announces itself, and keeps the number
of connections in `tie_count`.
Facts: `connection.requested`, `connection.accepted`, `connection.rejected`, `connection.ended`.
`kernel/policies.connected` is the one rule of who is connected; a block hides an edge from both and keeps it.
"""

from plaza.domains.connections.facts import (
    ConnectionAccepted,
    ConnectionEnded,
    ConnectionRejected,
    ConnectionRequested,
)
from plaza.domains.connections.fragments import common, sides
from plaza.domains.connections.fragments import total as connections_of

__all__ = [
    "ConnectionAccepted",
    "ConnectionEnded",
    "ConnectionRejected",
    "ConnectionRequested",
    "common",
    "connections_of",
    "sides",
]
