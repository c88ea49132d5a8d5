"""Statements that list and count connections; `fragments` says what `c`, `r` and `t` are."""

from __future__ import annotations

import msgspec

from plaza.domains.connections.fragments import columns, people
from plaza.domains.connections.schemas import Connection, MutualConnection
from plaza.domains.people import card
from plaza.kernel import policies
from plaza.kernel.paging import page_of
from plaza.kernel.sql import Statement


class ConnectionRow(msgspec.Struct, frozen=True):
    """A connection in a list, with the length of the list."""

    total: int
    key: int | None
    item: Connection | None


class MutualRow(msgspec.Struct, frozen=True):
    """A mutual connection in a list, with the length of the list; `known` is false where the other is nobody."""

    known: bool
    total: int
    key: int | None
    item: MutualConnection | None


class Counts(msgspec.Struct, frozen=True):
    """How many of each."""

    accepted: int
    pending: int
    sent: int


def _side(mine: str, theirs: str, status: str, limit: str) -> str:
    """The caller's connections on one side of the pair, what changed last first; without those of blocked people."""
    return f"""(
            select c.* from connection c
            where c.org = :org and c.{mine} = :me and c.status = {status} and c.position < :before
                and c.{theirs} not in {policies.hidden_from(":me")}
            order by c.position desc limit {limit}
        )"""


def _waiting(mine: str, theirs: str, status: str = "'pending'") -> str:
    """How many connections of a status the caller has on one side of the pair."""
    return f"""(
            select count(*) from connection c where c.org = :org and c.{mine} = :me and c.status = {status}
                and c.{theirs} not in {policies.hidden_from(":me")}
        )"""


# The counter, less the connections that a block hides: nothing that grows is counted.
_ACCEPTED = f"""(
            coalesce((select connections from tie_count where org = :org and person = :me), 0) - (
                select count(*) from {policies.hidden_from(":me")} as h (person)
                where {policies.connected(":me", "h.person")}
            )
        )"""


def _list(name: str, rows: str, total: str) -> Statement[ConnectionRow]:
    return Statement(
        name,
        ConnectionRow,
        page_of(
            f"""
            select c.position as key, {columns(":me")} as item
            from {rows} c {people(":me")}
            order by c.position desc
            """,
            total=total,
        ),
        hot=True,
    )


LIST = _list(
    "connections.list",
    f"""(
        select * from (
            {_side("requester", "target", ":status", ":reach")}
            union all {_side("target", "requester", ":status", ":reach")}
        ) both_sides
        order by position desc limit :rows offset :offset
    )""",
    f"""case :status when 'accepted' then {_ACCEPTED}
        else {_waiting("requester", "target", ":status")} + {_waiting("target", "requester", ":status")} end""",
)
PENDING = _list(
    "connections.pending",
    _side("target", "requester", "'pending'", ":rows offset :offset"),
    _waiting("target", "requester"),
)
SENT = _list(
    "connections.sent",
    _side("requester", "target", "'pending'", ":rows offset :offset"),
    _waiting("requester", "target"),
)
STATS = Statement(
    "connections.stats",
    Counts,
    f"""select {_ACCEPTED}, {_waiting("target", "requester")}, {_waiting("requester", "target")}
        from (select :org::integer) one""",
    hot=True,
)


def _near(whom: str) -> str:
    """The ids of those with whom a person of `sides` is connected."""
    return f"""select c.target as id from sides join connection c
            on c.org = :org and c.requester = sides.{whom} and c.status = 'accepted'
        union all
        select c.requester from sides join connection c
            on c.org = :org and c.target = sides.{whom} and c.status = 'accepted'"""


# The connections of whichever of the two has fewer: compared with the other's where those are not many more (measured:
# reading one costs a tenth of looking one up), each looked up where they are.
MUTUAL = Statement(
    "connections.mutual",
    MutualRow,
    f"""
    with peer as (
        select p.id from person p
        where p.org = :org and (p.email = :email or p.id = :person) and not {policies.blocked(":me", "p.id")}
            and (:staff::boolean or {policies.shown_to(":me", "p")})
    ),
    counts as (
        select person, connections from tie_count
        where org = :org and person = any(array[:me, (select id from peer)])
    ),
    sides as (
        select case when mine.connections < theirs.connections then mine.person else theirs.person end as few,
            case when mine.connections < theirs.connections then theirs.person else mine.person end as many,
            greatest(mine.connections, theirs.connections) < 10 * least(mine.connections, theirs.connections) as alike
        from peer join counts theirs on theirs.person = peer.id join counts mine on mine.person = :me
    ),
    near as ({_near("few")}),
    far as ({_near("many")}),
    common as (
        select near.id from near, sides
        where near.id not in {policies.hidden_from(":me")} and case
            when sides.alike then near.id in (select id from far)
            else {policies.connected("sides.many", "near.id")}
        end
    )
    select exists (select 1 from peer), length.total, page.key, page.item
    from (select count(*) as total from common) length
    left join lateral (
        select p.id as key, row(p.email, {card("p", ":me")}) as item
        from (select id from common where id < :before order by id desc limit :rows offset :offset) shown
        join person p on p.org = :org and p.id = shown.id
        order by p.id desc
    ) page on true
    """,
    hot=True,
)
