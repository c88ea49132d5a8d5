"""Statements of accounts and their codes; `a` is the account, `p` its person.

Locks are taken in one order, account, code, person, sessions; and none for a wrong guess: a lock is a write, a write
waits for the disk, and the time would tell which addresses have an account.
"""

from __future__ import annotations

import msgspec

from plaza.domains.accounts import mail
from plaza.domains.accounts.facts import SessionEnded
from plaza.domains.accounts.schemas import User
from plaza.domains.organisations.signers import PLAZA
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class Account(msgspec.Struct, frozen=True):
    """An account as far as a password is concerned."""

    id: int
    epoch: int
    password_hash: str | None
    suspended: bool


class Known(msgspec.Struct, frozen=True):
    """The accounts of an address: the verified one and the newest sign-up, where there are such."""

    verified: Account | None
    pending: Account | None


class Changed(msgspec.Struct, frozen=True):
    """An account whose earlier sessions have just ended, and which they were."""

    id: int
    epoch: int
    suspended: bool
    ended: list[int]


class Proven(Changed, frozen=True):
    """An account whose address is proven."""

    has_password: bool


USER = """p.id::text, coalesce(p.email, a.address), array[:role::text], coalesce(p.first_name, a.first_name),
    coalesce(p.last_name, a.last_name), p.image, a.phone, p.id is not null"""
"""The columns of a `User`: the account `a`, if any, and the person `p`, if any; binds `:role`."""


def ending(holder: str) -> str:
    """SQL that ends the sessions of an earlier epoch than that of `holder`, a source of accounts."""
    return f"""ended as (
        update session s set ended_at = :now, expires_at = least(s.expires_at, :now)
        from {holder} h
        where s.org = :org and s.account = h.id and s.epoch <> h.epoch and s.ended_at is null
        returning s.id, s.account
    ),
    told as ({announce(SessionEnded, "ended", session="id", account="account")})"""


FIND = Statement(
    "accounts.find",
    Known,
    """
    select case when v.id is not null then
            row(v.id, v.epoch, v.password_hash, exists (
                select 1 from person where org = :org and id = v.person and status <> 'active'
            )) end,
        case when u.id is not null then row(u.id, u.epoch, u.password_hash, false) end
    from (select 1) one
    left join account v on v.org = :org and v.address = :address and v.verified_at is not null
    left join account u on u.org = :org and u.address = :address and u.verified_at is null
    """,
    hot=True,
)
SIGN_UP = Statement(
    "accounts.sign_up",
    Changed,
    f"""
    with taken as (
        select case
            when exists (select 1 from account where org = :org and address = :address and verified_at is not null)
                then 'known'
            when exists (select 1 from person where org = :org and email = :address and subject is not null)
                then 'elsewhere'
            else 'fresh'
        end as letter
    ),
    placed as (
        insert into account as a (org, id, address, password_hash, first_name, last_name, phone, created_at)
        values (:org, :id, :address, :password_hash, :first_name, :last_name, :phone, :now)
        on conflict (org, address) where verified_at is null do update set
            password_hash = excluded.password_hash, first_name = excluded.first_name,
            last_name = excluded.last_name, phone = excluded.phone, created_at = :now, epoch = a.epoch + 1,
            contested = a.contested or a.password_hash is distinct from :same_as
        returning a.id, a.epoch, a.contested
    ),
    {mail.room("placed", recipient=":address", kind="'sign_up'")},
    coded as (
        insert into account_code (org, account, purpose, hash, expires_at)
        select :org, placed.id, 'verify', :code, :code_expires
        from placed, taken, room where taken.letter = 'fresh'
        on conflict (org, account, purpose) do update set hash = excluded.hash, expires_at = excluded.expires_at
    ),
    {
        mail.posting(
            "placed, taken, room",
            recipient=":address",
            letter="case when taken.letter = 'fresh' and placed.contested then 'contested' else taken.letter end",
        )
    },
    {ending("placed")}
    select id, epoch, false, array(select id from ended) from placed
    """,
)
PROVE = Statement(
    "accounts.prove",
    Proven,
    # It writes `person` as well, which is the people's: the address, the person and the account change hands at once.
    f"""
    with proof as (
        select a.* from account a
        join account_code c on c.org = a.org and c.account = a.id
        where a.org = :org and a.address = :address
            and c.purpose = :purpose and c.hash = :code and c.expires_at > :now
        for update of a, c
    ),
    claimed as (
        insert into person as p
            (org, id, email, signer, subject, first_name, last_name, claimed_at, created_at, updated_at)
        select :org, :person, address, '{PLAZA}', 'account:' || id, first_name, last_name, :now, :now, :now
        from proof where person is null
        on conflict (org, email) do update set
            signer = excluded.signer, subject = excluded.subject,
            claimed_at = coalesce(p.claimed_at, :now), updated_at = :now,
            first_name = coalesce(nullif(p.first_name, ''), excluded.first_name),
            last_name = coalesce(nullif(p.last_name, ''), excluded.last_name)
        where p.subject is null
        returning p.id, p.status
    ),
    verified as (
        update account a set
            person = coalesce(a.person, claimed.id), verified_at = coalesce(a.verified_at, :now), epoch = a.epoch + 1,
            password_hash = coalesce(:password_hash, (
                select a.password_hash from session s
                where s.org = :org and s.id = :session::bigint and s.account = a.id and s.epoch = a.epoch
                    and s.ended_at is null and s.expires_at > :now
            )),
            contested = false
        from proof left join claimed on true
        where a.org = :org and a.id = proof.id and coalesce(proof.person, claimed.id) is not null
        returning a.id, a.epoch, a.address, a.person, claimed.status, a.password_hash is not null as has_password
    ),
    spent as (delete from account_code c using verified where c.org = :org and c.account = verified.id),
    {mail.posting("verified where :purpose = 'reset'", recipient="verified.address", letter="'changed'")},
    {ending("verified")}
    select id, epoch, coalesce(
            status, (select status from person where org = :org and id = verified.person)
        ) <> 'active', array(select id from ended), has_password
    from verified
    """,
    hot=True,
)
FORGET = Statement(
    "accounts.forget",
    int,
    # Letters that get an account back count for themselves, whatever else went to the address; without room in the
    # organisation (`:within`) only they go, one an hour.
    f"""
    with whose as (
        select coalesce(v.id, u.id) as account, case
            when v.id is not null then 'reset'
            when exists (select 1 from person where org = :org and email = :address and subject is not null)
                then 'elsewhere'
            when u.id is not null then 'reset'
            else 'nobody'
        end as letter
        from (select 1) one
        left join account v on v.org = :org and v.address = :address and v.verified_at is not null
        left join account u on u.org = :org and u.address = :address and u.verified_at is null
    ),
    {
        mail.room(
            "whose where whose.letter = 'reset' or :within::boolean",
            recipient=":address",
            kind="case whose.letter when 'reset' then 'recovery' else 'no_recovery' end",
            most=f"case when :within::boolean then {mail.MOST_LATELY} else 1 end",
        )
    },
    coded as (
        insert into account_code (org, account, purpose, hash, expires_at)
        select :org, whose.account, 'reset', :code, :code_expires from whose, room where whose.letter = 'reset'
        on conflict (org, account, purpose) do update set hash = excluded.hash, expires_at = excluded.expires_at
    ),
    {mail.posting("whose, room", recipient=":address", letter="whose.letter")}
    select count(*) from mailed
    """,
)
CHANGE = Statement(
    "accounts.change",
    Changed,
    f"""
    with changed as (
        update account a set password_hash = :password_hash, epoch = a.epoch + 1
        where a.org = :org and a.id = :account and a.epoch = :epoch
        returning a.id, a.epoch, a.address, a.verified_at
    ),
    spent as (
        delete from account_code c using changed
        where c.org = :org and c.account = changed.id and c.purpose = 'reset'
    ),
    {mail.posting("changed where verified_at is not null", recipient="changed.address", letter="'changed'")},
    {ending("changed")}
    select id, epoch, false, array(select id from ended) from changed
    """,
    hot=True,
)
RENEW = Statement(
    "accounts.renew",
    int,
    """
    update account set password_hash = :password_hash
    where org = :org and id = :account and password_hash = :outdated
    returning id
    """,
    hot=True,
)
OF_SESSION = Statement(
    "accounts.of_session",
    Account,
    """
    select a.id, a.epoch, a.password_hash, false
    from session s join account a on a.org = s.org and a.id = s.account
    where s.org = :org and s.id = :session and s.ended_at is null and s.epoch = a.epoch
    """,
    hot=True,
)
PROFILE = Statement(
    "accounts.profile",
    User,
    f"""
    select {USER}
    from (select 1) one
    left join session s on s.org = :org and s.id = :session
    left join account a on a.org = :org and a.id = s.account
    left join person p on p.org = :org and p.id = :me
    """,
    hot=True,
)
READDRESS = Statement(
    "accounts.readdress",
    int,
    """
    with changed as (
        update account set address = :new
        where org = :org and person = (select id from person where org = :org and email = :old) and address <> :new
        returning id
    ),
    spent as (delete from account_code c using changed where c.org = :org and c.account = changed.id)
    select count(*) from changed
    """,
)
