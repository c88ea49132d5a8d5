"""Writes `schema.sql`, the readable sum of the migrations: `DATABASE_URL=… python -m plaza.store.schema`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import asyncpg

FILE = Path(__file__).parent / "schema.sql"
HEAD = "-- The schema as it is: the sum of the migrations, written by `python -m plaza.store.schema`; never run.\n"

_TABLES = """
    select c.oid, c.relname, c.relpersistence = 'u' as unlogged from pg_class c
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
        and c.relname not in ('migration', 'migration_step', 'upgrade_finding')
    order by c.relname
"""
_COLUMNS = """
    select a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, a.attidentity <> '' as identity,
        a.attgenerated <> '' as generated, pg_get_expr(d.adbin, d.adrelid) as default
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_CONSTRAINTS = """
    select pg_get_constraintdef(oid) as text from pg_constraint
    where conrelid = $1 and contype in ('p', 'u', 'f', 'c')
    order by position(contype in 'pufc'), conname
"""
_INDEXES = """
    select pg_get_indexdef(indexrelid) as text from pg_index
    where indrelid = $1
        and not exists (select 1 from pg_constraint where conindid = indexrelid and contype in ('p', 'u'))
    order by indexrelid::regclass::text
"""


async def describe(url: str) -> str:
    """The tables of a database with their keys and indexes, as SQL that reads well and the same every time."""
    connection = await asyncpg.connect(url)
    try:
        tables = [await _table(connection, table) for table in await connection.fetch(_TABLES)]
        return "\n".join([HEAD, *tables])
    finally:
        await connection.close()


async def _table(connection: Any, table: Any) -> str:
    lines = [_column(column) for column in await connection.fetch(_COLUMNS, table["oid"])]
    lines += [f"    {row['text']}" for row in await connection.fetch(_CONSTRAINTS, table["oid"])]
    indexes = [f"{row['text']};".replace(" public.", " ") for row in await connection.fetch(_INDEXES, table["oid"])]
    kind = "unlogged table" if table["unlogged"] else "table"
    return "\n".join([f"create {kind} {table['relname']} (", ",\n".join(lines), ");", *indexes, ""])


def _column(column: Any) -> str:
    parts = [f"    {column['attname']} {column['type']}"]
    if column["attnotnull"]:
        parts.append("not null")
    if column["identity"]:
        parts.append("generated always as identity")
    if column["generated"]:
        parts.append(f"generated always as ({' '.join(column['default'].split())}) stored")
    elif column["default"] is not None:
        parts.append(f"default {column['default']}")
    return " ".join(parts)


if __name__ == "__main__":
    FILE.write_text(asyncio.run(describe(os.environ["DATABASE_URL"])), encoding="utf-8")
