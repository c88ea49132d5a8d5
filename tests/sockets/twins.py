"""Two processes on one database, and the same people seen through both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from plaza.settings import Settings
from plaza.store.relay import RETRY_SECONDS
from tests.server import Running
from tests.world import Person, World


@contextlib.asynccontextmanager
async def twins(
    database_url: str, settings: Settings, *, retry_seconds: Sequence[float] = RETRY_SECONDS
) -> AsyncIterator[tuple[World, World]]:
    """The same two organisations; the first of the processes leads."""
    one, other = (Running(database_url, settings, retry_seconds=retry_seconds) for _ in range(2))
    with one, other:
        async with World(one, "client/community") as here, World(other, "client/community") as there:
            there.north, there.south = here.north, here.south
            yield here, there


def through(world: World, person: Person) -> Person:
    """The same person, but asking the other process."""
    twin = Person(person.tenant, person.email)
    twin.id, twin.world = person.id, world
    return twin
