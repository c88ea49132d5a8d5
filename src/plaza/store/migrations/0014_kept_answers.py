"""Purges the answers that idempotency keys kept: of a record its id stays, of numbers alone all, of others nothing."""

from __future__ import annotations

from typing import Any

from plaza.store.migration_steps import Batch

ROWS = 1_000
PURGE = """
    with page as (
        select org, person, key from idempotency
        where (org, person, key) > ($1::integer, $2::bigint, $3::text)
        order by org, person, key limit $4
    ),
    kept as (
        select i.org, i.person, i.key, coalesce(
                substring(head.text from '^\\{"id":"[0-9]{1,19}"') || '}',
                substring(head.text from '^\\{"(?:success":true|(?:read|accepted)":[0-9]{1,19})\\}$'),
                ''
            ) as text
        from page join idempotency i using (org, person, key)
        cross join lateral (select encode(substring(i.body from 1 for 64), 'escape') as text) head
    ),
    purged as (
        update idempotency i set body = convert_to(kept.text, 'UTF8')
        from kept
        where i.org = kept.org and i.person = kept.person and i.key = kept.key
            and i.body <> convert_to(kept.text, 'UTF8')
    )
    select org, person, key from page order by org desc, person desc, key desc limit 1
"""


async def step(batch: Batch, after: Any) -> Any:
    """One page of keys; the position is the last of them."""
    last = await batch.connection.fetchrow(PURGE, *(after or (0, 0, "")), ROWS)
    return None if last is None else list(last)
