"""`plaza doctor`: nothing found is exit 0; each finding is one line with what to do, and exit 1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from plaza.store.migration_steps import Batch
from tests.command.test_command import plaza


@pytest.fixture
async def db(own_database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(own_database_url)
    yield connection
    await connection.close()


async def doctor(url: str, folder: Path, *words: str, **environment: str) -> tuple[int, list[str], str]:
    """Its exit status, its lines, and its words."""
    done = await asyncio.to_thread(plaza, "doctor", "--database-url", url, *words, folder=folder, **environment)
    return done.returncode, done.stdout.splitlines(), done.stderr


async def test_a_database_in_which_nothing_is_wrong_is_exit_zero(own_database_url: str, tmp_path: Path) -> None:
    assert await doctor(own_database_url, tmp_path) == (0, [], "Nothing was found.\n")


async def test_what_an_upgrade_met_is_listed_with_what_to_do_until_it_is_resolved(
    own_database_url: str, db: Any, tmp_path: Path
) -> None:
    batch = Batch(db)
    await batch.report("person.address_taken", "Two people of north have a@mail.test.", "Rename one.", org=1)
    await batch.report("person.unknown_signer", "Bob of south has no signer.", "Assign one.", org=2)
    status, lines, _ = await doctor(own_database_url, tmp_path)
    first, second = await db.fetch("select id from upgrade_finding order by id")
    assert (status, lines) == (
        1,
        [
            f"Two people of north have a@mail.test. Rename one. Then: plaza doctor --resolve {first['id']}",
            f"Bob of south has no signer. Assign one. Then: plaza doctor --resolve {second['id']}",
        ],
    )
    status, lines, words = await doctor(own_database_url, tmp_path, "--resolve", str(first["id"]))
    assert (status, lines, words) == (0, [], f"Finding {first['id']} is resolved.\n")
    status, lines, _ = await doctor(own_database_url, tmp_path)
    assert (status, len(lines)) == (1, 1)
    status, lines, words = await doctor(own_database_url, tmp_path, "--resolve", str(first["id"]))
    assert (status, lines) == (1, [])
    assert "no unresolved finding" in words


async def test_a_schema_that_is_behind_or_ahead_is_said_and_nothing_is_changed(
    own_database_url: str, db: Any, tmp_path: Path
) -> None:
    before = await db.fetch("select * from migration order by number")
    last = await db.fetchval(
        "delete from migration where number = (select max(number) from migration) returning number"
    )
    status, (line,), _ = await doctor(own_database_url, tmp_path)
    assert (status, f"{last - 1} of {last} migrations" in line, "plaza db migrate" in line) == (1, True, True)
    await db.execute("insert into migration values ($1, $2, $3, $4)", *before[-1].values())
    await db.execute("insert into migration values ($1, 'newer.sql', 'x')", last + 1)
    status, (line,), _ = await doctor(own_database_url, tmp_path)
    assert (status, "use the newer version" in line) == (1, True)
    assert len(await db.fetch("select * from migration")) == last + 1


async def test_settings_with_which_acknowledged_writes_may_be_lost_are_named(
    own_database_url: str, db: Any, tmp_path: Path
) -> None:
    name = await db.fetchval("select current_database()")
    await db.execute(f"alter database {name} set synchronous_commit = off")
    status, (line,), _ = await doctor(own_database_url, tmp_path)
    assert (status, "synchronous_commit is off" in line, "Turn each on" in line) == (1, True, True)


async def test_mail_that_leads_nowhere_is_found(own_database_url: str, tmp_path: Path) -> None:
    status, lines, _ = await doctor(own_database_url, tmp_path, PLAZA_SMTP_URL="smtp://mail.example:25")
    assert (status, len(lines)) == (1, 2)
    assert "public_url" in lines[0]
    assert "mail_from" in lines[1]
    good = {"PLAZA_PUBLIC_URL": "https://plaza.example", "PLAZA_MAIL_FROM": "Plaza <plaza@plaza.example>"}
    assert (await doctor(own_database_url, tmp_path, PLAZA_SMTP_URL="smtp://mail.example:25", **good))[0] == 0
