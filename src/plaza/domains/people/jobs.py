"""What people do later: the lister, who writes entries of the directory that nobody wrote at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from plaza.domains.people import profile_queries as queries
from plaza.domains.people.finding import entry
from plaza.kernel.errors import Unavailable
from plaza.kernel.sql import Database

log = structlog.get_logger("plaza.people")

BATCH = 200
POLL_SECONDS = 1.0


class Lister:
    """Lists people whom a built-in account has made, whose suspension has ended, and who came before the directory."""

    def __init__(self, store: Database) -> None:
        self._store = store

    async def run(self) -> None:
        """Works until cancelled; several processes may, an entry is written by one of them."""
        while True:
            written = 0
            try:
                written = await self.list_due()
            except Unavailable:
                log.warning("lister.waits")
            await asyncio.sleep(0 if written == BATCH else POLL_SECONDS)

    async def list_due(self) -> int:
        """Writes the entries that are due, at most a batch; how many were."""
        due = await self._store.all(queries.DUE, most=BATCH)
        if due:
            entries = [entry(person.org, person.texts, person.expertise, person.interests) for person in due]
            await self._store.one(
                queries.ENTER,
                orgs=[person.org for person in due],
                people=[person.person for person in due],
                versions=[person.version for person in due],
                listed=[person.listed for person in due],
                words=[each.words for each in entries],
                tags=[_array(each.tags) for each in entries],
                keys=[_array(map(str, each.keys)) for each in entries],
            )
        return len(due)


def _array(items: Iterable[str]) -> str:
    """An array as PostgreSQL writes it: arrays of arrays cannot differ in length."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"
