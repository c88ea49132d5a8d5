"""Statements of direct messages; `fragments` says what `m`, `s`, `r` and `q` are."""

from __future__ import annotations

import msgspec

from plaza.domains.messages import sizes
from plaza.domains.messages.facts import MessageDeleted, MessageRead, MessageSent
from plaza.domains.messages.fragments import columns, quoted, unread, visible
from plaza.domains.messages.schemas import Message
from plaza.domains.people import met, named
from plaza.kernel import policies
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class Sent(msgspec.Struct, frozen=True):
    """What became of a message: `stored` with it, `again` (a retry) with the id of the `prior` one, or why not.

    `first` is a first message to somebody who is no connection, where the statement was told that those are counted.
    """

    verdict: str
    prior: int | None
    message: Message | None


class Deleted(msgspec.Struct, frozen=True):
    """Whether there is such a message for the caller, and whether it is the caller's own."""

    found: bool
    own: bool


SEND = Statement(
    "messages.send",
    Sent,
    f"""
    with me as (select * from person where org = :org and id = :me and status = 'active'),
    peer as {met()},
    prior as (
        select m.* from message m, peer
        where m.org = :org and m.sender = :me and m.recipient = peer.id and m.client_id = :client_id
    ),
    answered as (
        select q.id, q.sender, {sizes.QUOTED} as size from message q, peer
        where q.org = :org and q.id = :reply_to and q.deleted_at is null and {visible("q")}
            and peer.id in (q.sender, q.recipient)
    ),
    judged as (
        select me.id as me, peer.id as peer, case
            when me.id is null then 'suspended'
            when peer.id is null then 'nobody'
            when peer.id = me.id then 'self'
            when prior.fingerprint = :fingerprint then 'again'
            when prior.id is not null then 'different'
            when {policies.blocked(":me", "peer.id")} then 'blocked'
            when (:connections_only or peer.messages_from = 'connections')
                and not {policies.connected(":me", "peer.id")}
                and not exists (
                    select 1 from thread t join message w on w.org = t.org and w.thread = t.id and w.sender = peer.id
                    where t.org = :org and t.low = least(:me, peer.id) and t.high = greatest(:me, peer.id)
                )
                then 'unconnected'
            when :reply_to::bigint is not null and answered.id is null then 'no_reply'
            -- Nearly all have room enough: then nothing is looked up.
            when case when :room::integer is not null then :room::integer < {sizes.ADDED} end then 'too_large'
            when :counted and not exists (
                    select 1 from thread t
                    where t.org = :org and t.low = least(:me, peer.id) and t.high = greatest(:me, peer.id)
                ) and not {policies.connected(":me", "peer.id")}
                then 'first'
            else 'stored'
        end as verdict
        from (select 1) one
        left join me on true left join peer on true left join prior on true left join answered on true
    ),
    placed as (
        insert into thread as t (org, id, low, high, last_seq, last_message, created_at)
        select :org, :thread, least(me, peer), greatest(me, peer), 1, :id, :now from judged where verdict = 'stored'
        on conflict (org, low, high) do update
            set last_seq = t.last_seq + 1, last_message = greatest(t.last_message, excluded.last_message)
        returning t.id, t.last_seq
    ),
    written as (
        insert into message (org, id, thread, seq, sender, recipient, content, content_type, attachments, size,
            reply_to, client_id, fingerprint, created_at)
        select :org, :id, placed.id, placed.last_seq, judged.me, judged.peer, :content, :content_type, :attachments,
            :size, :reply_to, :client_id, :fingerprint, :now
        from placed, judged
        returning *
    ),
    announced as ({
        announce(
            MessageSent,
            "written",
            message="id",
            thread="thread",
            sender="sender",
            recipient="recipient",
            size="size",
        )
    })
    select judged.verdict, prior.id, case when m.id is not null then {columns(":me")} end
    from judged
    left join prior on judged.verdict = 'again'
    left join written m on true
    left join me s on s.id = m.sender
    left join peer r on r.id = m.recipient
    left join (select null::timestamptz as delivered_at, null::timestamptz as read_at) fate on true
    {quoted(":me")}
    """,
    hot=True,
)


def _read(name: str, which: str) -> Statement[int]:
    """Reads those messages to the caller that wait; says so once for each sender and thread."""
    return Statement(
        name,
        int,
        f"""
        with {which}
        done as (
            update message m set read_at = :now, delivered_at = coalesce(m.delivered_at, :now)
            from chosen where m.org = :org and m.id = chosen.id and m.read_at is null
            returning m.id, m.thread, m.sender, m.recipient
        ),
        grouped as (
            select thread, sender, recipient, jsonb_agg(id order by id) as ids from done
            group by thread, sender, recipient
        ),
        announced as ({
            announce(MessageRead, "grouped", messages="ids", thread="thread", sender="sender", reader="recipient")
        })
        select count(*) from done
        """,
        hot=True,
    )


READ = _read(
    "messages.read",
    f"""chosen as (
            select id from message m
            where m.org = :org and m.id = any(:ids) and m.recipient = :me and {unread("m")} order by id for update
        ),""",
)
READ_THREAD = _read(
    "messages.read_thread",
    f"""peer as {named()},
        chosen as (
            select m.id from message m, peer
            where m.org = :org and m.recipient = :me and m.sender = peer.id and {unread("m")} order by m.id
            for update of m
        ),""",
)


def _delete(name: str, which: str, change: str, then: str) -> Statement[Deleted]:
    return Statement(
        name,
        Deleted,
        f"""
        with seen as (
            select m.* from message m where m.org = :org and m.id = :id and {visible("m")} for update
        ),
        done as (
            update message m set {change} from seen where m.org = :org and m.id = seen.id and {which} returning m.*
        ),
        {then}
        select exists (select 1 from seen), exists (select 1 from seen where sender = :me)
        """,
        hot=True,
    )


HIDE = _delete(
    "messages.hide",
    "true",
    "sender_hid = m.sender_hid or m.sender = :me, recipient_hid = m.recipient_hid or m.recipient = :me",
    f"""counted as (
            update thread t set low_hidden = low_hidden + (low = :me)::integer,
                high_hidden = high_hidden + (high = :me)::integer
            from done where t.org = :org and t.id = done.thread
        ),
        announced as ({
        announce(
            MessageDeleted, "done", message="id", thread="thread", by=":me::bigint", people="jsonb_build_array(:me)"
        )
    })""",
)
DELETE = _delete(
    "messages.delete",
    "m.sender = :me and m.deleted_at is null",
    "content = '', attachments = '[]', size = null, deleted_at = :now",
    f"""announced as ({
        announce(
            MessageDeleted,
            "done",
            message="id",
            thread="thread",
            by="sender",
            people="jsonb_build_array(sender, recipient)",
        )
    })""",
)

UNREAD = Statement(
    "messages.unread",
    int,
    f"""
    select count(*) from message m
    where m.org = :org and m.recipient = :me and {unread("m")} and not {policies.blocked(":me", "m.sender")}
    """,
    hot=True,
)
HEARER = Statement(
    "messages.hearer",
    int,
    f"""
    select p.id from person p
    where p.org = :org and (p.email = :email or p.id = :person) and p.id <> :me
        and not {policies.blocked(":me", "p.id")}
    """,
    hot=True,
)
