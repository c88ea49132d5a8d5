"""The socket events that the gateway itself speaks, beside those of the domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from plaza.kernel.ids import parse
from plaza.kernel.outbox import RESET, Live, LiveEvent, StateReset
from plaza.kernel.routes import Push, Table
from plaza.kernel.sql import Database
from plaza.kernel.wire import Body, Count, Email, Id, IdText, Line, Record

Token = Annotated[
    str, Meta(min_length=1, max_length=8_192, description="A JSON Web Token; `Bearer ` before it does no harm.")
]


class Since(Body):
    """The cursor of the last event that you have; without one you are told where the log ends."""

    since: IdText | None = None

    @property
    def position(self) -> int | None:
        """The place in the log that a client names; one that is no number is before the log's beginning."""
        if self.since is None:
            return None
        return 0 if self.since == "0" else parse(self.since) or -1


class Replayed(Record):
    """What was replayed: the events came before this, as themselves; ask again from `cursor` while `hasMore`.

    A replay ends at 200 events or 256 KiB, one event of any size.
    `reset` says that the cursor is too old or not of this server, or that something since then could not be delivered:
    fetch the state anew and go on from `cursor`.
    """

    success: bool
    reset: bool
    replayed: Count
    cursor: Id
    has_more: bool


class Handshake(Body):
    """The auth payload of a connection: the token, and the organisation that it belongs to."""

    token: Token | None = None
    org_id: Line | None = None


class FreshToken(Body):
    """A token to go on with."""

    token: Token


class Someone(Record):
    """A person."""

    id: Id
    email: Email


class Welcome(Record):
    """You are in: who you are, and the cursor to hand to `sync` after a pause."""

    success: bool
    user: Someone
    cursor: Id


class Trouble(Record):
    """Why an event without an acknowledgement was refused."""

    event: Line
    code: Line
    message: Line


class Complaint(Record):
    """The same in the words of other servers of this protocol, for clients that were written for them."""

    status: Line
    message: Line


class Notice(Record):
    """Why the server is about to end the connection."""

    code: Line
    message: Line


class Reset(Record):
    """Something that happened could not be delivered: fetch the state anew, and go on from `cursor`."""

    code: Line
    message: Line


async def resets(_db: Database, events: Sequence[LiveEvent]) -> list[Sequence[object]]:
    """What those are told to whom something could not be delivered."""
    return [[Reset("event_lost", "An event could not be delivered; fetch the state anew.")] for _ in events]


LIVE = (Live(StateReset, RESET, lambda fact: fact.people, resets),)
TABLE = Table(
    "sockets",
    pushes=(
        Push("authenticate", Welcome, "the socket that has connected"),
        Push("error", Trouble, "the socket whose event was refused, where it asked for no acknowledgement"),
        Push("exception", Complaint, "the same socket, beside `error`"),
        Push("token_expired", Notice, "the socket whose token has expired; it is disconnected"),
        Push(RESET, Reset, "the sockets of those to whom something could not be delivered; `sync` answers `reset`"),
        Push("going_away", Notice, "every socket, when the server stops"),
    ),
)
