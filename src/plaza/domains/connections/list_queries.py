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
    key: list[int] | None
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
            where c.org = :org and c.{mine} = :me and c.status = {status}
                and (c.position, c.id) < (:before, :before_id)
                and c.{theirs} not in {policies.hidden_from(":me")}
            order by c.position desc, c.id desc limit {limit}
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
            select array[c.position, c.id] as key, {columns(":me")} as item
            from {rows} c {people(":me")}
            order by c.position desc, c.id desc
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
        order by position desc, id desc limit :rows offset :offset
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


COMPARED = 1_000
"""How many connections, the newest, of whichever of two people has fewer are looked up with the other."""


def _newest(mine: str, theirs: str) -> str:
    """The newest connections of one side of the pair, of the one who has fewer."""
    return f"""(
            select c.{theirs} as id, c.position from connection c
            where c.org = :org and c.{mine} = (select few from sides) and c.status = 'accepted'
            order by c.position desc limit {COMPARED}
        )"""


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
            case when mine.connections < theirs.connections then theirs.person else mine.person end as many
        from peer join counts theirs on theirs.person = peer.id join counts mine on mine.person = :me
    ),
    common as (
        select near.id from (
            {_newest("requester", "target")} union all {_newest("target", "requester")}
            order by position desc limit {COMPARED}
        ) near
        where near.id not in {policies.hidden_from(":me")}
            and {policies.connected("(select many from sides)", "near.id")}
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
