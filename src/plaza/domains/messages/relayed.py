"""Statements that the relay speaks for direct messages, about many organisations at once: ids come beside theirs."""

from __future__ import annotations

import msgspec

from plaza.domains.messages.fragments import PEOPLE, columns, quoted, told, visible
from plaza.domains.messages.schemas import Message
from plaza.domains.presence import online_now
from plaza.kernel import policies
from plaza.kernel.sql import Statement


class Shown(msgspec.Struct, frozen=True):
    """A message for one of its two people."""

    viewer: int
    key: int
    message: Message


class Receipt(msgspec.Struct, frozen=True):
    """A read message, where both sides let it be known."""

    id: int
    by: str
    read_at: str


SHOW = Statement(
    "messages.show",
    Shown,
    f"""
    select given.viewer, m.id, {columns("given.viewer")}
    from unnest(:orgs::integer[], :ids::bigint[], :viewers::bigint[]) as given (org, id, viewer)
    join message m on m.org = given.org and m.id = given.id and {visible("m", "given.viewer")}
    {PEOPLE} {told("given.viewer")} {quoted("given.viewer")}
    where not {policies.blocked("m.sender", "m.recipient").replace(":org", "m.org")}
    """,
    hot=True,
    tenant=False,
)
RECEIPTS = Statement(
    "messages.receipts",
    Receipt,
    f"""
    select m.id, r.email, m.read_at
    from unnest(:orgs::integer[], :ids::bigint[]) as given (org, id)
    join message m on m.org = given.org and m.id = given.id and m.read_at is not null
    {PEOPLE}
    where s.read_receipts and r.read_receipts and {policies.shown_to("m.sender", "r")}
        and not {policies.blocked("m.sender", "m.recipient").replace(":org", "m.org")}
    """,
    hot=True,
    tenant=False,
)
DELIVERED = Statement(
    "messages.delivered",
    int,
    f"""
    update message m set delivered_at = :now
    from unnest(:orgs::integer[], :ids::bigint[]) as given (org, id)
    where m.org = given.org and m.id = given.id and m.delivered_at is null
        and {online_now("m.org, m.recipient")}
    returning m.id
    """,
    hot=True,
    tenant=False,
)
EMAILS = Statement(
    "messages.emails",
    str,
    """
    select p.email
    from unnest(:orgs::integer[], :people::bigint[]) with ordinality as given (org, person, place)
    join person p on p.org = given.org and p.id = given.person
    order by place
    """,
    hot=True,
    tenant=False,
)
