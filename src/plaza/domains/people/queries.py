"""Statements of people."""

from __future__ import annotations

import msgspec

from plaza.domains.people.facts import PersonSuspended
from plaza.kernel import policies
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class PersonRow(msgspec.Struct, frozen=True):
    """A person as the entry needs them."""

    id: int
    email: str
    signer: str | None
    """Whose `subject` it is; None also where nobody can tell (decisions/0021)."""
    subject: str | None
    first_name: str
    last_name: str
    image: str | None
    status: str
    claimed_now: bool


class KnownRow(PersonRow, frozen=True):
    """Whom a token's subject means."""

    formerly: bool
    """Whether it was their address once and is no longer."""
    place: int
    """Among those who were asked about."""


class Whose(msgspec.Struct, frozen=True):
    """A person of some organisation."""

    org: int
    person: int


ROW = "p.id, p.email, p.signer, p.subject, p.first_name, p.last_name, p.image, p.status"
"""A `PersonRow` but its last column."""

# The organisations come as arrays: one statement finds whoever comes to any tenant of this process.
KNOWN = Statement(
    "people.known",
    KnownRow,
    f"""
    select p.*, given.place - 1
    from unnest(:orgs::integer[], :signers::text[], :subjects::text[], :addresses::text[], :issued::timestamptz[])
        with ordinality as given (org, signer, subject, address, issued, place)
    cross join lateral (
        (
            select {ROW}, false, false from person p
            where p.org = given.org and p.subject = given.subject and coalesce(p.signer, given.signer) = given.signer
            order by p.signer limit 1
        )
        union all
        (
            -- Whose subject was their address until staff changed it, after the token was issued.
            select {ROW}, false, true from address_change c join person p on p.org = c.org and p.id = c.person
            where c.org = given.org and c.old = given.address and c.by = 'staff' and c.changed_at > given.issued
                and p.signer = given.signer
            order by c.changed_at desc limit 1
        )
        limit 1
    ) p
    """,
    hot=True,
    tenant=False,
)
ARRIVE = Statement(
    "people.arrive",
    PersonRow,
    f"""
    with arrived as (
        insert into person as p (org, id, email, email_at, signer, subject, first_name, last_name, image, entry_due,
            claimed_at, created_at, updated_at)
        values (:org, :id, :email, :issued, :signer, :subject, :first_name, :last_name, :image, false, :now, :now, :now)
        on conflict (org, email) do update set
            signer = :signer, subject = :subject,
            email_at = coalesce(p.email_at, :issued), claimed_at = coalesce(p.claimed_at, :now),
            first_name = coalesce(nullif(p.first_name, ''), :first_name),
            last_name = coalesce(nullif(p.last_name, ''), :last_name),
            image = coalesce(p.image, :image), version = p.version + 1, updated_at = :now
        where case when p.subject is null then :claims else p.signer = :signer and (
            p.subject in (p.email, :subject) or p.subject like '%@%' and lower(p.subject) = :subject
        ) end
        returning *
    ),
    listed as (
        insert into directory_entry (org, person, words, tags, keys)
        select org, id, :words, '{{}}', :keys from arrived
        where claimed_at = :now and status = 'active' and unlisted_at is null
        on conflict (org, person) do nothing
    )
    select {ROW}, p.claimed_at = :now from arrived p
    """,
)
INVITE = Statement(
    "people.invite",
    int,
    """
    insert into person (org, id, email, created_at, updated_at) values (:org, :id, :email, :now, :now)
    on conflict (org, email) do update set email = excluded.email
    returning id
    """,
)
MEET = Statement(
    "people.meet",
    int,
    f"""
    with seen as (
        select p.id from person p where p.org = :org and (p.email = :email or p.id = :person)
            and (:staff::boolean or {policies.shown_to(":me", "p")})
    ),
    invited as (
        insert into person (org, id, email, created_at, updated_at)
        select :org, :id, :email, :now, :now
        where :email::text is not null and not exists (select 1 from seen)
        on conflict (org, email) do update set email = excluded.email
        returning id
    )
    select id from seen union all select id from invited union all select null limit 1
    """,
)
SUSPEND = Statement(
    "people.suspend",
    int,
    f"""
    with changed as (
        update person set status = :status, entry_due = true, version = version + 1, updated_at = :now
        where org = :org and email = :email
        returning id, status
    ),
    unlisted as (
        delete from directory_entry e using changed
        where e.org = :org and e.person = changed.id and changed.status = 'suspended'
    ),
    told as ({announce(PersonSuspended, "changed where status = 'suspended'", person="id")})
    select id from changed
    """,
)
# Whom their token lets in no longer; a signer is compared where the person's is known.
SUSPENDED = Statement(
    "people.suspended",
    Whose,
    """
    select p.org, p.id from person p
    join unnest(:orgs::integer[], :ids::bigint[], :signers::text[]) as given (org, id, signer)
        on p.org = given.org and p.id = given.id
    where p.status <> 'active' or p.signer <> given.signer
    """,
    tenant=False,
)
MOVED = Statement(
    "people.moved",
    Whose,
    """
    select distinct p.org, p.id from person p
    join unnest(:orgs::integer[], :ids::bigint[], :emails::text[]) as given (org, id, email)
        on p.org = given.org and p.id = given.id
    where p.email <> given.email
    """,
    tenant=False,
)
