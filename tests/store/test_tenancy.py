"""Tenant isolation in the schema itself: every key begins with the organisation (guarantees, 0.9)."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

SERVER_WIDE = {"bus_letter", "event_log", "migration", "migration_step", "node", "outbox", "upgrade_finding"}
"""Tables about the server and its upgrades, and the outbox, whose key is the order of its rows."""


@pytest.fixture
async def connection(database_url: str) -> Any:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_primary_and_unique_key_of_a_tenants_table_begins_with_the_organisation(connection: Any) -> None:
    rows = await connection.fetch(
        """
        select c.relname as table, i.indexrelid::regclass::text as index, a.attname as first
        from pg_index i join pg_class c on c.oid = i.indrelid
        join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where i.indisunique and c.relnamespace = 'public'::regnamespace
        """
    )
    wrong = [dict(row) for row in rows if row["first"] != "org" and row["table"] not in SERVER_WIDE | {"org"}]
    assert wrong == []


async def test_every_foreign_key_between_tenants_tables_begins_with_the_organisation(connection: Any) -> None:
    rows = await connection.fetch(
        """
        select f.conrelid::regclass::text as table, f.confrelid::regclass::text as target, a.attname as first
        from pg_constraint f join pg_attribute a on a.attrelid = f.conrelid and a.attnum = f.conkey[1]
        where f.contype = 'f'
        """
    )
    assert rows
    assert [dict(row) for row in rows if row["first"] != "org"] == []


async def test_every_table_of_tenants_has_the_organisation(connection: Any) -> None:
    rows = await connection.fetch(
        """
        select c.relname from pg_class c
        where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and not exists (
            select 1 from pg_attribute where attrelid = c.oid and attname = 'org' and attnotnull
        )
        """
    )
    assert {row["relname"] for row in rows} <= SERVER_WIDE | {"org"}


async def test_there_are_no_triggers_and_no_functions_of_ours(connection: Any) -> None:
    assert await connection.fetchval("select count(*) from pg_trigger where not tgisinternal") == 0
    assert await connection.fetchval("select count(*) from pg_proc where pronamespace = 'public'::regnamespace") == 0
