"""Gives each subject its signer by what the trusts of its organisation tell, and folds subjects that are addresses."""

from __future__ import annotations

from typing import Any

from plaza.store.migration_steps import Batch

SIZE = 2_000

# The same rule as domains/people/signer_queries.py applies to rows that the version before writes beside this one.
_SIGN = """
    update person p set signer = case
        when p.subject like 'account:%' then 'plaza'
        when not exists (
            select 1 from org_key k
            where k.org = p.org and k.jwks_url is not null
                and k.created_at - interval '1 minute' <= coalesce(p.claimed_at, p.created_at)
                and coalesce(k.retired_at + interval '1 minute' > coalesce(p.claimed_at, p.created_at), true)
        ) then 'host'
        else (
            select min(k.signer) from org_key k where k.org = p.org and k.jwks_url is not null
            having count(distinct k.signer) = 1
        )
    end
    from unnest($1::integer[], $2::bigint[]) as given (org, id)
    where p.org = given.org and p.id = given.id and p.signer is null
"""
_FOLD = """
    update person p set subject = lower(p.subject)
    where p.org = $1 and p.id = $2 and not exists (
        select 1 from person o
        where o.org = p.org and o.subject = lower(p.subject) and o.signer is not distinct from p.signer
    )
    returning p.id
"""


async def step(batch: Batch, after: Any) -> Any:
    """The next people who have a subject; `after` is [organisation, person]."""
    people = await batch.connection.fetch(
        """
        select org, id, subject from person
        where subject is not null and (org, id) > ($1::integer, $2::bigint) order by org, id limit $3
        """,
        *(after or (0, 0)),
        SIZE,
    )
    await batch.connection.execute(_SIGN, [row["org"] for row in people], [row["id"] for row in people])
    for row in people:
        if "@" in row["subject"] and row["subject"] != row["subject"].lower():
            await _fold(batch, row["org"], row["id"], row["subject"])
    return [people[-1]["org"], people[-1]["id"]] if len(people) == SIZE else None


async def _fold(batch: Batch, org: int, person: int, subject: str) -> None:
    if await batch.connection.fetchval(_FOLD, org, person) is None:
        await batch.report(
            "person.subject_taken",
            f"Person {person} came with the subject {subject}, which differs from another person's in capitals alone.",
            "Tokens with either spelling mean the other person now; give one of them a subject of their own.",
            org=org,
        )
