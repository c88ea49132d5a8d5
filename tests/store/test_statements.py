"""Every statement of the house, held against the schema that the migrations make."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import plaza.app
from plaza.kernel.sql import STATEMENTS, Statement
from plaza.store.postgres import Postgres

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
