"""The catalogue: every domain's tables, live events and listeners, and the document made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plaza import __version__
from plaza.domains.accounts import sessions
from plaza.domains.accounts.routes import TABLE as ACCOUNTS
from plaza.domains.badges import BadgeEarned, BadgeTakenBack
from plaza.domains.badges.listeners import Listeners as BadgeListeners
from plaza.domains.badges.recount import EARNED
from plaza.domains.badges.routes import TABLE as BADGES
from plaza.domains.blocks.routes import TABLE as BLOCKS
from plaza.domains.connections import (
    ConnectionAccepted,
    ConnectionEnded,
    ConnectionRejected,
    ConnectionRequested,
)
from plaza.domains.connections import queries as connections
from plaza.domains.connections.live import LIVE as CONNECTIONS_LIVE
from plaza.domains.connections.routes import TABLE as CONNECTIONS
from plaza.domains.directory.routes import TABLE as DIRECTORY
from plaza.domains.follows import FollowAdded, FollowRemoved
from plaza.domains.follows import queries as follows
from plaza.domains.follows.routes import TABLE as FOLLOWS
from plaza.domains.messages import MessageDeleted, MessageRead, MessageSent
from plaza.domains.messages.live import LIVE as MESSAGES_LIVE
from plaza.domains.messages.live import delivered
from plaza.domains.messages.recount import HIDDEN
from plaza.domains.messages.routes import TABLE as MESSAGES
from plaza.domains.notifications.listeners import LIVE as NOTIFICATIONS_LIVE
from plaza.domains.notifications.listeners import Listeners
from plaza.domains.notifications.routes import TABLE as NOTIFICATIONS
from plaza.domains.organisations import OrganisationCreated, tokens
from plaza.domains.organisations import service as organisations
from plaza.domains.people import AddressTaken, SignerUnknown
from plaza.domains.people import service as people
from plaza.domains.people.routes import PLATFORM
from plaza.domains.people.routes import TABLE as PEOPLE
from plaza.domains.people.signing_queries import UNKNOWN
from plaza.domains.presence.routes import TABLE as PRESENCE
from plaza.entry import openapi
from plaza.entry.sockets import LIVE as SOCKETS_LIVE
from plaza.entry.sockets import TABLE as SOCKETS
from plaza.kernel.checks import Finding
from plaza.kernel.counters import Recount
from plaza.kernel.outbox import Fact, Listener
from plaza.kernel.sql import Statement

TABLES = (
    ACCOUNTS,
    PEOPLE,
    PLATFORM,
    DIRECTORY,
    FOLLOWS,
    CONNECTIONS,
    BLOCKS,
    PRESENCE,
    MESSAGES,
    BADGES,
    NOTIFICATIONS,
)
ADMISSION = (
    organisations.NoSuchOrganisation,
    organisations.OrganisationSuspended,
    tokens.InvalidToken,
    tokens.TokenExpired,
    tokens.WrongOrganisation,
    tokens.ReservedSubject,
    tokens.RoleNotTrusted,
    sessions.TokenRevoked,
    people.Suspended,
    AddressTaken,
    SignerUnknown,
)
"""What every request may be refused for by those who find its organisation and verify its token."""
LIVES = (*CONNECTIONS_LIVE, *MESSAGES_LIVE, *NOTIFICATIONS_LIVE, *SOCKETS_LIVE)
"""What facts say on sockets."""
RECOUNTS: tuple[Recount, ...] = (follows.TIES, connections.TIES, HIDDEN, EARNED)
"""How every counter is counted again."""
CHECKS: tuple[Statement[Finding], ...] = (UNKNOWN,)
"""What `plaza doctor` asks of the rows; each row that a statement returns is a finding."""


def listeners(new_id: Callable[[], int]) -> dict[type[Fact], list[Listener]]:
    """The durable effects of facts, in the order in which they happen: what begins a thing before what ends it."""
    heard = Listeners(new_id)
    earning = BadgeListeners(new_id)
    return {
        OrganisationCreated: [earning.organisation_created],
        FollowAdded: [heard.followed, earning.followed],
        FollowRemoved: [heard.unfollowed],
        ConnectionRequested: [heard.connection_requested],
        ConnectionAccepted: [heard.connection_accepted, earning.connected],
        ConnectionRejected: [heard.connection_rejected],
        ConnectionEnded: [heard.connection_ended],
        MessageSent: [delivered, heard.message_sent],
        MessageRead: [heard.message_read],
        MessageDeleted: [heard.message_deleted],
        BadgeEarned: [heard.badge_earned],
        BadgeTakenBack: [heard.badge_taken_back],
    }


def document() -> dict[str, Any]:
    """The OpenAPI document of everything that is served."""
    return openapi.document((*TABLES, SOCKETS), __version__, ADMISSION)
