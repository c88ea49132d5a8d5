"""The statement of suggestions: whom a person may know, from what lies nearest; every step looks at so many at most."""

from __future__ import annotations

import msgspec

from plaza.domains.directory.queries import connected_with
from plaza.domains.directory.schemas import Suggestion
from plaza.domains.people import public_profile
from plaza.kernel import policies
from plaza.kernel.paging import MOST
from plaza.kernel.sql import Statement

NEAR, FAN = 40, 20
"""How many ties of the person are followed, and how many of each of those; of either direction."""
CANDIDATES = 200
"""How many of those who were met most often are asked whether they are free."""
NEWEST = 1_000
"""Among how many of the newest people somebody with the same interests is looked for."""


class SuggestionRow(msgspec.Struct, frozen=True):
    """A suggestion."""

    item: Suggestion


# `offset 0` keeps these lookups: as a join, all that the person follows would be gone through for each candidate.
_FREE = f"""m.id <> :me and exists (select 1 from directory_entry e where e.org = :org and e.person = m.id)
        and m.id not in {policies.hidden_from(":me")}
        and not exists (select 1 from follow where org = :org and follower = :me and following = m.id offset 0)
        and not exists (select 1 from follow where org = :org and follower = m.id and following = :me offset 0)
        and not exists (
            select 1 from connection
            where org = :org and low = least(:me, m.id) and high = greatest(:me, m.id)
        )"""
"""Whether somebody may be suggested: listed, not hidden, tied in no way, and never asked in vain."""


def _step(name: str, met: str, *before: str) -> str:
    """The free among those who were `met` most often, where the steps before have not found enough."""
    found = " + ".join(f"(select count(*) from {other})" for other in before)
    known = "".join(f" and m.id not in (select id from {other})" for other in before)
    return f"""{name}_met as materialized (
        select id, count(*)::integer as n from ({met}) met {f"where {found} < :rows" if before else ""}
        group by id order by n desc, id desc limit {CANDIDATES}
    ),
    {name} as materialized (
        select m.id, m.n from {name}_met m where {_FREE}{known} order by m.n desc, m.id desc limit :rows
    )"""


_FRIENDS = f"""select near.id from (select id as via from ({connected_with(":me", NEAR)}) mine) mine
        cross join lateral ({connected_with("mine.via", FAN)}) near"""
_FOLLOWED = f"""select near.id from (
            select f.person as via from follow f where f.org = :org and f.follower = :me and f.person is not null
            order by f.id desc limit {NEAR}
        ) mine
        cross join lateral (
            select f.person as id from follow f where f.org = :org and f.follower = mine.via and f.person is not null
            order by f.id desc limit {FAN}
        ) near"""
_ALIKE = f"""select e.person as id from (
            select e.* from directory_entry e where e.org = :org order by e.person desc limit {NEWEST}
        ) e
        cross join lateral (
            select 1 from directory_entry mine, unnest(mine.tags) tag
            where mine.org = :org and mine.person = :me and tag like 'i:%' and tag = any(e.tags)
        ) shared"""
_NEW = f"""select e.person as id from directory_entry e where e.org = :org order by e.person desc limit {CANDIDATES}"""

SUGGESTIONS = Statement(
    "directory.suggestions",
    SuggestionRow,
    f"""
    with {_step("friends", _FRIENDS)},
    {_step("followed", _FOLLOWED, "friends")},
    {_step("alike", _ALIKE, "friends", "followed")},
    {_step("fresh", _NEW, "friends", "followed", "alike")},
    met as (
        select 1 as step, 'mutual_connections' as reason, id, n from friends
        union all select 2, 'followed_by', id, n from followed
        union all select 3, 'shared_interests', id, n from alike
        union all select 4, 'new', id, 0 from fresh
        order by step, n desc, id desc limit {MOST}
    )
    select row({public_profile("p", "f")}, met.reason, met.n)
    from met
    join person p on p.org = :org and p.id = met.id
    left join profile f on f.org = :org and f.person = p.id
    order by met.step, met.n desc, met.id desc
    limit :rows
    """,
    hot=True,
)
