"""Refuses a database that may forget what it acknowledged."""

import asyncpg

from plaza.store.trouble import Trouble

# synchronous_commit has more than one safe value: what is stricter than "on" is welcome.
SAFE = {
    "fsync": {"on"},
    "full_page_writes": {"on"},
    "synchronous_commit": {"on", "remote_apply"},
}


class NotDurable(Trouble):
    """The server may lose acknowledged writes; the text names the settings and their values."""


REMEDY = "Turn each on and start again (look at its configuration and at ALTER SYSTEM, ALTER DATABASE and ALTER ROLE)."


async def unsafe_settings(connection: asyncpg.Connection) -> str | None:
    """A sentence that names the settings of this connection with which writes may be lost; None when all are on."""
    rows = await connection.fetch(
        "select name, setting from pg_catalog.pg_settings where name = any($1::text[])", list(SAFE)
    )
    found = {row["name"]: row["setting"] for row in rows}
    wrong = [f"{name} is {found.get(name)}" for name, safe in SAFE.items() if found.get(name) not in safe]
    return f"This PostgreSQL may lose what it acknowledged: {', '.join(wrong)}." if wrong else None


async def check_durability(connection: asyncpg.Connection) -> None:
    """Raises `NotDurable` unless `fsync`, `full_page_writes` and `synchronous_commit` are on for this connection."""
    if (sentence := await unsafe_settings(connection)) is not None:
        raise NotDurable(f"{sentence} {REMEDY}")
