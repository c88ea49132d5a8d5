"""A backup holds what was acknowledged before it, and a restore is whole or did not happen."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from plaza.store.backup import SEAL, BackupFailed, NotABackup, RestoreFailed, backup, read_seal, restore
from plaza.store.binaries import NoSuchBinaries, Source, find_binaries
from plaza.store.embedded import PrivatePostgres
from plaza.store.trouble import Trouble

pytestmark = pytest.mark.anyio

SCHEMA = """
create table person (id bigint primary key, name text not null);
create table note (id bigint primary key, person bigint not null references person, body jsonb, words tsvector
    generated always as (to_tsvector('simple', body::text)) stored);
create index on note using gin (words);
create index on note (person, id desc) where body is not null;
insert into person select n, 'Person ' || n from generate_series(1, 50) n;
"""


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, source: Source) -> AsyncIterator[str]:
    async with PrivatePostgres(tmp_path_factory.mktemp("server") / "data", source) as started:
        yield started.url


@pytest.fixture
async def url(server: str) -> str:
    connection = await asyncpg.connect(server)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.execute(SCHEMA)
    await connection.close()
    return server


@pytest.fixture
async def db(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def content(db: asyncpg.Connection) -> list[object]:
    """Every table, with a digest of all its rows, and every index and constraint."""
    tables = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    names = sorted(row["relname"] for row in tables)
    rows = [await db.fetchval(f"select md5(string_agg(t::text, '|' order by id)) from {name} t") for name in names]
    indexes = await db.fetch("select indexdef from pg_indexes where schemaname = 'public' order by indexdef")
    rules = await db.fetch("select conname, pg_get_constraintdef(oid) as is from pg_constraint order by conname, 2")
    return [names, rows, [row["indexdef"] for row in indexes], [tuple(row) for row in rules]]


async def test_a_backup_while_others_write_has_every_row_acknowledged_before_it_began(
    url: str, source: Source, tmp_path: Path
) -> None:
    acked: list[int] = []

    async def write() -> None:
        writer = await asyncpg.connect(url)
        try:
            for number in range(1, 1_000_000):
                await writer.execute("insert into note values ($1::bigint, $1::bigint % 50 + 1, '{\"a\": 1}')", number)
                acked.append(number)
        finally:
            writer.terminate()

    writing = asyncio.create_task(write())
    while len(acked) < 200 and not writing.done():
        await asyncio.sleep(0.01)
    before = len(acked)
    seal = await backup(url, tmp_path / "plaza.backup", source)
    meanwhile = len(acked)
    writing.cancel()
    await asyncio.wait([writing])
    assert meanwhile > before, "the writer was not held up"
    assert seal.server == find_binaries(source).version

    async with PrivatePostgres(tmp_path / "new", source) as new:
        await restore(new.url, tmp_path / "plaza.backup", source)
        restored = await asyncpg.connect(new.url)
        count, last = await restored.fetchrow("select count(*), max(id) from note")
        await restored.close()
    assert count == last >= before


async def test_a_restore_brings_everything_back_and_takes_what_came_later_away(
    url: str, db: asyncpg.Connection, source: Source, tmp_path: Path
) -> None:
    file = tmp_path / "plaza.backup"
    await db.execute("insert into note values (1, 1, '\"it''s \\\\ a\\ttab\"')")
    before = await content(db)
    made = await backup(url, file, source)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_seal(file) == made

    await db.execute("delete from note; update person set name = 'nobody'")
    await db.execute("create table newer (id bigint references person); create view seen as select * from note")
    assert await restore(url, file, source) == made
    assert await content(db) == before
    assert await db.fetchval("select reltuples from pg_class where relname = 'person'") == 50, "analyzed"

    # What a restore has made can be backed up and restored again.
    await backup(url, file, source, replace=True)
    await restore(url, file, source)
    assert await content(db) == before


async def test_a_part_of_a_backup_a_damaged_one_and_a_foreign_file_are_refused_and_nothing_is_touched(
    url: str, db: asyncpg.Connection, source: Source, tmp_path: Path
) -> None:
    whole, file = tmp_path / "whole", tmp_path / "file"
    await backup(url, whole, source)
    good = whole.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    before = await content(db)
    bad = {
        "its last line is missing": [b"", good[: len(good) // 2], good[:-1], b"PGDMP of somebody else"],
        "damaged": [bytes(flipped), good[10:]],
        "cannot be read": [good[:-2] + b"\n"],
    }
    for complaint, contents in bad.items():
        for each in contents:
            file.write_bytes(each)
            with pytest.raises(NotABackup, match=complaint):
                await restore(url, file, source)
    with pytest.raises(NotABackup, match="No such file"):
        await restore(url, tmp_path / "nowhere", source)
    assert await content(db) == before


async def test_a_restore_that_fails_in_the_middle_changes_nothing(
    url: str, db: asyncpg.Connection, source: Source, tmp_path: Path
) -> None:
    file = tmp_path / "plaza.backup"
    # A constraint that the rows hold only thanks to a function that a restore cannot call: it fails after the data.
    await db.execute("create table setting (id int); insert into setting values (1)")
    await db.execute(
        "create function allowed() returns boolean language plpgsql as "
        "$$ begin return (select count(*) = 1 from setting); end $$"
    )
    await db.execute("create table fragile (id int check (allowed())); insert into fragile values (1)")
    await backup(url, file, source)
    await db.execute("insert into person values (51, 'came later')")
    before = await content(db)
    with pytest.raises(RestoreFailed, match=r"unchanged.*setting"):
        await restore(url, file, source)
    assert await content(db) == before
    assert not await db.fetchval("select count(*) from pg_stat_activity where application_name = 'psql'")


async def test_an_archive_that_breaks_off_in_the_middle_of_its_rows_changes_nothing(
    url: str, db: asyncpg.Connection, source: Source, tmp_path: Path
) -> None:
    file = tmp_path / "plaza.backup"
    await db.execute("insert into note select n, 1, to_jsonb(md5(n::text)) from generate_series(1, 20000) n")
    seal = await backup(url, file, source)
    part = file.read_bytes()[: seal.bytes * 3 // 4]
    forged = msgspec.structs.replace(seal, sha256=hashlib.sha256(part).hexdigest(), bytes=len(part))
    file.write_bytes(part + SEAL + msgspec.json.encode(forged) + b"\n")
    await db.execute("delete from note where id % 2 = 0")
    before = await content(db)
    with pytest.raises(RestoreFailed, match="unchanged"):
        await restore(url, file, source)
    assert await content(db) == before


async def test_a_backup_never_replaces_a_file_unasked_and_leaves_nothing_when_it_fails(
    url: str, source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "old").write_text("precious")
    with pytest.raises(BackupFailed, match="is there already"):
        await backup(url, folder / "old", source)
    with pytest.raises(BackupFailed, match="No such file"):
        await backup(url, folder / "missing" / "file", source)
    with pytest.raises(Trouble, match="does not answer"):
        await backup("postgresql://plaza:x@/plaza?host=/nowhere", folder / "file", source)
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert (folder / "old").read_text() == "precious"


async def test_a_cancelled_backup_leaves_no_file_and_no_process(
    url: str, db: asyncpg.Connection, source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    password = urlsplit(url).password or ""
    async with db.transaction():
        await db.execute("lock table note in access exclusive mode")
        running = asyncio.create_task(backup(url, folder / "file", source))
        other = await asyncpg.connect(url)
        waiting = (
            "select count(*) from pg_stat_activity where application_name = 'pg_dump' and wait_event_type = 'Lock'"
        )
        while not running.done() and not await other.fetchval(waiting):
            await asyncio.sleep(0.01)
        # The password is among nobody's arguments.
        shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
        assert any(b"pg_dump" in line for line in shown)
        assert not any(password.encode() in line for line in shown)
        running.cancel()
        await asyncio.wait([running])
        await other.close()
    assert running.cancelled()
    assert not list(folder.iterdir())


async def test_a_backup_of_a_newer_server_is_not_put_into_an_older_one(tmp_path: Path) -> None:
    try:
        majors = sorted({find_binaries("machine").major, find_binaries("wheel").major})
    except NoSuchBinaries as missing:
        pytest.skip(str(missing))
    if len(majors) < 2:
        pytest.skip("the machine has the wheel's version of PostgreSQL")
    old: Source = "machine" if find_binaries("machine").major == majors[0] else "wheel"
    new: Source = "wheel" if old == "machine" else "machine"
    async with PrivatePostgres(tmp_path / "old", old) as older, PrivatePostgres(tmp_path / "new", new) as newer:
        for each in (older, newer):
            await run_schema(each.url)
        await backup(newer.url, tmp_path / "of_new")
        with pytest.raises(NotABackup, match="cannot read"):
            await restore(older.url, tmp_path / "of_new")
        await backup(older.url, tmp_path / "of_old")
        await restore(newer.url, tmp_path / "of_old")


async def run_schema(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()
