"""Python steps of migrations: batch by batch, resumed where they were killed, and a collision is no failure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from plaza.store import migrate as migrating
from plaza.store.migrate import MigrationError, migrate, migrations, pending
from tests.migrations.run_stepped import FOLDER

STEPPED = migrations(FOLDER)
GATE = 99
"""The advisory lock that the fourth batch of the step asks for."""


@pytest.fixture
async def db(fresh_database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


async def position(db: Any) -> tuple[Any, bool]:
    """Where the step is, and whether it has ended."""
    row = await db.fetchrow("select position::text, finished_at is not null from migration_step where number = 2")
    return tuple(row)


async def test_a_step_killed_between_two_batches_goes_on_behind_the_last_whole_one(
    fresh_database_url: str, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute("select pg_advisory_lock($1)", GATE)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.migrations.run_stepped", fresh_database_url
    )
    async with asyncio.timeout(20):
        waiting = "select exists (select 1 from pg_locks where locktype = 'advisory' and objid = $1 and not granted)"
        while not await db.fetchval(waiting, GATE):
            assert process.returncode is None
            await asyncio.sleep(0.01)
    process.kill()
    await process.wait()
    assert await position(db) == ("30", False)
    assert await db.fetchval("select to_regclass('folded_members')") is None, "the next migration waits for the step"
    monkeypatch.setattr(migrating, "migrations", lambda: STEPPED)
    assert await pending(fresh_database_url) == (1, 3)

    await db.execute("select pg_advisory_unlock($1)", GATE)
    assert (await migrate(fresh_database_url)).applied == 2
    assert await pending(fresh_database_url) == (3, 3)
    assert await position(db) == (None, True)
    assert await db.fetchval("select array_agg(distinct visits) from member") == [1], "each row was met once"
    assert await db.fetchval("select members from folded_members") == 46
    assert (await migrate(fresh_database_url)).applied == 0


async def test_a_collision_is_recorded_once_and_the_upgrade_goes_on(fresh_database_url: str, db: Any) -> None:
    await migrate(fresh_database_url, STEPPED)
    await migrate(fresh_database_url, STEPPED)
    (found,) = await db.fetch("select org, kind, what, remedy, resolved_at from upgrade_finding")
    assert tuple(found) == (
        None,
        "member.name_taken",
        "Member 46 is called as member 7 is: MEMBER 7.",
        "Rename one of them.",
        None,
    )
    assert await db.fetchval("select folded from member where id = 47") == "last", "those behind it are done"


async def test_a_step_that_fails_keeps_its_whole_batches_and_may_be_mended(
    fresh_database_url: str, db: Any, tmp_path: Path
) -> None:
    for file in FOLDER.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_text(file.read_text())
    step = tmp_path / "0002_folded_names.py"
    good = step.read_text()
    step.write_text(
        good.replace("if after == 3 * SIZE:", "if after == 2 * SIZE:\n        raise ValueError(after)\n    if False:")
    )
    with pytest.raises(ValueError, match="20"):
        await migrate(fresh_database_url, migrations(tmp_path))
    assert await position(db) == ("20", False)
    step.write_text(good)
    await migrate(fresh_database_url, migrations(tmp_path))
    assert await db.fetchval("select array_agg(distinct visits) from member") == [1]


async def test_two_processes_at_once_run_a_step_once(fresh_database_url: str, db: Any) -> None:
    done = await asyncio.gather(*(migrate(fresh_database_url, STEPPED) for _ in range(3)))
    assert sorted(run.applied for run in done) == [0, 0, 3]
    assert await db.fetchval("select array_agg(distinct visits) from member") == [1]


async def test_a_batch_waits_for_a_row_that_the_version_before_holds(fresh_database_url: str, db: Any) -> None:
    await migrate(fresh_database_url, STEPPED[:1])
    await db.execute("begin; update member set name = 'Renamed' where id = 5")
    upgrading = asyncio.create_task(migrate(fresh_database_url, STEPPED))
    async with asyncio.timeout(10):
        other = await asyncpg.connect(fresh_database_url)
        while not await other.fetchval("select exists (select 1 from pg_locks where not granted)"):
            assert not upgrading.done()
            await asyncio.sleep(0.01)
        await other.close()
    await db.execute("commit")
    await upgrading
    assert await db.fetchval("select count(*) from member where folded is null") == 1


def test_a_step_without_its_sql_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_alone.py").write_text("")
    with pytest.raises(MigrationError, match=r"0001_alone\.py"):
        migrations(tmp_path)
