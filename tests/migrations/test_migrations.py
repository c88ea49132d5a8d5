"""Migrations: forward only, checked, safe when two processes run them at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from plaza.store import migrate as migrating
from plaza.store.migrate import Migration, MigrationError, migrate, migrations, pending

SCHEMA = Path(migrating.__file__).parent / "schema.sql"


async def test_two_processes_at_once_apply_each_migration_once(fresh_database_url: str) -> None:
    done = await asyncio.gather(*(migrate(fresh_database_url) for _ in range(4)))
    assert sorted(run.applied for run in done) == [0, 0, 0, len(migrations())]
    assert await pending(fresh_database_url) == (len(migrations()), len(migrations()))
    assert (await migrate(fresh_database_url)).applied == 0


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(fresh_database_url)
    files = migrations()
    changed = [files[0]._replace(text=files[0].text + "\n"), *files[1:]]
    monkeypatch.setattr(migrating, "migrations", lambda: changed)
    with pytest.raises(MigrationError, match="was changed"):
        await migrate(fresh_database_url)


async def test_a_database_from_a_newer_version_is_left_alone(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(fresh_database_url)
    monkeypatch.setattr(migrating, "migrations", lambda: migrations()[:0])
    with pytest.raises(MigrationError, match="newer version"):
        await migrate(fresh_database_url)


async def test_a_migration_that_fails_leaves_nothing_behind(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = migrations()
    broken = Migration(len(files) + 1, "9999_broken.sql", "create table half (id int); select 1 / 0;")
    monkeypatch.setattr(migrating, "migrations", lambda: [*files, broken])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(fresh_database_url)
    monkeypatch.undo()
    assert await pending(fresh_database_url) == (len(files), len(files))
    connection = await asyncpg.connect(fresh_database_url)
    assert await connection.fetchval("select to_regclass('half')") is None
    await connection.close()


async def test_schema_sql_is_the_sum_of_the_migrations(fresh_database_url: str) -> None:
    """`schema.sql` is for readers; `python -m plaza.store.schema` writes it anew."""
    from plaza.store.schema import describe

    await migrate(fresh_database_url)
    assert SCHEMA.read_text(encoding="utf-8") == await describe(fresh_database_url)


async def test_answers_that_keys_kept_are_purged_and_their_ids_stay(fresh_database_url: str) -> None:
    files = migrations()
    number = next(file.number for file in files if file.name == "0014_kept_answers.sql")
    await migrate(fresh_database_url, files[: number - 1])
    before = {
        "message": '{"id":"385142270169145344","thread":"1","content":"a secret","attachments":[]}',
        "read": '{"read":1}',
        "ok": '{"success":true}',
        "award": '{"badge":"385142270169145344","email":"bob@mail.test"}',
        "in flight": "",
    }
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute("insert into org (slug, name, settings, created_at) values ('o', 'o', '{}', now())")
    await connection.executemany(
        "insert into idempotency (org, person, key, fingerprint, status, body, created_at) "
        "select id, $1, $2, '', 201, $3, now() from org",
        [(person, key, body.encode()) for person in range(450) for key, body in before.items()],
    )
    await migrate(fresh_database_url)
    rows = await connection.fetch("select distinct key, convert_from(body, 'UTF8') as body from idempotency")
    await connection.close()
    purged = {"message": '{"id":"385142270169145344"}', "award": ""}
    assert {row["key"]: row["body"] for row in rows} == before | purged
