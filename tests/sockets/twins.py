"""Two processes on one database, and the same people seen through both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from plaza.settings import Settings
from tests.server import Running
from tests.world import Person, World


@contextlib.asynccontextmanager
async def twins(database_url: str, settings: Settings) -> AsyncIterator[tuple[World, World]]:
    """The same two organisations; the first of the processes leads."""
    with Running(database_url, settings) as one, Running(database_url, settings) as other:
        async with World(one, "client/community") as here, World(other, "client/community") as there:
            there.north, there.south = here.north, here.south
            yield here, there


def through(world: World, person: Person) -> Person:
    """The same person, but asking the other process."""
    twin = Person(person.tenant, person.email)
    twin.id, twin.world = person.id, world
    return twin
