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
        case when c.requester = {viewer} then {card("t")} else {card("r")} end,
        r.email, {card("r")}, t.email, {card("t")}, c.status, c.message, c.context, c.requested_at, c.responded_at
    )"""


PEOPLE = """join person r on r.org = c.org and r.id = c.requester
    join person t on t.org = c.org and t.id = c.target"""

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
