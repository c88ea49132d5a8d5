"""Statements that list and count connections; `fragments` says what `c`, `r` and `t` are."""

from __future__ import annotations

import msgspec

from plaza.domains.connections.fragments import columns, common, people, sides, total
from plaza.domains.connections.schemas import Connection, MutualConnection
from plaza.domains.people import card
from plaza.kernel import policies
from plaza.kernel.paging import bounded, page_of
from plaza.kernel.sql import Statement


class ConnectionRow(msgspec.Struct, frozen=True):
    """A connection in a list, with the length of the list."""

    total: int
    key: list[int] | None
    item: Connection | None


class MutualRow(msgspec.Struct, frozen=True):
    """A mutual connection in a list, with the length of the list; `known` is false where the other is nobody,
    `exact` where the newest connections alone were compared."""

    known: bool
    exact: bool
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


def _list(name: str, rows: str, length: str) -> Statement[ConnectionRow]:
    return Statement(
        name,
        ConnectionRow,
        page_of(
            f"""
            select array[c.position, c.id] as key, {columns(":me")} as item
            from {rows} c {people(":me")}
            order by c.position desc, c.id desc
            """,
            total=length,
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
    f"""case :status when 'accepted' then {total(":me")}
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
    f"""select {total(":me")}, {_waiting("target", "requester")}, {_waiting("requester", "target")}
        from (select :org::integer) one""",
    hot=True,
)


MUTUAL = Statement(
    "connections.mutual",
    MutualRow,
    f"""
    with peer as (
        select p.id from person p
        where p.org = :org and (p.email = :email or p.id = :person) and not {policies.blocked(":me", "p.id")}
            and (:staff::boolean or {policies.shown_to(":me", "p")})
    ),
    sides as (select s.* from peer cross join lateral {sides(":me", "peer.id")} s),
    common as {common(":me", "(select few from sides)", "(select many from sides)")}
    select exists (select 1 from peer), coalesce((select exact from sides), true), length.total, page.key, page.item
    from (select count(*) as total from common) length
    left join lateral ({
        bounded(f'''
            select p.id as key, row(p.email, {card("p", ":me")}) as item
            from (select id from common where id < :before order by id desc limit :rows offset :offset) shown
            join person p on p.org = :org and p.id = shown.id
            order by p.id desc
        ''')
    }) page on true
    """,
    hot=True,
)
