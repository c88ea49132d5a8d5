"""Statements of addresses that change; `p` is the person."""

from __future__ import annotations

import msgspec

from plaza.domains.people.facts import AddressChanged
from plaza.domains.people.queries import ROW, PersonRow
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Statement


class Moved(msgspec.Struct, frozen=True):
    """What became of a change: `moved`, or why the address stayed; the person as they are now."""

    verdict: str
    person: PersonRow


MOVE = Statement(
    "people.move",
    Moved,
    f"""
    with held as (
        select * from person where org = :org and (id = :person or email = :held) for no key update
    ),
    taken as (select id, claimed_at is not null as claimed from person where org = :org and email = :email),
    judged as (
        select held.id, held.email, case
            when held.email = :email then 'same'
            when :by = 'token' and held.email_at >= :issued then 'older'
            when taken.claimed then 'taken'
            when taken.id is not null then 'waiting'
            else 'moved'
        end as verdict
        from held left join taken on true
    ),
    -- Where the subject is the address itself, tokens to come will name the new one: staff know, a token cannot.
    moved as (
        update person p set email = :email, email_at = :issued, version = p.version + 1, updated_at = :now,
            subject = case when :by = 'staff' and p.subject = p.email then :email else p.subject end
        from judged where p.org = :org and p.id = judged.id and judged.verdict = 'moved'
        returning p.*
    ),
    logged as (
        insert into address_change (org, id, person, old, new, by, changed_at)
        select :org, :id, moved.id, judged.email, moved.email, :by, :now from moved, judged
    ),
    announced as ({announce(AddressChanged, "moved", change=":id::bigint", person="id")})
    select judged.verdict, row({ROW}, false)
    from judged
    join (select * from moved union all select * from held where not exists (select 1 from moved)) p on true
    """,
)
