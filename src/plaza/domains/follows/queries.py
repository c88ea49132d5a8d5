"""Statements of follows; `f` is the follow, `a` its follower, `b` the followed person."""

from __future__ import annotations

import msgspec

from plaza.domains.follows.facts import FollowAdded, FollowRemoved
from plaza.domains.follows.schemas import Follow, Follower, Following
from plaza.domains.people import card, met
from plaza.kernel import policies
from plaza.kernel.counters import add_ties, recount_ties, take_ties
from plaza.kernel.outbox import announce
from plaza.kernel.paging import page_of
from plaza.kernel.sql import Statement


class Added(msgspec.Struct, frozen=True):
    """What became of a wish to follow: `followed` or why not, whether the edge is new, and the edge."""

    verdict: str
    new: bool
    follow: Follow | None


class FollowerRow(msgspec.Struct, frozen=True):
    """A follower in a list, with the length of the list."""

    total: int
    key: int | None
    item: Follower | None


class FollowingRow(msgspec.Struct, frozen=True):
    """A followed person in a list, with the length of the list."""

    total: int
    key: int | None
    item: Following | None


_COLUMNS = """row(
        f.id::text, a.email, b.email, f.following_type, f.muted, f.notify_on_post, f.created_at
    )"""
_CHOSEN = "muted = coalesce(:muted, f.muted), notify_on_post = coalesce(:notify_on_post, f.notify_on_post)"
_BOTH_PEOPLE = "(values (follower, 0, 1), (person, 1, 0)) as v (person, followers, following)"
_NAMED = """f.org = :org and f.follower = :me and (:type::text is null or f.following_type = :type)
        and f.following = any(array[
            :id,
            (select p.id from person p where p.org = :org and p.email = :email),
            (select g.following from follow g where g.org = :org and g.id = :id and g.follower = :me)
        ])"""
"""The caller's follow that an address, a person's or a page's id, or the follow's own id names."""
_ANNOUNCED = {"follow": "id", "follower": "follower", "followed": "person"}

ADD = Statement(
    "follows.add",
    Added,
    f"""
    with peer as {met()},
    judged as (
        select peer.id as peer, case
            when peer.id is null then 'nobody'
            when peer.id = :me then 'self'
            when {policies.blocked(":me", "peer.id")} then 'blocked'
            when not :may_begin and not exists (
                    select 1 from follow f where f.org = :org and f.follower = :me and f.following = peer.id
                )
                then 'limited'
            else 'followed'
        end as verdict
        from (select 1) one left join peer on true
    ),
    prior as (select f.* from follow f, judged where f.org = :org and f.follower = :me and f.following = judged.peer),
    -- The update also gives the row of whoever was faster.
    written as (
        insert into follow as f (org, id, follower, following, following_type, muted, notify_on_post, created_at)
        select :org, :id, :me, peer, 'person', coalesce(:muted, false), coalesce(:notify_on_post, true), :now
        from judged left join prior on true
        where verdict = 'followed' and (
            prior.id is null or :muted <> prior.muted or :notify_on_post <> prior.notify_on_post
        )
        on conflict (org, follower, following) do update set {_CHOSEN}
        returning *
    ),
    made as (select * from written where id = :id),
    sides as (select v.* from made, lateral {_BOTH_PEOPLE}),
    counted as ({add_ties("sides", "followers", "following")}),
    announced as ({announce(FollowAdded, "made", **_ANNOUNCED)})
    select judged.verdict, exists (select 1 from made), case when f.id is not null then {_COLUMNS} end
    from judged
    left join (
        select * from written union all select * from prior where not exists (select 1 from written)
    ) f on judged.verdict = 'followed'
    left join person a on a.org = :org and a.id = f.follower
    left join peer b on b.id = f.following
    """,
    hot=True,
)
REMOVE = Statement(
    "follows.remove",
    int,
    f"""
    with gone as (delete from follow f where {_NAMED} returning f.*),
    sides as (select v.* from gone, lateral {_BOTH_PEOPLE} where gone.person is not null),
    counted as ({take_ties("sides", "followers", "following")}),
    announced as ({announce(FollowRemoved, "gone where person is not null", **_ANNOUNCED)})
    select count(*) from gone
    """,
    hot=True,
)
_SHOWN = "f.id::text, a.email, b.email, f.following_type, f.muted, f.notify_on_post, f.created_at"
_PEOPLE = """join person a on a.org = :org and a.id = f.follower
    join person b on b.org = :org and b.id = f.person"""

FIND = Statement(
    "follows.find",
    Follow,
    f"""
    select {_SHOWN} from follow f {_PEOPLE}
    where f.org = :org and f.id = :id and f.follower = :me and not {policies.blocked(":me", "f.following")}
    """,
    hot=True,
)
CHANGE = Statement(
    "follows.change",
    Follow,
    f"""
    with changed as (
        update follow f set {_CHOSEN}
        where {_NAMED} and not {policies.blocked(":me", "f.following")}
        returning f.*
    )
    select {_SHOWN} from changed f {_PEOPLE}
    """,
    hot=True,
)


def _total(column: str, mine: str, theirs: str, person: str) -> str:
    """The length of a person's list: the counter, less the edges that a block hides from them, each looked up."""
    return f"""coalesce((select {column} from tie_count where org = :org and person = {person}), 0) - (
            select count((
                select f.id from follow f where f.org = :org and f.{mine} = {person} and f.{theirs} = h.person
            ))
            from {policies.hidden_from(person)} as h (person)
        )"""


def followers_of(person: str) -> str:
    """How many follow a person."""
    return _total("followers", "following", "follower", person)


def followed_by(person: str) -> str:
    """How many people a person follows."""
    return _total("following", "follower", "following", person)


FOLLOWERS = Statement(
    "follows.followers",
    FollowerRow,
    page_of(
        f"""
        select f.id as key, row(f.id::text, a.email, {card("a", ":me")}, f.created_at) as item
        from (
            select f.id, f.follower, f.created_at from follow f
            where f.org = :org and f.person = :me and f.id < :before
                and f.follower not in {policies.hidden_from(":me")}
            order by f.id desc limit :rows offset :offset
        ) f
        join person a on a.org = :org and a.id = f.follower
        order by f.id desc
        """,
        total=followers_of(":me"),
    ),
    hot=True,
)
# Nobody follows a page yet; pages bring a counter of their own and its part of the total.
FOLLOWING = Statement(
    "follows.following",
    FollowingRow,
    page_of(
        f"""
        select f.id as key, row(
            f.id::text, b.email, f.following_type, {card("b", ":me")}, f.muted, f.notify_on_post, f.created_at
        ) as item
        from (
            select f.* from follow f
            where f.org = :org and f.follower = :me and f.id < :before
                and (:type::text is null or f.following_type = :type)
                and f.following not in {policies.hidden_from(":me")}
            order by f.id desc limit :rows offset :offset
        ) f
        join person b on b.org = :org and b.id = f.person
        order by f.id desc
        """,
        total=f"case when :type::text = 'page' then 0 else {followed_by(':me')} end",
    ),
    hot=True,
)

TIES = recount_ties(
    "follows",
    """
    select org, person, sum(followers) as followers, sum(following) as following
    from (
        select org, person, count(*) as followers, 0 as following from follow where person is not null group by 1, 2
        union all
        select org, follower, 0, count(*) from follow where person is not null group by 1, 2
    ) edge
    group by 1, 2
    """,
    "followers",
    "following",
)
