"""Statements of presence."""

from __future__ import annotations

import msgspec

from plaza.kernel import policies
from plaza.kernel.sql import Statement
from plaza.kernel.wire import Email, Id, Record


class OnlinePerson(Record):
    """Somebody who has a socket open."""

    email: Email
    id: Id


class Change(msgspec.Struct, frozen=True):
    """Somebody who came or went, with those who may not know: blocked either way, or strangers to who is unlisted."""

    org: int
    person: int
    email: str
    hidden_from: list[int]


class Renamed(Change, frozen=True):
    """Somebody who is here under another address than before."""

    old: str


class Unlisted(Change, frozen=True):
    """Somebody who is here and has left the directory, with those who did not see them before."""

    blocked: list[int]


class Standing(Change, frozen=True):
    """Somebody who came or went, and whether they are here by now."""

    online: bool


_BLOCKED = """select blocked from block where org = p.org and blocker = p.id
        union select blocker from block where org = p.org and blocked = p.id"""
_HIDDEN_FROM = f"""array({_BLOCKED}
        union select o.person from presence o
            where o.org = p.org and o.person <> p.id and p.unlisted_at is not null
                and not {policies.acquainted("o.person", "p")})"""
_HERE = """exists (
        select 1 from presence o join node n on n.id = o.node and n.seen_at > :lapsed
        where o.org = p.org and o.person = p.id
    )"""
# The organisations come as arrays: one statement settles the arrivals of every tenant on this process.
_GIVEN = "unnest(:orgs::integer[], :people::bigint[]) as given (org, person)"


_ELSEWHERE = """exists (
        select 1 from presence o join node n on n.id = o.node and n.seen_at > :lapsed
        where o.org = p.org and o.person = p.id and o.node <> :node
    )"""

ARRIVED = Statement(
    "presence.arrived",
    Change,
    f"""
    with written as (
        insert into presence (org, person, node) select org, person, :node from {_GIVEN}
        on conflict do nothing
        returning org, person
    )
    select p.org, p.id, p.email, {_HIDDEN_FROM}
    from written w join person p on p.org = w.org and p.id = w.person
    where not {_ELSEWHERE}
    """,
    tenant=False,
)
LEFT = Statement(
    "presence.left",
    int,
    f"""
    delete from presence using {_GIVEN}
    where presence.org = given.org and presence.person = given.person and node = :node
    returning presence.person
    """,
    tenant=False,
)
# A statement of its own, after the commit of LEFT: of two processes that a person leaves in one moment, neither would
# see the other's row gone, and nobody would say it. So both may say it.
GONE = Statement(
    "presence.gone",
    Change,
    f"""
    select p.org, p.id, p.email, {_HIDDEN_FROM}
    from {_GIVEN} join person p on p.org = given.org and p.id = given.person
    where not {_ELSEWHERE}
    """,
    tenant=False,
)
NOW = Statement(
    "presence.now",
    Standing,
    f"""
    select p.org, p.id, p.email, {_HIDDEN_FROM}, exists (
        select 1 from presence o join node n on n.id = o.node and n.seen_at > :lapsed
        where o.org = p.org and o.person = p.id
    )
    from {_GIVEN} join person p on p.org = given.org and p.id = given.person
    """,
    tenant=False,
)
NODE = Statement("presence.node", int, "select nextval('node_number')::integer", tenant=False)
RENEW = Statement(
    "presence.renew",
    bool,
    """
    insert into node (id, seen_at) values (:node, :now) on conflict (id) do update set seen_at = :now
    returning xmax = 0
    """,
    tenant=False,
)
RETIRE = Statement(
    "presence.retire",
    int,
    "update node set seen_at = :seen where id = :node returning id",
    tenant=False,
)
LAPSE = Statement(
    "presence.lapse",
    Change,
    f"""
    with dead as (delete from node where seen_at <= :lapsed returning id),
    gone as (delete from presence using dead where node = dead.id returning org, person, node)
    select distinct on (p.org, p.id) p.org, p.id, p.email, {_HIDDEN_FROM}
    from gone g join person p on p.org = g.org and p.id = g.person
    where not exists (
        select 1 from presence o join node n on n.id = o.node and n.seen_at > :lapsed
        where o.org = g.org and o.person = g.person
    )
    """,
    tenant=False,
)
ONLINE = Statement(
    "presence.online",
    OnlinePerson,
    f"""
    select p.email, p.id::text
    from (
        select distinct person from presence join node on node.id = presence.node and seen_at > :lapsed
        where org = :org
    ) o
    join person p on p.org = :org and p.id = o.person
    where not {policies.blocked(":me", "p.id")}
        and {policies.shown_to(":me", "p")}
    order by p.email
    limit 10000
    """,
)
RENAMED = Statement(
    "presence.renamed",
    Renamed,
    f"""
    select p.org, p.id, c.new, {_HIDDEN_FROM}, c.old
    from unnest(:orgs::integer[], :changes::bigint[]) as given (org, change)
    join address_change c on c.org = given.org and c.id = given.change
    join person p on p.org = c.org and p.id = c.person
    where {_HERE}
    """,
    tenant=False,
)
UNLISTED = Statement(
    "presence.unlisted",
    Unlisted,
    f"""
    select p.org, p.id, p.email, {_HIDDEN_FROM}, array({_BLOCKED})
    from {_GIVEN} join person p on p.org = given.org and p.id = given.person
    where {_HERE}
    """,
    tenant=False,
)
