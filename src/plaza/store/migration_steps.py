"""The Python step of a migration: runs after its SQL in small transactions and goes on where it was interrupted.

A step is `NNNN_name.py` beside `NNNN_name.sql`, with one function. It gets a transaction and the position that its
last batch returned (None at first), does one batch and returns the next position, any JSON value, or None at the end:

    async def step(batch: Batch, after: Any) -> Any: ...

The position is committed with the batch. What a step cannot change is recorded by `batch.report`, never raised.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from plaza.kernel.checks import Finding
from plaza.kernel.sql import Statement

LOCK_TIMEOUT = "4s"
"""How long a statement of a migration waits for a lock while the version before goes on serving."""
TRIES = 10
"""How often a batch is tried when the version before holds its rows."""
PAUSE_SECONDS = 0.2
CONTENTION = (
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.DeadlockDetectedError,
    asyncpg.exceptions.SerializationError,
)
TABLES = (
    """
    create table if not exists migration_step (
        number integer primary key,
        position jsonb,
        finished_at timestamptz
    )
    """,
    """
    create table if not exists upgrade_finding (
        id bigint generated always as identity primary key,
        org integer,
        kind text not null,
        what text not null,
        remedy text not null,
        found_at timestamptz not null default now(),
        resolved_at timestamptz
    )
    """,
)
"""The bookkeeping of steps; made before the first migration runs, as the table `migration` is."""

UNRESOLVED = Statement(
    "upgrades.unresolved",
    Finding,
    """
    select what, format('%s Then: plaza doctor --resolve %s', remedy, id) as remedy
    from upgrade_finding where resolved_at is null order by id
    """,
    tenant=False,
)
RESOLVE = Statement(
    "upgrades.resolve",
    int,
    """
    update upgrade_finding set resolved_at = :now where id = :id and resolved_at is null returning id
    """,
    tenant=False,
)


class Batch:
    """One transaction of a step, on a bare asyncpg connection."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def report(self, kind: str, what: str, remedy: str, *, org: int | None = None) -> None:
        """Records what this step could not change; `plaza doctor` lists it until it is resolved.

        `kind` is `noun.what`; `what` and `remedy` are sentences for the operator.
        """
        await self.connection.execute(
            "insert into upgrade_finding (org, kind, what, remedy) values ($1, $2, $3, $4)", org, kind, what, remedy
        )


Step = Callable[[Batch, Any], Awaitable[Any]]


async def finished(connection: Any) -> set[int]:
    """The numbers of the migrations whose step has ended."""
    if not await connection.fetchval("select to_regclass('migration_step') is not null"):
        return set()
    rows = await connection.fetch("select number from migration_step where finished_at is not null")
    return {row["number"] for row in rows}


async def run_step(connection: Any, number: int, file: Path) -> None:
    """Runs the step of a migration from its stored position to its end."""
    step = load(file)
    text = await connection.fetchval("select position::text from migration_step where number = $1", number)
    after = msgspec.json.decode(text) if text is not None else None
    while (after := await _run_batch(connection, number, step, after)) is not None:
        pass


def load(file: Path) -> Step:
    """The function `step` of a file whose name begins with a number."""
    spec = importlib.util.spec_from_file_location(f"plaza_migration_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    step: Step = module.step
    return step


async def _run_batch(connection: Any, number: int, step: Step, after: Any) -> Any:
    """One batch with its position in one transaction; tried again when somebody else holds its rows."""
    for attempt in range(1, TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
                position = await step(Batch(connection), after)
                await _store_position(connection, number, position)
                return position
        except CONTENTION:
            if attempt == TRIES:
                raise
            await asyncio.sleep(PAUSE_SECONDS * attempt)
    return None


async def _store_position(connection: Any, number: int, position: Any) -> None:
    await connection.execute(
        """
        insert into migration_step (number, position, finished_at)
        values ($1, $2::text::jsonb, case when $2::text is null then now() end)
        on conflict (number) do update set position = excluded.position, finished_at = excluded.finished_at
        """,
        number,
        None if position is None else msgspec.json.encode(position).decode(),
    )
