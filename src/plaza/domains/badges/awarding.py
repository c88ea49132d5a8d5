"""Statements that give badges and take them back; `b` is the badge, `a` an award of it.

Every one takes the rows of the badges first, in one order: of however many who give the same badge to the same person
at one moment, one does, and the count beside the badge is that of its awards.
"""

from __future__ import annotations

import msgspec

from plaza.domains.badges.facts import BadgeEarned, BadgeTakenBack
from plaza.domains.badges.schemas import Award
from plaza.domains.people import met, named
from plaza.kernel.outbox import Fact, announce
from plaza.kernel.sql import Statement


class Due(msgspec.Struct, frozen=True):
    """A badge that a person has earned and does not have yet."""

    org: int
    badge: int
    person: int


class Someone(msgspec.Struct, frozen=True):
    """A person of some organisation."""

    org: int
    person: int


class Given(msgspec.Struct, frozen=True):
    """What became of a wish to give: `given` or why not, whether the award is new, and the award."""

    verdict: str
    new: bool
    id: int | None
    award: Award | None


_MEASURES = {
    "connections_count": "t.connections",
    "followers_count": "t.followers",
    # Whole years, whatever the number asked for: adding years to a time could leave the calendar.
    "membership_years": "extract(year from age(:now::timestamptz at time zone 'UTC', p.claimed_at at time zone 'UTC'))",
}
"""What each criterion counts of the person `p` with the ties `t`; one that nothing counts yet is met by nobody."""
_MEASURED = " ".join(f"when '{criterion}' then {measure}" for criterion, measure in _MEASURES.items())


def _announced(fact: type[Fact], awards: str) -> str:
    """SQL that announces awards of any organisation, at the time of the award."""
    return announce(fact, awards, org="org", origin="null", now="at", award="id", badge="badge", person="person")


def _awarding(on_conflict: str) -> str:
    """CTEs that give the badges of `given`, rows `(org, id, badge, person, at)`; `made` are the awards that are new."""
    return f"""locked as (
        select b.org, b.id from badge b
        where (b.org, b.id) in (select g.org, g.badge from given g) and b.status = 'active'
        order by b.org, b.id
        for no key update of b
    ),
    written as (
        insert into badge_award as a (org, id, badge, person, awarded_at)
        select g.org, g.id, g.badge, g.person, g.at from given g join locked l on l.org = g.org and l.id = g.badge
        order by g.org, g.badge, g.person
        on conflict (org, badge, person) {on_conflict}
        returning a.org, a.id, a.badge, a.person, a.awarded_at as at
    ),
    made as (select w.* from written w join given g on g.org = w.org and g.id = w.id),
    counted as (
        update badge b set earned_by = b.earned_by + m.earned
        from (select org, badge, count(*) as earned from made group by org, badge) m
        where b.org = m.org and b.id = m.badge
    ),
    announced as ({_announced(BadgeEarned, "made")})"""


# An update that changes nothing gives the row of whoever was faster.
GIVE = Statement(
    "badges.give",
    Given,
    f"""
    with whom as {met()},
    given as (
        select :org::integer as org, :id::bigint as id, :badge::bigint as badge, id as person, :now::timestamptz as at
        from whom
    ),
    {
        _awarding(
            '''do update set revoked_at = null,
            id = case when a.revoked_at is null then a.id else excluded.id end,
            awarded_at = case when a.revoked_at is null then a.awarded_at else excluded.awarded_at end'''
        )
    }
    select case
            when b.id is null then 'no badge'
            when b.status = 'retired' then 'retired'
            when whom.id is null then 'nobody'
            when w.id is null then 'retired'
            else 'given'
        end,
        exists (select 1 from made),
        w.id,
        case when w.id is not null then row(b.id::text, whom.email, w.at) end
    from (select 1) one
    left join badge b on b.org = :org and b.id = :badge
    left join whom on true
    left join written w on true
    """,
    hot=True,
)
FIND = Statement(
    "badges.find_award",
    Award,
    """
    select a.badge::text, p.email, a.awarded_at
    from badge_award a join person p on p.org = :org and p.id = a.person
    where a.org = :org and a.id = :id and a.revoked_at is null
    """,
)
TAKE_BACK = Statement(
    "badges.take_back",
    int,
    f"""
    with whom as {named()},
    locked as (select b.org, b.id from badge b where b.org = :org and b.id = :badge for no key update of b),
    gone as (
        update badge_award a set revoked_at = :now
        from locked l, whom
        where a.org = l.org and a.badge = l.id and a.person = whom.id and a.revoked_at is null
        returning a.org, a.id, a.badge, a.person, a.revoked_at as at
    ),
    counted as (
        update badge b set earned_by = greatest(b.earned_by - 1, 0) from gone g where b.org = g.org and b.id = g.badge
    ),
    announced as ({_announced(BadgeTakenBack, "gone")})
    select count(*) from locked
    """,
    hot=True,
)

# What follows is spoken by listeners and by a job, about people of many organisations at once.
DUE = Statement(
    "badges.due",
    Due,
    f"""
    select p.org, b.id, p.id
    from (
        select distinct org, person from unnest(:orgs::integer[], :people::bigint[]) as asked (org, person)
    ) asked
    join person p
        on p.org = asked.org and p.id = asked.person and p.status = 'active' and p.claimed_at is not null
    left join tie_count t on t.org = p.org and t.person = p.id
    join badge b
        on b.org = p.org and b.status = 'active' and b.auto_award
            and b.criteria_value <= case b.criteria_type {_MEASURED} end
    where not exists (
        select 1 from badge_award a where a.org = b.org and a.badge = b.id and a.person = p.id
    )
    order by p.org, p.id, b.criteria_type, b.criteria_value
    """,
    hot=True,
    tenant=False,
)
AWARD = Statement(
    "badges.award",
    Due,
    f"""
    with given as (
        select * from unnest(:orgs::integer[], :ids::bigint[], :badges::bigint[], :people::bigint[])
            as given (org, id, badge, person), (values (:now::timestamptz)) as moment (at)
    ),
    {_awarding("do nothing")}
    select org, badge, person from made
    """,
    tenant=False,
)
NEXT = Statement(
    "badges.next",
    Someone,
    """
    select p.org, p.id from person p
    where (p.org, p.id) > (:after_org::integer, :after::bigint)
    order by p.org, p.id limit :most
    """,
    tenant=False,
)
