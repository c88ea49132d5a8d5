"""Why a socket is refused, and why the gateway ends one: refusals with stable reasons, and close codes."""

from __future__ import annotations

from plaza.entry.answers import error_body
from plaza.entry.http import Request, Send, respond
from plaza.kernel.errors import Forbidden, Invalid
from plaza.realtime.endings import APPLICATION, Ending

REVOKED = "revoked"
MOST_SOCKETS = 10
"""Open sockets of one person at one process: what they cost is the process's memory and time."""


class UnknownEvent(Invalid):
    """No event of this name."""

    reason = "event.unknown"
    message = "There is no such event."


class TooManySockets(Forbidden):
    """The person has as many sockets open at this process as one may have; one that is half-open is found out soon."""

    reason = "socket.too_many"
    temporary = True
    message = f"You have {MOST_SOCKETS} connections open at this server process already; close one first."


class OtherPerson(Forbidden):
    """A fresh token for an open socket must be of the same person."""

    reason = "auth.other_person"
    message = "The token belongs to somebody else."


ENDINGS = (
    Ending(
        "token_expired",
        APPLICATION,
        "The token has expired; an event said so just before. Official clients come back by themselves, and their "
        "`auth` callback is asked for a fresh token.",
    ),
    Ending(REVOKED, APPLICATION, "The person was suspended or has signed out, or the organisation has a new key."),
    Ending("auth.…", APPLICATION, "A token handed in with `authenticate` does not hold; the reason is the refusal's."),
)
"""Why the gateway itself parts from a socket."""


class PollingRefused(Invalid):
    """Long-polling, where several workers share the port and a poll may reach the wrong one."""

    reason = "socket.websocket_only"
    message = "This server runs several workers: connect with transports: ['websocket']."


async def refuse_polling(request: Request, send: Send) -> None:
    """Answers a long-polling request of a server that cannot take it, in words."""
    refusal = PollingRefused()
    body = error_body(refusal, "/socket.io/", request.id)
    await respond(send, request, refusal.status, body, headers={"Access-Control-Allow-Origin": "*"})
