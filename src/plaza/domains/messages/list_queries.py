"""Statements that list direct messages, page by page; `fragments` says what `m`, `s`, `r` and `q` are."""

from __future__ import annotations

import msgspec

from plaza.domains.messages import sizes
from plaza.domains.messages.fragments import PEOPLE, columns, quoted, told, unread, visible
from plaza.domains.messages.schemas import Message, Thread
from plaza.domains.people import card, named
from plaza.kernel import policies
from plaza.kernel.sql import Statement


class Slice(msgspec.Struct, frozen=True):
    """A message of a history, with the length of the whole; `known` is false where the peer is nobody or hidden."""

    known: bool
    placed: bool
    total: int
    seq: int | None
    later: bool | None
    """Whether it is the first of the next page."""
    message: Message | None


_LAST = f"""cross join lateral (
        select m.* from message m where m.org = t.org and m.thread = t.id and {visible("m")}
        order by m.seq desc limit 1
    ) m"""


def _threads(mine: str, theirs: str) -> str:
    """The caller's threads on one side of the pair, the newest first; without those of blocked people."""
    return f"""(
        select t.last_message, t.{theirs} as peer, m.id as message, {sizes.measure("m")} as bytes from thread t {_LAST}
        where t.org = :org and t.{mine} = :me and not {policies.blocked(":me", f"t.{theirs}")}
        order by t.last_message desc limit :rows
    )"""


_NEWEST = f"""
        select * from ({_threads("low", "high")} union all {_threads("high", "low")}) both_sides
        order by last_message desc limit :rows"""
THREADS = Statement(
    "messages.threads",
    Thread,
    f"""
    with newest as (
        select * from ({sizes.paged(_NEWEST, "last_message desc")}) n where page = :page
    )
    select m.thread::text, p.email, {card("p", ":me")}, {columns(":me")}, (
        select count(*) from message u
        where u.org = :org and u.recipient = :me and u.sender = p.id and {unread("u")}
    )
    from newest n
    join person p on p.org = :org and p.id = n.peer
    join message m on m.org = :org and m.id = n.message
    {PEOPLE} {told(":me")} {quoted(":me")}
    order by n.last_message desc
    """,
    hot=True,
)


def _history(name: str, beyond: str, order: str) -> Statement[Slice]:
    """A part of the thread with one person; `beyond` compares `seq` with the place that `:seq` or `:id` names."""
    rows = f"""
                select m.*, {sizes.measure("m")} as bytes from message m
                where m.org = :org and m.thread = t.id and m.seq {beyond} place.seq and {visible("m")}
                    and not {policies.blocked(":me", "peer.id")}
                order by m.seq {order} limit :rows"""
    return Statement(
        name,
        Slice,
        f"""
        with peer as {named()},
        t as (
            select thread.id, last_seq - case when low = :me then low_hidden else high_hidden end as total
            from thread, peer
            where thread.org = :org and low = least(:me, peer.id) and high = greatest(:me, peer.id)
        ),
        place as (
            select coalesce(:seq, (
                select m.seq from message m, t where m.org = :org and m.id = :id and m.thread = t.id
            )) as seq
        )
        select peer.id is not null and not {policies.blocked(":me", "peer.id")}, place.seq is not null,
            coalesce(t.total, 0), m.seq, m.page > :page, case when m.id is not null then {columns(":me")} end
        from (select 1) one
        left join peer on true
        left join t on true
        left join place on true
        left join lateral (
            select * from ({sizes.paged(rows, f"seq {order}")}) m where page >= :page and page_before <= :page
        ) m on true
        left join person s on s.org = m.org and s.id = m.sender
        left join person r on r.org = m.org and r.id = m.recipient
        {told(":me")} {quoted(":me")}
        order by m.seq {order}
        """,
        hot=True,
    )


BEFORE = _history("messages.before", "<", "desc")
AFTER = _history("messages.after", ">", "asc")
