"""Statements that move connections; `fragments` says what `c`, `r` and `t` are."""

from __future__ import annotations

import msgspec

from plaza.domains.connections.facts import (
    ConnectionAccepted,
    ConnectionEnded,
    ConnectionRejected,
    ConnectionRequested,
)
from plaza.domains.connections.fragments import NAMES, SEEN, both, columns, people
from plaza.domains.connections.schemas import Connection
from plaza.domains.people import met
from plaza.kernel import policies
from plaza.kernel.counters import add_ties, recount_ties, take_ties
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class Moved(msgspec.Struct, frozen=True):
    """What became of a transition: `moved` or why not; the connection in the first case."""

    verdict: str
    connection: Connection | None


class Found(msgspec.Struct, frozen=True):
    """A connection by its id."""

    connection: Connection


def _fresh(column: str) -> str:
    """Taken from the new request, except where it answers a pending one."""
    return f"{column} = case when c.status = 'pending' then c.{column} else excluded.{column} end"


_BY_ME = {**NAMES, "by": ":me::bigint"}

REQUEST = Statement(
    "connections.request",
    Moved,
    f"""
    with peer as {met()},
    -- Nobody can prove a scan: it does not open somebody who has left the directory to a stranger.
    judged as (
        select peer.id as peer,
            :scanned and peer.auto_accept_qr_scans and {policies.shown_to(":me", "peer")} as at_once, case
            when peer.id is null then 'nobody'
            when peer.id = :me then 'self'
            when {policies.blocked(":me", "peer.id")} then 'blocked'
            when not :may_begin and not exists (
                    select 1 from connection c
                    where c.org = :org and c.low = least(:me, peer.id) and c.high = greatest(:me, peer.id)
                        and c.status in ('pending', 'accepted')
                )
                then 'limited'
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
    {people(":me")}
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
    {people(":me")}
    """,
    hot=True,
)
FIND = Statement(
    "connections.find",
    Found,
    f"""
    with {SEEN}
    select {columns(":me")} from seen c {people(":me")}
    where not {policies.blocked("c.requester", "c.target")}
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


TIES = recount_ties(
    "connections",
    """
    select org, person, count(*)::integer as connections
    from connection, unnest(array[low, high]) as p (person) where status = 'accepted' group by org, person
    """,
    "connections",
)
