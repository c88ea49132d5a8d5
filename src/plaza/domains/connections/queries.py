"""Statements of connections; `fragments` says what `c`, `r` and `t` are."""

from __future__ import annotations

import msgspec

from plaza.domains.connections.facts import (
    ConnectionAccepted,
    ConnectionEnded,
    ConnectionRejected,
    ConnectionRequested,
)
from plaza.domains.connections.fragments import NAMES, PEOPLE, SEEN, both, columns
from plaza.domains.connections.schemas import Connection, MutualConnection
from plaza.domains.people import card
from plaza.kernel import policies
from plaza.kernel.counters import add_ties, recount_ties, take_ties
from plaza.kernel.outbox import announce
from plaza.kernel.paging import page_of
from plaza.kernel.sql import Statement


class Moved(msgspec.Struct, frozen=True):
    """What became of a transition: `moved` or why not; the connection in the first case."""

    verdict: str
    connection: Connection | None


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


def _fresh(column: str) -> str:
    """Taken from the new request, except where it answers a pending one."""
    return f"{column} = case when c.status = 'pending' then c.{column} else excluded.{column} end"


_BY_ME = {**NAMES, "by": ":me::bigint"}

REQUEST = Statement(
    "connections.request",
    Moved,
    f"""
    with peer as (select * from person where org = :org and (email = :email or id = :person)),
    judged as (
        select peer.id as peer, peer.auto_accept_qr_scans and :scanned as at_once, case
            when peer.id is null then 'nobody'
            when peer.id = :me then 'self'
            when {policies.blocked(":me", "peer.id")} then 'blocked'
            else 'free'
        end as verdict
        from (select 1) one left join peer on true
    ),
    prior as (
        select c.* from connection c, judged
        where c.org = :org and c.low = least(:me, judged.peer) and c.high = greatest(:me, judged.peer)
    ),
    -- The row lock decides between two requests that cross: the later one finds the earlier and accepts it.
    written as (
        insert into connection as c
            (org, low, high, id, requester, status, message, context, requested_at, responded_at, position)
        select :org, least(:me, peer), greatest(:me, peer), :id, :me,
            case when at_once then 'accepted' else 'pending' end, :message, :context::jsonb, :now,
            case when at_once then :now::timestamptz end, :id
        from judged where verdict = 'free'
        on conflict (org, low, high) do update set
            status = case when c.status = 'pending' then 'accepted' else excluded.status end,
            responded_at = case when c.status = 'pending' then excluded.requested_at else excluded.responded_at end,
            position = excluded.position,
            {", ".join(map(_fresh, ("id", "requester", "message", "context", "requested_at")))}
        where c.status = 'pending' and (c.requester <> :me or excluded.status = 'accepted')
            or c.status = 'rejected' and (c.requester <> :me or c.responded_at <= :cooled)
        returning *
    ),
    sides as ({both("(select * from written where status = 'accepted') w")}),
    counted as ({add_ties("sides", "connections")}),
    asked as ({announce(ConnectionRequested, "written where status = 'pending'", **NAMES)}),
    agreed as ({announce(ConnectionAccepted, "written where status = 'accepted'", **_BY_ME)})
    select case
            when judged.verdict <> 'free' then judged.verdict
            when c.id is not null then 'moved'
            when prior.status = 'rejected' and prior.requester = :me and prior.responded_at > :cooled then 'cooling'
            else 'exists'
        end,
        case when c.id is not null then {columns(":me")} end
    from judged
    left join prior on true
    left join written c on true
    left join person r on r.org = :org and r.id = c.requester
    left join person t on t.org = :org and t.id = c.target
    """,
    hot=True,
)
RESPOND = Statement(
    "connections.respond",
    Moved,
    f"""
    with {SEEN},
    done as (
        update connection c set status = :status, responded_at = :now, position = :position
        from seen
        where c.org = :org and c.id = seen.id and c.target = :me and c.status = 'pending'
            and not {policies.blocked(":me", "seen.requester")}
        returning c.*
    ),
    sides as ({both("(select * from done where status = 'accepted') w")}),
    counted as ({add_ties("sides", "connections")}),
    agreed as ({announce(ConnectionAccepted, "done where status = 'accepted'", **_BY_ME)}),
    refused as ({announce(ConnectionRejected, "done where status = 'rejected'", **NAMES)})
    select case
            when seen.id is null then 'missing'
            when seen.target <> :me then 'not_yours'
            when {policies.blocked(":me", "seen.requester")} then 'blocked'
            when c.id is null then 'not_pending'
            else 'moved'
        end,
        case when c.id is not null then {columns(":me")} end
    from (select 1) one
    left join seen on true
    left join done c on true
    left join person r on r.org = :org and r.id = c.requester
    left join person t on t.org = :org and t.id = c.target
    """,
    hot=True,
)
ACCEPT_ALL = Statement(
    "connections.accept_all",
    int,
    f"""
    with waiting as (
        select c.id from connection c
        where c.org = :org and c.target = :me and c.status = 'pending'
            and c.requester not in {policies.hidden_from(":me")}
        order by c.id for update
    ),
    placed as (select id, row_number() over (order by id) - 1 as place from waiting),
    done as (
        update connection c set status = 'accepted', responded_at = :now, position = :position + placed.place
        from placed where c.org = :org and c.id = placed.id and c.status = 'pending'
        returning c.*
    ),
    sides as ({both("done")}),
    counted as ({add_ties("sides", "connections")}),
    agreed as ({announce(ConnectionAccepted, "done", **_BY_ME)})
    select count(*) from done
    """,
    hot=True,
)
END = Statement(
    "connections.end",
    str,
    f"""
    with {SEEN},
    gone as (
        delete from connection c using seen
        where c.org = :org and c.id = seen.id and c.status in ('pending', 'accepted')
        returning c.*
    ),
    sides as ({both("(select * from gone where status = 'accepted') w")}),
    counted as ({take_ties("sides", "connections")}),
    ended as ({announce(ConnectionEnded, "gone", **_BY_ME, was="status")})
    select case
            when exists (select 1 from gone) then 'ended'
            when exists (select 1 from seen where status = 'rejected') then 'over'
            else 'missing'
        end
    """,
    hot=True,
)


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
            from {rows} c {PEOPLE}
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
        select p.id as key, row(p.email, {card("p")}) as item
        from (select id from common where id < :before order by id desc limit :rows offset :offset) shown
        join person p on p.org = :org and p.id = shown.id
        order by p.id desc
    ) page on true
    """,
    hot=True,
)

TIES = recount_ties(
    "connections",
    """
    select org, person, count(*)::integer as connections
    from connection, unnest(array[low, high]) as p (person) where status = 'accepted' group by org, person
    """,
    "connections",
)
