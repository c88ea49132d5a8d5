"""The statement with which a retry reads the message that it sent (decisions/0002)."""

from __future__ import annotations

import msgspec

from plaza.domains.messages.fragments import PEOPLE, columns, quoted, told, visible
from plaza.domains.messages.schemas import Message
from plaza.kernel import policies
from plaza.kernel.sql import Statement


class Found(msgspec.Struct, frozen=True):
    """A message by its id."""

    message: Message


FIND = Statement(
    "messages.find",
    Found,
    f"""
    select {columns(":me")}
    from message m {PEOPLE} {told(":me")} {quoted(":me")}
    where m.org = :org and m.id = :id and {visible("m")} and not {policies.blocked("m.sender", "m.recipient")}
    """,
    hot=True,
)
