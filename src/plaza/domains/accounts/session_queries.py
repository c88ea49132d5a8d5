"""Statements of sessions; `s` is the session, `a` its account, `p` the account's person.

Locks are taken in one order: account, sessions.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from plaza.domains.accounts.facts import SessionEnded
from plaza.domains.accounts.queries import USER
from plaza.domains.accounts.schemas import User
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement

LONGEST_DAYS = 365
"""A session ends after a year, however much it is used."""
MOST_SESSIONS = 20
"""Of one account; one more ends the one that was not used for the longest time."""


class Opened(msgspec.Struct, frozen=True):
    """A session that begins, and those that end for it."""

    user: User
    ended: list[int]


class Refreshed(msgspec.Struct, frozen=True):
    """What became of a refresh token: `rotated`, `again`, or why not; the salt of the newest one."""

    verdict: Literal["rotated", "again", "reused", "suspended", "over"]
    session: int
    account: int
    salt: bytes | None
    user: User


class Holder(msgspec.Struct, frozen=True):
    """Whose a session is."""

    account: int
    address: str
    person: int | None
    email: str | None
    status: str | None


class Session(msgspec.Struct, frozen=True):
    """A session of some organisation."""

    org: int
    id: int


def alive(session: str, account: str) -> str:
    """SQL: whether a session holds; binds `:now`."""
    return f"({session}.ended_at is null and {session}.expires_at > :now and {session}.epoch = {account}.epoch)"


_TOLD = f"told as ({announce(SessionEnded, 'ended', session='id', account='account')})"
_PERSON = "left join person p on p.org = a.org and p.id = a.person"

OPEN = Statement(
    "sessions.open",
    Opened,
    f"""
    with holder as (
        select * from account where org = :org and id = :account for no key update
    ),
    opened as (
        insert into session (org, id, account, epoch, family, secret, created_at, used_at, expires_at)
        select :org, :session, id, :epoch, :family, :secret, :now, :now, :expires from holder
        returning account
    ),
    ended as (
        update session s set ended_at = :now, expires_at = least(s.expires_at, :now)
        from holder h
        where s.org = :org and s.account = h.id and s.ended_at is null and (s.epoch <> h.epoch or s.id in (
            select id from session where org = :org and account = :account and ended_at is null and expires_at > :now
            order by used_at desc offset {MOST_SESSIONS - 1}
        ))
        returning s.id, s.account
    ),
    {_TOLD}
    select row({USER}), array(select id from ended)
    from opened join holder a on a.id = opened.account {_PERSON}
    """,
)
REFRESH = Statement(
    "sessions.refresh",
    Refreshed,
    f"""
    with found as (
        select * from session where org = :org and family = :family for update
    ),
    judged as (
        select f.id, f.account, f.salt, case
            when not {alive("f", "a")} then 'over'
            when f.secret = :secret then case when p.status <> 'active' then 'suspended' else 'rotated' end
            when f.previous = :secret and f.used_at > :grace then
                case when p.status <> 'active' then 'suspended' else 'again' end
            else 'reused'
        end as verdict
        from found f join account a on a.org = :org and a.id = f.account {_PERSON}
    ),
    rotated as (
        update session s set previous = s.secret, secret = :next, salt = :salt, used_at = :now,
            expires_at = least(:expires, s.created_at + interval '{LONGEST_DAYS} days')
        from judged where s.org = :org and s.id = judged.id and judged.verdict = 'rotated'
    ),
    ended as (
        update session s set ended_at = :now, expires_at = :now
        from judged where s.org = :org and s.id = judged.id and judged.verdict = 'reused'
        returning s.id, s.account
    ),
    {_TOLD}
    select judged.verdict, judged.id, a.id, judged.salt, row({USER})
    from judged join account a on a.org = :org and a.id = judged.account {_PERSON}
    """,
    hot=True,
)
END = Statement(
    "sessions.end",
    int,
    f"""
    with ended as (
        update session set ended_at = :now, expires_at = least(expires_at, :now)
        where org = :org and id = :session and ended_at is null
        returning id, account
    ),
    {_TOLD}
    select count(*) from ended
    """,
    hot=True,
)
RESUME = Statement(
    "sessions.resume",
    Holder,
    f"""
    select a.id, a.address, p.id, p.email, p.status
    from session s join account a on a.org = s.org and a.id = s.account {_PERSON}
    where s.org = :org and s.id = :session and {alive("s", "a")}
    """,
    hot=True,
)
OVER = Statement(
    "sessions.over",
    Session,
    f"""
    select given.org, given.id
    from unnest(:orgs::integer[], :ids::bigint[]) as given (org, id)
    where not exists (
        select 1 from session s join account a on a.org = s.org and a.id = s.account
        where s.org = given.org and s.id = given.id and {alive("s", "a")}
    )
    """,
    tenant=False,
)
