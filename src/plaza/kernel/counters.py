"""Counters: kept beside what they count, changed in the statement of the change itself, guarded by rows affected.

Table: `tie_count`, one row a person. Two statements may touch the rows of the same two people at one moment, so every
statement takes them in the order of the people's ids, after the rows that it counts.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from plaza.kernel.sql import Database, Statement


class Drift(msgspec.Struct, frozen=True):
    """A counter that is not what a recount gives."""

    org: str
    counter: str
    owner: int
    kept: int
    counted: int


class Recount(NamedTuple):
    """How some counters are counted again: `differing` says what is wrong, `repair` puts it right and says the same."""

    differing: Statement[Drift]
    repair: Statement[Drift]


def add_ties(rows: str, *columns: str) -> str:
    """SQL that adds to `columns` of the people in `rows`, a name of rows `(person, …)` with those columns."""
    named = ", ".join(columns)
    added = ", ".join(f"{column} = t.{column} + excluded.{column}" for column in columns)
    return f"""insert into tie_count as t (org, person, {named})
        select :org, person, {named} from {rows} order by person
        on conflict (org, person) do update set {added}"""


def take_ties(rows: str, *columns: str) -> str:
    """SQL that takes from `columns` of the people in `rows`; a counter that had drifted too low stops at nought.

    An insert too: it alone meets a row that came into being after the statement had begun.
    """
    left = ", ".join(f"greatest(t.{column} - r.{column}, 0)" for column in columns)
    return f"""insert into tie_count as t (org, person)
        select :org, person from {rows} order by person
        on conflict (org, person) do update
            set ({", ".join(columns)}) = (select {left} from {rows} r where r.person = t.person)"""


def recount_ties(name: str, counted: str, *columns: str) -> Recount:
    """The recount of columns of `tie_count`; `counted` selects `org, person` and the columns, of everybody with any."""
    pairs = [(f"kept_{column}", column) for column in columns]
    kept = ", ".join(f"coalesce(t.{column}, 0) as kept_{column}" for column in columns)
    found = ", ".join(f"coalesce(c.{column}, 0) as {column}" for column in columns)
    differs = " or ".join(f"coalesce(t.{column}, 0) <> coalesce(c.{column}, 0)" for column in columns)
    drifted = f"""counted as ({counted}),
        drifted as (
            select coalesce(t.org, c.org) as org, coalesce(t.person, c.person) as person, {kept}, {found}
            from tie_count t full join counted c on c.org = t.org and c.person = t.person
            where {differs}
        )"""
    named = ", ".join(columns)
    # What changed since it was counted is left alone: it is counted again the next time.
    repaired = f"""repaired as (
            insert into tie_count as t (org, person, {named})
            select org, person, {named} from drifted order by org, person
            on conflict (org, person) do update set {", ".join(f"{column} = excluded.{column}" for column in columns)}
            where ({", ".join(f"t.{column}" for column in columns)}) = (
                select {", ".join(kept for kept, _ in pairs)} from drifted d where d.org = t.org and d.person = t.person
            )
            returning t.org, t.person
        )"""
    return Recount(
        Statement(f"{name}.differing", Drift, f"with {drifted} {drift('drifted', 'person', *pairs)}", tenant=False),
        Statement(
            f"{name}.repair",
            Drift,
            f"""with {drifted}, {repaired}
            {drift("(select d.* from drifted d join repaired using (org, person))", "person", *pairs)}""",
            tenant=False,
        ),
    )


def drift(rows: str, owner: str, *pairs: tuple[str, str]) -> str:
    """SQL of a `Drift` for each counter of `rows` that differs; `pairs` are the columns kept and counted."""
    counters = ", ".join(f"('{counted}', d.{kept}::bigint, d.{counted}::bigint)" for kept, counted in pairs)
    return f"""select o.slug, v.counter, d.{owner}, v.kept, v.counted
        from {rows} d join org o on o.id = d.org
        cross join lateral (values {counters}) as v (counter, kept, counted)
        where v.kept <> v.counted
        order by o.slug, d.{owner}, v.counter"""


async def check(db: Database, recounts: tuple[Recount, ...], *, repair: bool) -> list[Drift]:
    """The counters that differ, of every organisation; put right when `repair` is asked for."""
    return [item for recount in recounts for item in await db.all(recount.repair if repair else recount.differing)]
