"""Facts that break what they meet: stored as a faulty version would have stored them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.world import PATIENCE, Tenant, World

UNKNOWN = "thing.of_tomorrow"
"""A kind that no version has."""
TOO_LARGE = 1 << 70
"""A number that decodes, and that no statement takes."""


async def announce(tenant: Tenant, kind: str, fact: object) -> None:
    """Adds a fact to the outbox."""
    world = tenant.world
    await world.rows(
        "insert into outbox (org, kind, fact, created_at) values ($1, $2, $3, now())",
        *(tenant.org.id, kind, fact),
    )
    wake(world)


def wake(world: World) -> None:
    """Has the server look into the outbox."""
    world.server.loop.call_soon_threadsafe(world.server.plaza.relay.wake)


async def failed(world: World, count: int = 1) -> list[Any]:
    """The failed facts, once there are so many."""
    async with asyncio.timeout(PATIENCE):
        while len(rows := await world.rows("select * from outbox_failed order by id")) < count:
            await asyncio.sleep(0.02)
    return rows


async def waiting(world: World) -> list[Any]:
    """What stands in the outbox."""
    return await world.rows("select id, org, kind, tries, next_try_at from outbox order by id")
