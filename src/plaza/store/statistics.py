"""The planner's statistics of young tables: refreshed each time a table has doubled.

A statement is planned once (`force_generic_plan`). On a table that was empty when it was planned every index that
begins with the organisation looks alike, and the wrong one reads the whole organisation; autovacuum would notice after
a minute. A new ANALYZE makes every connection plan anew.
"""

from __future__ import annotations

from plaza.kernel.sql import Statement
from plaza.store.postgres import Postgres

GROWN = Statement(
    "statistics.grown",
    str,
    """
    select quote_ident(s.relname) from pg_stat_user_tables s join pg_class c on c.oid = s.relid
    where s.schemaname = 'public' and s.relname <> 'outbox' and s.n_mod_since_analyze > greatest(100, c.reltuples)
    """,
    tenant=False,
)


async def refresh(store: Postgres) -> None:
    """Analyses the tables that have changed by more rows than they had when they were analysed last."""
    for table in await store.all(GROWN):
        async with store.acquire() as db:
            await db.connection.execute(f"analyze {table}")
