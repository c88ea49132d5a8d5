"""Routes and socket events of direct messages."""

from __future__ import annotations

from plaza.domains.messages import live, service
from plaza.domains.messages.first_messages import FIRST_MESSAGES
from plaza.domains.messages.schemas import Message, MessageWasDeleted, MessageWasRead, TypingFrom
from plaza.domains.messages.sizes import MessageTooLarge
from plaza.domains.people import NoSuchPerson, Suspended
from plaza.kernel.errors import Mismatch
from plaza.kernel.routes import Event, Push, Route, Table
from plaza.kernel.wire import Record

SENDING = (
    service.EmptyMessage,
    service.SelfMessage,
    service.Blocked,
    service.NotConnected,
    service.NoSuchReply,
    MessageTooLarge,
    service.NoSuchMessage,
    NoSuchPerson,
    Suspended,
    Mismatch,
)


class Sent(Record):
    """The message, as it was stored."""

    success: bool
    message: Message


def sent(message: Message) -> Sent:
    """The acknowledgement of `sendMessage`."""
    return Sent(True, message)


TABLE = Table(
    "messages",
    routes=(
        Route(
            "POST",
            "messages",
            service.send,
            status=201,
            errors=SENDING,
            limits=(FIRST_MESSAGES,),
            again=service.message,
        ),
        Route("GET", "messages/threads", service.threads),
        Route("GET", "messages/thread/:userId", service.thread, errors=(NoSuchPerson, service.NoSuchMessage)),
        Route("POST", "messages/read", service.mark_read),
        Route("POST", "messages/thread/:userId/read", service.mark_thread_read),
        Route("DELETE", "messages/:id", service.delete, errors=(service.NoSuchMessage, service.NotYours)),
        Route("GET", "messages/unread-count", service.unread_count),
    ),
    events=(
        Event("sendMessage", service.send, reply=sent, errors=SENDING, limits=(FIRST_MESSAGES,), writes=True),
        Event("typing", live.typing, quiet=lambda whom: whom.to.lower()),
        Event("markRead", service.mark, writes=True),
    ),
    pushes=(
        Push("newMessage", Message, "the recipient's sockets"),
        Push("messageSent", Message, "the sender's other sockets"),
        Push("messageRead", MessageWasRead, "the sender's sockets, where both let it be known"),
        Push("messageDeleted", MessageWasDeleted, "the sockets of those for whom it is gone"),
        Push("typing", TypingFrom, "the person typed to; at most one a second"),
    ),
)
