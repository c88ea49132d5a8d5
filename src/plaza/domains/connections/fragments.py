"""Pieces of SQL that the statements of connections are made of.

`c` is always the connection, `r` its requester, `t` its target; `:me` is who looks.
"""

from __future__ import annotations

from plaza.domains.people import card
from plaza.kernel import policies

COMPARED = 1_000
"""How many connections, the newest, of whichever of two people has fewer are looked up with the other."""


def columns(viewer: str) -> str:
    """A `Connection` as `viewer` sees it."""
    return f"""row(
        c.id::text,
        case when c.requester = {viewer} then t.email else r.email end,
        case when c.requester = {viewer} then cards.t else cards.r end,
        r.email, cards.r, t.email, cards.t, c.status, c.message, c.context, c.requested_at, c.responded_at
    )"""


def people(viewer: str) -> str:
    """Joins the two people and their cards."""
    # `offset 0`: each card is made once, however often it is shown.
    return f"""left join person r on r.org = c.org and r.id = c.requester
    left join person t on t.org = c.org and t.id = c.target
    left join lateral (select {card("r", viewer)} as r, {card("t", viewer)} as t offset 0) cards on true"""


SEEN = """seen as (
        select c.* from connection c where c.org = :org and c.id = :id and :me in (c.requester, c.target)
    )"""
"""The connection that `:id` names, where the caller is one of the two."""

NAMES = {"connection": "id", "requester": "requester", "target": "target"}
"""The fields that all facts of connections have."""


def both(rows: str) -> str:
    """How many connections each person of `rows` gains or loses."""
    return f"""select p.person, count(*)::integer as connections
        from {rows}, unnest(array[low, high]) as p (person) group by p.person"""


def total(person: str) -> str:
    """How many connections a person has: the counter, less those that a block hides from them, each looked up."""
    return f"""(
            coalesce((select connections from tie_count where org = :org and person = {person}), 0) - (
                select count(*) from {policies.hidden_from(person)} as h (person)
                where {policies.connected(person, "h.person")}
            )
        )"""


def sides(viewer: str, person: str) -> str:
    """SQL of one row: which of two people has `few` connections and which `many`, and whether all are compared."""
    counted = "(select connections from tie_count where org = :org and person = {})"
    return f"""(
            select case when mine < theirs then {viewer} else {person} end as few,
                case when mine < theirs then {person} else {viewer} end as many,
                coalesce(least(mine, theirs), 0) <= {COMPARED} as exact
            from (select {counted.format(viewer)} as mine, {counted.format(person)} as theirs) counts
        )"""


def common(viewer: str, few: str, many: str) -> str:
    """SQL of the ids of those with whom two people are connected; whom a block hides from `viewer` is not among them.

    The one rule for the list of mutual connections and for their number on a profile.
    """
    return f"""(
            select near.id from (
                {_newest("requester", "target", few)} union all {_newest("target", "requester", few)}
                order by position desc limit {COMPARED}
            ) near
            where near.id not in {policies.hidden_from(viewer)} and {policies.connected(many, "near.id")}
        )"""


def _newest(mine: str, theirs: str, person: str) -> str:
    """The newest connections of one side of the pair."""
    return f"""(
                    select c.{theirs} as id, c.position from connection c
                    where c.org = :org and c.{mine} = {person} and c.status = 'accepted'
                    order by c.position desc limit {COMPARED}
                )"""
