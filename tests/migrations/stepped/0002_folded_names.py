"""Gives each member a folded name; of two that fold alike, the later one keeps none and is reported."""

from __future__ import annotations

from typing import Any

from plaza.store.migration_steps import Batch

SIZE = 10
GATE = 99
"""An advisory lock with which a test holds the fourth batch up."""


async def step(batch: Batch, after: Any) -> Any:
    """The next ten members."""
    members = await batch.connection.fetch(
        "select id, name from member where id > $1 order by id limit $2", after or 0, SIZE
    )
    for member in members:
        await _fold(batch, member["id"], member["name"])
    if after == 3 * SIZE:
        await batch.connection.execute("set local lock_timeout = 0")
        await batch.connection.execute("select pg_advisory_xact_lock($1)", GATE)
    return members[-1]["id"] if len(members) == SIZE else None


async def _fold(batch: Batch, id_: int, name: str) -> None:
    taken = await batch.connection.fetchval("select id from member where folded = $1", name.casefold())
    folded = name.casefold() if taken is None else None
    await batch.connection.execute("update member set folded = $2, visits = visits + 1 where id = $1", id_, folded)
    if taken is not None:
        await batch.report(
            "member.name_taken", f"Member {id_} is called as member {taken} is: {name}.", "Rename one of them."
        )
