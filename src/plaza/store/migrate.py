"""Forward-only migrations: numbered SQL files with checksums, under one advisory lock, each in its own transaction."""

from __future__ import annotations

import hashlib
import re
import time
from importlib import resources
from typing import Any, NamedTuple

import asyncpg

LOCK = 7_041_962
"""The advisory lock that migrating processes wait for; any number that only we use."""
LOCK_TIMEOUT = "4s"
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
    """One file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Migrated(NamedTuple):
    """What a run did: files applied now, files in all, seconds."""

    applied: int
    total: int
    seconds: float


class MigrationError(Exception):
    """The database and the files disagree; nothing was changed."""


def migrations() -> list[Migration]:
    """The files of this version, in order, without holes."""
    folder = resources.files("plaza.store") / "migrations"
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    files = []
    for place, name in enumerate(found, 1):
        match = _NAME.fullmatch(name)
        if match is None or int(match[1]) != place:
            raise MigrationError(f"the migration {name} is not number {place:04d} with a plain name")
        files.append(Migration(place, name, (folder / name).read_text(encoding="utf-8")))
    return files


async def migrate(url: str) -> Migrated:
    """Brings the database at `url` to this version; safe when two processes do it at once."""
    begun = time.monotonic()
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute(_TABLE)
        done = dict(await connection.fetch("select number, checksum from migration order by number"))
        files = migrations()
        _check(done, files)
        for file in files[len(done) :]:
            await _apply(connection, file)
        return Migrated(len(files) - len(done), len(files), time.monotonic() - begun)
    finally:
        await connection.close()


async def pending(url: str) -> tuple[int, int]:
    """(applied, known) migrations, changing nothing; `MigrationError` when they disagree."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        exists = await connection.fetchval("select to_regclass('migration') is not null")
        rows = await connection.fetch("select number, checksum from migration order by number") if exists else []
        done, files = dict(rows), migrations()
        _check(done, files)
        return len(done), len(files)
    finally:
        await connection.close()


def _check(done: dict[int, str], files: list[Migration]) -> None:
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
