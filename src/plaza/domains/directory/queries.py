"""Statements of the directory; `e` is an entry, `p` its person, `f` the person's profile."""

from __future__ import annotations

import msgspec

from plaza.domains.connections import common, connections_of, sides
from plaza.domains.directory.fragments import seen
from plaza.domains.directory.schemas import PersonProfile
from plaza.domains.follows import followed_by, followers_of
from plaza.domains.people import PublicProfile, public_profile
from plaza.kernel import badges, policies
from plaza.kernel.paging import MOST, page_of
from plaza.kernel.sql import Statement

COUNTED_PEOPLE, COUNTED_FOUND = 10_000, 100
"""How far `total` counts the people of the directory, and those whom a search finds; one more shows that it stops."""
WALKED = 4_000
"""How many of the newest people are asked, one after the other, whether they match: a common word is found there."""


class ProfileRow(msgspec.Struct, frozen=True):
    """A profile in a list, with the length of the list."""

    total: int
    key: int | None
    item: PublicProfile | None


_HIDDEN = policies.hidden_from(":me")
_SHOWN = f"""select e.person as key, row({public_profile("p", "f")}) as item
    from page e
    join person p on p.org = :org and p.id = e.person
    left join profile f on f.org = :org and f.person = e.person
    order by e.person desc"""

# A limit that is a parameter tells the planner nothing: the constant around it says that a page is small.
_PAGE = f"order by person desc limit :rows offset :offset) paged limit {MOST + 1}"

PEOPLE = Statement(
    "directory.people",
    ProfileRow,
    page_of(
        f"""
        with page as (
            select * from (
                select e.person from directory_entry e
                where e.org = :org and e.person < :before and e.person not in {_HIDDEN}
                {_PAGE}
        )
        {_SHOWN}
        """,
        total=f"""(select count(*) from (
            select 1 from directory_entry e where e.org = :org and e.person not in {_HIDDEN} limit {COUNTED_PEOPLE + 1}
        ) counted)""",
    ),
    hot=True,
)

_MATCHES = f"e.words like all(:patterns::text[]) and e.tags @> :tags::text[] and e.person not in {_HIDDEN}"
_FOUND = f"e.org = :org and e.keys @> :keys::integer[] and {_MATCHES}"
_REACH = "(:rows::bigint + :offset::bigint)"
_NEAR = "(select count(*) from near)"
# The index reads all who match before it gives the first: it is asked only for what the newest people leave open, the
# page itself or how many there are.
FIND = Statement(
    "directory.find",
    ProfileRow,
    f"""
    with near as materialized (
        select e.person from (
            select e.* from directory_entry e where e.org = :org and e.person < :before
            order by e.person desc limit {WALKED}
        ) e
        where {_MATCHES} order by e.person desc limit greatest({_REACH}, {COUNTED_FOUND + 1})
    ),
    far as materialized (
        select e.person from directory_entry e
        where {_NEAR} < greatest({_REACH}, {COUNTED_FOUND + 1}) and {_FOUND}
        limit case when {_NEAR} >= {_REACH} then {COUNTED_FOUND + 1} end
    ),
    page as (
        select * from (
            select person from near where {_NEAR} >= {_REACH}
            union all select person from far where {_NEAR} < {_REACH} and person < :before
            {_PAGE}
    )
    {page_of(_SHOWN, total=f"least(greatest({_NEAR}, (select count(*) from far)), {COUNTED_FOUND + 1})")}
    """,
    hot=True,
)

_PAIR = "c.org = :org and c.low = least(:me, p.id) and c.high = greatest(:me, p.id)"
_FOLLOWS = "exists (select 1 from follow where org = :org and follower = {} and following = {})"


def connected_with(person: str, most: int) -> str:
    """The ids of those with whom `person` is connected, the newest of either direction."""
    return " union all ".join(
        f"""(
            select c.{theirs} as id from connection c
            where c.org = :org and c.{mine} = {person} and c.status = 'accepted' order by c.position desc limit {most}
        )"""
        for mine, theirs in (("requester", "target"), ("target", "requester"))
    )


_RELATIONSHIP = f"""row(
        {_FOLLOWS.format(":me", "p.id")}, {_FOLLOWS.format("p.id", ":me")},
        case c.status when 'accepted' then 'accepted'
            when 'pending' then case when c.requester = :me then 'sent' else 'pending' end else 'none' end,
        case when c.status <> 'rejected' then c.id::text end,
        exists (select 1 from block where org = :org and blocker = :me and blocked = p.id),
        (select count(*) from {common(":me", "sides.few", "sides.many")} common), sides.exact
    )"""
PROFILE = Statement(
    "directory.profile",
    PersonProfile,
    f"""
    select {public_profile("p", "f")}, {badges.earned("p")},
        row({followers_of("p.id")}, {followed_by("p.id")}, {connections_of("p.id")}),
        case when :me::bigint is not null then {_RELATIONSHIP} end
    from person p
    left join profile f on f.org = :org and f.person = p.id
    left join connection c on {_PAIR}
    cross join lateral {sides(":me", "p.id")} sides
    where p.org = :org and (p.email = :email or p.id = :person) and {seen("p")}
    """,
    hot=True,
)
