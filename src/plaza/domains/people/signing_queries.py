"""Statements of the signers of people's subjects; `p` is the person."""

from __future__ import annotations

import msgspec

from plaza.domains.organisations.signers import HOST, PLAZA
from plaza.domains.people.facts import PersonReassigned
from plaza.kernel.checks import Finding
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class Signed(msgspec.Struct, frozen=True):
    """How many people of an organisation came by a signer; None for those of whom nobody can tell."""

    signer: str | None
    people: int


class Settled(msgspec.Struct, frozen=True):
    """A person whose signer was not stored, and who it is where that can be told."""

    person: int
    signer: str | None


_AT = "coalesce(p.claimed_at, p.created_at)"
# The same rule as the migration applies (decisions/0021): the version before writes subjects without a signer.
_RULE = f"""
    case
        when p.subject like 'account:%' then '{PLAZA}'
        when not exists (
            select 1 from org_key k
            where k.org = p.org and k.jwks_url is not null and k.created_at - interval '1 minute' <= {_AT}
                and coalesce(k.retired_at + interval '1 minute' > {_AT}, true)
        ) then '{HOST}'
        else (
            select min(k.signer) from org_key k where k.org = p.org and k.jwks_url is not null
            having count(distinct k.signer) = 1
        )
    end
"""
_UNSIGNED = "p.subject is not null and p.signer is null"

SETTLE = Statement(
    "people.settle_signer",
    Settled,
    f"""
    with unsigned as (
        select p.id, {_RULE} as signer from person p
        where p.org = :org and {_UNSIGNED} and (p.subject = :subject or p.email = :email)
    ),
    settled as (
        update person p set signer = unsigned.signer
        from unsigned where p.org = :org and p.id = unsigned.id and {_UNSIGNED} and not exists (
            select 1 from person o where o.org = p.org and o.subject = p.subject and o.signer = unsigned.signer
        )
    )
    select id, signer from unsigned
    """,
)
COUNT = Statement(
    "people.count_by_signer",
    Signed,
    f"""
    select coalesce(p.signer, {_RULE}) as signer, count(*) from person p
    where p.org = :org and p.subject is not null group by 1 order by 1
    """,
)
ASSIGN = Statement(
    "people.assign_signer",
    int,
    f"""
    with due as (
        select p.id from person p
        where p.org = :org and p.subject is not null and p.subject not like 'account:%'
            and coalesce(p.signer, {_RULE}) is not distinct from :former and not exists (
                select 1 from person o where o.org = p.org and o.subject = p.subject and o.signer = :signer
            )
        for no key update
    ),
    assigned as (
        update person p set signer = :signer from due where p.org = :org and p.id = due.id returning p.id
    ),
    told as ({announce(PersonReassigned, "assigned where :former::text is not null", person="id")})
    select count(*) from assigned
    """,
)
UNKNOWN = Statement(
    "people.unknown_signers",
    Finding,
    f"""
    select
        format('%s people of %s cannot sign in, because nobody can tell which signer their subjects are of.',
            count(*), o.slug),
        format('Say it: plaza org signers %s --assign SIGNER', o.slug)
    from person p join org o on o.id = p.org
    where {_UNSIGNED} and {_RULE} is null
    group by o.slug order by o.slug
    """,
    tenant=False,
)
