"""Every statement of the house, held against the schema that the migrations make."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg
import msgspec
import pytest

import plaza.app
from plaza.kernel.sql import STATEMENTS, Statement
from plaza.store.postgres import STATEMENT_CACHE, Postgres

assert plaza.app  # importing the composition root makes every statement known


@pytest.fixture
async def connection(database_url: str) -> Any:
    store = Postgres(database_url)
    await store.open()
    async with store.acquire() as db:
        yield db.connection
    await store.close()


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
async def test_a_statement_prepares_and_gives_the_columns_of_its_shape(
    connection: Any, statement: Statement[Any]
) -> None:
    prepared = await connection.prepare(statement.text)
    columns = [attribute.name for attribute in prepared.get_attributes()]
    shape = statement.row
    expected = len(msgspec.structs.fields(shape)) if issubclass(shape, msgspec.Struct) else 1
    assert len(columns) == expected, columns


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_binds_its_organisation(statement: Statement[Any]) -> None:
    if statement.tenant:
        assert "org" in statement.parameters, "a statement about a tenant's rows names the tenant"
    else:
        assert "org" not in statement.parameters


LONGEST = 12 * 1024
"""Bytes of a statement; asyncpg prepares one of more than 15 KiB anew each time."""


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_is_short_enough_to_stay_prepared(statement: Statement[Any]) -> None:
    assert len(statement.text.encode()) < LONGEST < STATEMENT_CACHE["max_cacheable_statement_size"]


async def test_every_statement_stays_prepared_on_its_connection(connection: Any) -> None:
    """Spoken with nothing but nulls: whether it succeeds does not matter to whether it stays prepared."""
    assert len(STATEMENTS) <= STATEMENT_CACHE["statement_cache_size"]
    assert STATEMENT_CACHE["max_cached_statement_lifetime"] == 0
    for statement in STATEMENTS.values():
        whole = connection.transaction()
        await whole.start()
        with contextlib.suppress(asyncpg.PostgresError):
            await connection.fetch(statement.text, *[None] * len(statement.parameters))
        await whole.rollback()
    texts = {row["statement"] for row in await connection.fetch("select statement from pg_prepared_statements")}
    assert {statement.text for statement in STATEMENTS.values()} <= texts
