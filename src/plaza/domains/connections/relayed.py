"""Statements that the relay speaks for connections, about many organisations at once: ids come beside theirs."""

from __future__ import annotations

import msgspec

from plaza.domains.connections.fragments import columns, people
from plaza.domains.connections.schemas import Connection
from plaza.kernel import policies
from plaza.kernel.sql import Statement


class Shown(msgspec.Struct, frozen=True):
    """A connection for one of its two people."""

    viewer: int
    key: int
    connection: Connection


SHOW = Statement(
    "connections.show",
    Shown,
    f"""
    select given.viewer, c.id, {columns("given.viewer")}
    from unnest(:orgs::integer[], :ids::bigint[], :viewers::bigint[], :statuses::text[])
        as given (org, id, viewer, status)
    join connection c on c.org = given.org and c.id = given.id and c.status = given.status
    {people("given.viewer")}
    where not {policies.blocked("c.requester", "c.target").replace(":org", "c.org")}
    """,
    hot=True,
    tenant=False,
)
