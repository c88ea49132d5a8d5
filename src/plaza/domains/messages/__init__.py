"""Direct messages: what one person writes to another, in a thread of the two that has one order for both.

Tables: `thread` (one row for a pair, with the counter that numbers its messages), `message`.
Facts: `message.sent`, `message.read`, `message.deleted`. The walk of one message is in ARCHITECTURE.md.
"""

from plaza.domains.messages.facts import MessageDeleted, MessageRead, MessageSent

__all__ = ["MessageDeleted", "MessageRead", "MessageSent"]
