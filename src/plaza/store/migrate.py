"""Forward-only migrations: numbered SQL files with checksums, under one advisory lock, each in its own transaction.

A file may have a Python step beside it (migration_steps.py), which runs to its end before the next file is applied.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from plaza.store import migration_steps as steps
from plaza.store.migration_steps import LOCK_TIMEOUT

FOLDER = Path(__file__).parent / "migrations"
LOCK = 7_041_962
"""The advisory lock that migrating processes wait for; any number that only we use."""
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_TABLE = """
create table if not exists migration (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""


class Migration(NamedTuple):
    """One file, with the file of its Python step if it has one."""

    number: int
    name: str
    text: str
    step: Path | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL alone: a step that failed may be mended and go on."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Migrated(NamedTuple):
    """What a run did: files applied now, files in all, seconds; `findings` of upgrades are unresolved."""

    applied: int
    total: int
    seconds: float
    findings: int


class MigrationError(Exception):
    """The database and the files disagree; nothing was changed."""


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files of this version, in order, without holes."""
    files = []
    for place, file in enumerate(sorted(folder.glob("*.sql")), 1):
        match = _NAME.fullmatch(file.name)
        if match is None or int(match[1]) != place:
            raise MigrationError(f"the migration {file.name} is not number {place:04d} with a plain name")
        step = file.with_suffix(".py")
        files.append(Migration(place, file.name, file.read_text(encoding="utf-8"), step if step.exists() else None))
    alone = {step.name for step in folder.glob("[0-9]*.py")} - {file.step.name for file in files if file.step}
    if alone:
        raise MigrationError(f"{', '.join(sorted(alone))} has no SQL of the same name beside it")
    return files


async def migrate(url: str, files: Sequence[Migration] | None = None) -> Migrated:
    """Brings the database at `url` to this version; safe when two processes do it at once."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await migrate_on(connection, migrations() if files is None else files)
    finally:
        await connection.close()


async def migrate_on(connection: Any, files: Sequence[Migration]) -> Migrated:
    """The same on a connection, which has the lock from then on."""
    begun = time.monotonic()
    await connection.execute("select pg_advisory_lock($1)", LOCK)
    for table in (_TABLE, *steps.TABLES):
        await connection.execute(table)
    pending = await _pending(connection, files)
    for file, applied in pending:
        if not applied:
            await _apply(connection, file)
        if file.step is not None:
            await steps.run_step(connection, file.number, file.step)
    findings = await connection.fetchval("select count(*) from upgrade_finding where resolved_at is null")
    return Migrated(len(pending), len(files), time.monotonic() - begun, findings)


async def pending(url: str) -> tuple[int, int]:
    """(applied, known) migrations, changing nothing; `MigrationError` when they disagree.

    One whose step has not ended is not applied.
    """
    connection = await asyncpg.connect(url, timeout=10)
    try:
        files = migrations()
        return len(files) - len(await _pending(connection, files)), len(files)
    finally:
        await connection.close()


async def _pending(connection: Any, files: Sequence[Migration]) -> list[tuple[Migration, bool]]:
    """The files that are not done, each with whether its SQL is."""
    exists = await connection.fetchval("select to_regclass('migration') is not null")
    rows = await connection.fetch("select number, checksum from migration order by number") if exists else []
    done, stepped = dict(rows), await steps.finished(connection)
    _check(done, files)
    return [
        (file, file.number in done)
        for file in files
        if file.number not in done or (file.step is not None and file.number not in stepped)
    ]


def _check(done: dict[int, str], files: Sequence[Migration]) -> None:
    if len(done) > len(files):
        raise MigrationError(
            f"the database is at migration {len(done)}, this version of Plaza knows {len(files)}: use the newer version"
        )
    for file in files[: len(done)]:
        if done.get(file.number) != file.checksum:
            raise MigrationError(f"{file.name} was changed after it had been applied; restore the file")


async def _apply(connection: Any, file: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        await connection.execute(file.text)
        await connection.execute(
            "insert into migration (number, name, checksum) values ($1, $2, $3)", file.number, file.name, file.checksum
        )
