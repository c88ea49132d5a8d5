"""What connections announce; the id is new with every request, so that nothing comes back after its end."""

from __future__ import annotations

from typing import ClassVar, Literal

from plaza.kernel.outbox import Fact


class ConnectionRequested(Fact):
    """`requester` asks `target` for a connection."""

    kind: ClassVar[str] = "connection.requested"
    connection: int
    requester: int
    target: int


class ConnectionAccepted(Fact):
    """Two people are connected; `by` is the one whose act made it so, the target as a rule."""

    kind: ClassVar[str] = "connection.accepted"
    connection: int
    requester: int
    target: int
    by: int


class ConnectionRejected(Fact):
    """`target` does not want the connection."""

    kind: ClassVar[str] = "connection.rejected"
    connection: int
    requester: int
    target: int


class ConnectionEnded(Fact):
    """A pending request was cancelled or an accepted connection removed (`was` says which), by one of the two."""

    kind: ClassVar[str] = "connection.ended"
    connection: int
    requester: int
    target: int
    by: int
    was: Literal["pending", "accepted"]
