"""The socket events that the gateway itself speaks, beside those of the domains."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from plaza.kernel.routes import Push, Table
from plaza.kernel.wire import Body, Count, Email, Id, IdText, Line, Record

Token = Annotated[
    str, Meta(min_length=1, max_length=8_192, description="A JSON Web Token; `Bearer ` before it does no harm.")
]


class Since(Body):
    """The cursor of the last event that you have; without one you are told where the log ends."""

    since: IdText | None = None


class Replayed(Record):
    """What was replayed: the events came before this, as themselves; ask again from `cursor` while `hasMore`.

    `reset` says that the cursor is too old or not of this server: fetch the state anew and go on from `cursor`.
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


TABLE = Table(
    "sockets",
    pushes=(
        Push("authenticate", Welcome, "the socket that has connected"),
        Push("error", Trouble, "the socket whose event was refused, where it asked for no acknowledgement"),
        Push("exception", Complaint, "the same socket, beside `error`"),
        Push("token_expired", Notice, "the socket whose token has expired; it is disconnected"),
        Push("going_away", Notice, "every socket, when the server stops"),
    ),
)
