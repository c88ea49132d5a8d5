"""Statements of notifications; `n` is the notification, `a` its actor, `p` its recipient."""

from __future__ import annotations

import msgspec

from plaza.domains.notifications.schemas import Notification
from plaza.domains.people import card
from plaza.kernel import policies
from plaza.kernel.paging import page_of
from plaza.kernel.sql import Statement


class NotificationRow(msgspec.Struct, frozen=True):
    """A notification in a list, with the length of the list."""

    total: int
    key: int | None
    item: Notification | None


class Made(msgspec.Struct, frozen=True):
    """A notification that was written."""

    org: int
    id: int
    recipient: int
    at: str


class Shown(msgspec.Struct, frozen=True):
    """A notification by its id."""

    key: int
    item: Notification


_NAME = f"""coalesce(
        case when {policies.shown_to("n.recipient", "a")} then nullif(trim(a.first_name || ' ' || a.last_name), '') end,
        split_part(a.email, '@', 1)
    )"""
_SUMMARY = f"""left(case n.type
        when 'message' then {_NAME} || ' sent you a message'
        when 'follow' then {_NAME} || ' follows you'
        when 'connection_request' then {_NAME} || ' wants to connect with you'
        when 'connection_accepted' then 'You and ' || {_NAME} || ' are connected'
        when 'badge_earned' then 'You have earned the badge ' || (
            select b.title from badge b where b.org = n.org and b.id = n.target
        )
        else {_NAME}
    end, 200)"""
_COLUMNS = f"""row(
    n.id::text, p.email, n.type, a.email, {card("a", "n.recipient")}, n.target::text, n.target_type, {_SUMMARY},
    jsonb_build_object(n.target_type || 'Id', n.target::text), n.group_key, n.read_at is not null, n.read_at,
    n.created_at
)"""
_PEOPLE = """join person a on a.org = n.org and a.id = n.actor
    join person p on p.org = n.org and p.id = n.recipient"""
_MINE = f"""n.org = :org and n.recipient = :me and not {policies.blocked(":me", "n.actor")}
    and (:unread::boolean is null or (n.read_at is null) = :unread) and (:type::text is null or n.type = :type)"""

LIST = Statement(
    "notifications.list",
    NotificationRow,
    page_of(
        f"""
        select n.id as key, {_COLUMNS} as item from notification n {_PEOPLE}
        where {_MINE} and n.id < :before
        order by n.id desc limit :rows offset :offset
        """,
        total=f"(select count(*) from notification n where {_MINE})",
    ),
    hot=True,
)
READ = Statement(
    "notifications.read",
    int,
    """
    with done as (
        update notification set read_at = :now
        where org = :org and recipient = :me and read_at is null and (:ids::bigint[] is null or id = any(:ids))
        returning id
    )
    select count(*) from done
    """,
    hot=True,
)
UNREAD = Statement(
    "notifications.unread",
    int,
    f"""
    select count(*) from notification n
    where n.org = :org and n.recipient = :me and n.read_at is null and not {policies.blocked(":me", "n.actor")}
    """,
    hot=True,
)

# What follows is spoken by the relay, for facts of many organisations at once.
RECORD = Statement(
    "notifications.record",
    Made,
    """
    insert into notification (org, id, recipient, type, actor, target, target_type, group_key, cause, created_at)
    select given.org, given.id, recipient, given.type, actor, target, target_type, group_key, cause, at
    from unnest(:orgs::integer[], :ids::bigint[], :recipients::bigint[], :types::text[], :actors::bigint[],
        :targets::bigint[], :target_types::text[], :group_keys::text[], :causes::text[], :ats::timestamptz[])
        as given (org, id, recipient, type, actor, target, target_type, group_key, cause, at)
    on conflict (org, recipient, cause) do nothing
    returning org, id, recipient, created_at
    """,
    hot=True,
    tenant=False,
)
SETTLE = Statement(
    "notifications.settle",
    int,
    """
    update notification n set read_at = given.at
    from unnest(:orgs::integer[], :recipients::bigint[], :causes::text[], :ats::timestamptz[])
        as given (org, recipient, cause, at)
    where n.org = given.org and n.recipient = given.recipient and n.cause = given.cause and n.read_at is null
    returning 1
    """,
    hot=True,
    tenant=False,
)
WITHDRAW = Statement(
    "notifications.withdraw",
    int,
    """
    delete from notification n using unnest(:orgs::integer[], :recipients::bigint[], :causes::text[])
        as given (org, recipient, cause)
    where n.org = given.org and n.recipient = given.recipient and n.cause = given.cause
    returning 1
    """,
    hot=True,
    tenant=False,
)
SHOW = Statement(
    "notifications.show",
    Shown,
    f"""
    select n.id, {_COLUMNS}
    from unnest(:orgs::integer[], :ids::bigint[]) as given (org, id)
    join notification n on n.org = given.org and n.id = given.id {_PEOPLE}
    where not {policies.blocked("n.recipient", "n.actor").replace(":org", "n.org")}
    """,
    hot=True,
    tenant=False,
)
