"""The statement of suggestions: whom a person may know, from what lies nearest; every step reads a bounded number."""

from __future__ import annotations

import msgspec

from plaza.domains.directory.queries import connected_with
from plaza.domains.directory.schemas import Suggestion
from plaza.domains.people import public_profile
from plaza.kernel import policies
from plaza.kernel.paging import MOST
from plaza.kernel.sql import Statement

NEAR, FAN = 1_000, 500
"""How many ties of the person are followed, and how many of each of those; of either direction."""
MET = 50_000
"""How many ties of ties are counted in all: about 20 ms, for a person with hundreds of ties to people with hundreds."""
NEWEST = 1_000
"""Among how many of the newest people somebody with the same interests is looked for."""
WALKED = 4_000
"""Among how many of the newest people a newcomer is looked for."""


class SuggestionRow(msgspec.Struct, frozen=True):
    """A suggestion."""

    item: Suggestion


# Taken out before anything is counted or cut: whoever has many ties meets mostly people whom they have.
_TAKEN = f"""taken as materialized (
        select :me as id
        union all {policies.hidden_from(":me")}
        union all select following from follow where org = :org and follower = :me and person is not null
        union all select follower from follow where org = :org and person = :me
        union all select target from connection where org = :org and requester = :me
        union all select requester from connection where org = :org and target = :me
    )"""
"""Those who may not be suggested: the person, the hidden either way, the tied and those ever asked in vain."""


def _step(name: str, met: str, *before: str) -> str:
    """The listed among those who were `met` most often, where the steps before have not found enough."""
    found = " + ".join(f"(select count(*) from {other})" for other in before)
    known = "".join(f" and id not in (select id from {other})" for other in before)
    return f"""{name} as materialized (
        select m.id, m.n from (
            select id, count(*)::integer as n from ({met} limit {MET}) met
            where id not in (select id from taken){known} {f"and {found} < :rows" if before else ""}
            group by id order by n desc, id desc
        ) m
        -- `offset 0`: looked up for as many as are shown, in their order, not for all who were met.
        where exists (select 1 from directory_entry e where e.org = :org and e.person = m.id offset 0)
        limit :rows
    )"""


_NOT_HIDDEN = f"not in {policies.hidden_from(':me')}"
"""Nothing passes through somebody who is blocked either way."""
_FRIENDS = f"""select near.id from (
            select id as via from ({connected_with(":me", NEAR)}) mine where id {_NOT_HIDDEN}
        ) mine
        cross join lateral ({connected_with("mine.via", FAN)}) near"""
_FOLLOWED = f"""select near.id from (
            select f.person as via from follow f
            where f.org = :org and f.follower = :me and f.person is not null and f.person {_NOT_HIDDEN}
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
_NEW = f"""select e.person as id from (
            select person from directory_entry where org = :org order by person desc limit {WALKED}
        ) e"""

SUGGESTIONS = Statement(
    "directory.suggestions",
    SuggestionRow,
    f"""
    with {_TAKEN},
    {_step("friends", _FRIENDS)},
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
