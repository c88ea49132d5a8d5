"""Statements of people."""

from __future__ import annotations

import msgspec

from plaza.domains.people.facts import PersonSuspended
from plaza.domains.people.schemas import Profile
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class PersonRow(msgspec.Struct, frozen=True):
    """A person as the entry needs them."""

    id: int
    email: str
    subject: str | None
    first_name: str
    last_name: str
    image: str | None
    status: str
    claimed_now: bool


class Whose(msgspec.Struct, frozen=True):
    """A person of some organisation."""

    org: int
    person: int


_ROW = "p.id, p.email, p.subject, p.first_name, p.last_name, p.image, p.status"


def card(alias: str) -> str:
    """The SQL of a `PersonCard` of the `person` row called `alias`."""
    columns = ("id::text", "email", "first_name", "last_name", "image", "company", "job_title")
    return f"row({', '.join(f'{alias}.{column}' for column in columns)})"


_PROFILE = """
    p.id::text, p.email, p.first_name, p.last_name, p.image, p.company, p.job_title,
    row(row(p.messages_from = 'everyone', p.read_receipts)), p.created_at, p.updated_at
"""

BY_SUBJECT = Statement(
    "people.by_subject",
    PersonRow,
    f"select {_ROW}, false from person p where p.org = :org and p.subject = :subject",
    hot=True,
)
BY_ID = Statement(
    "people.by_id", PersonRow, f"select {_ROW}, false from person p where p.org = :org and p.id = :id", hot=True
)
ARRIVE = Statement(
    "people.arrive",
    PersonRow,
    f"""
    insert into person as p
        (org, id, email, subject, first_name, last_name, image, claimed_at, created_at, updated_at)
    values (:org, :id, :email, :subject, :first_name, :last_name, :image, :now, :now, :now)
    on conflict (org, email) do update set
        subject = :subject, claimed_at = coalesce(p.claimed_at, :now), updated_at = :now,
        first_name = coalesce(nullif(p.first_name, ''), :first_name),
        last_name = coalesce(nullif(p.last_name, ''), :last_name),
        image = coalesce(p.image, :image)
    where p.subject is null or p.subject = p.email or p.subject = :subject
    returning {_ROW}, p.claimed_at = :now
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
PROFILE = Statement(
    "people.profile", Profile, f"select {_PROFILE} from person p where p.org = :org and p.id = :me", hot=True
)
CHANGE = Statement(
    "people.change",
    Profile,
    f"""
    update person p set
        first_name = coalesce(:first_name, p.first_name),
        last_name = coalesce(:last_name, p.last_name),
        image = coalesce(:image, p.image),
        company = coalesce(:company, p.company),
        job_title = coalesce(:job_title, p.job_title),
        messages_from = coalesce(:messages_from, p.messages_from),
        read_receipts = coalesce(:read_receipts, p.read_receipts),
        updated_at = :now
    where p.org = :org and p.id = :me
    returning {_PROFILE}
    """,
)
SUSPEND = Statement(
    "people.suspend",
    int,
    f"""
    with changed as (
        update person set status = :status, updated_at = :now where org = :org and email = :email returning id, status
    ),
    told as ({announce(PersonSuspended, "changed where status = 'suspended'", person="id")})
    select id from changed
    """,
)
UNHEEDED = Statement(
    "people.unheeded",
    bool,
    """
    select exists (select 1 from outbox where org = :org and kind = 'person.suspended')
        and exists (
            select 1 from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
            where l.locktype = 'advisory' and l.objid::bigint = :lock
        )
    """,
)
SUSPENDED = Statement(
    "people.suspended",
    Whose,
    """
    select p.org, p.id from person p
    join unnest(:orgs::integer[], :ids::bigint[]) as given (org, id) on p.org = given.org and p.id = given.id
    where p.status <> 'active'
    """,
    tenant=False,
)
