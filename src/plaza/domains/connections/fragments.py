"""Pieces of SQL that the statements of connections are made of.

`c` is always the connection, `r` its requester, `t` its target; `:me` is who looks.
"""

from __future__ import annotations

from plaza.domains.people import card


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
