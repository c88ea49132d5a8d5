"""A crowd in the store: people with names, profiles and entries in the directory, and random ties between them."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from bench.names import scripts
from plaza.domains.organisations import service as organisations
from plaza.domains.people.finding import entry
from plaza.store.postgres import Postgres

FIRST_ID = 10**15
_CHUNK = 5_000
WORK = [
    "Designer",
    "Engineer",
    "Planner",
    "Teacher",
    "Researcher",
    "Nurse",
    "Baker",
    "Founder",
    "Analyst",
    "Librarian",
]
_KINDS = ["AG", "Foods", "GmbH", "Group", "Labs", "Ltd", "Partners", "Studio", "Systems", "& Co"]
_TAGS = [
    "python",
    "sql",
    "design",
    "ceramics",
    "cooking",
    "hiking",
    "music",
    "film",
    "chess",
    "rowing",
    "climbing",
    "gardening",
    "robots",
    "history",
    "poetry",
    "jazz",
    "sailing",
    "cycling",
    "running",
    "knitting",
    "baking",
    "coffee",
    "tea",
    "wine",
    "maps",
    "trains",
    "birds",
    "bees",
    "stars",
]


class Crowd:
    """So many people of one organisation; the same ones whenever it is made."""

    def __init__(self, store: Postgres, people: int) -> None:
        self.store = store
        self.people = people
        self.org = 0
        self.hubs = (FIRST_ID, FIRST_ID + people // 2)
        """Two people who are connected with a tenth of all each, half of them in common."""
        self.names: list[tuple[str, str]] = []
        self._chance = random.Random(7)
        self._scripts = scripts(self._chance)

    async def settle(self) -> None:
        """Makes the organisation and its people."""
        now = datetime.now(UTC)
        self.org = (await organisations.create(self.store, "crowd", None, now)).id
        # An index over everybody's pieces is built in seconds, and filled row by row in minutes.
        async with self.store.acquire() as db:
            built = await db.connection.fetchval("select pg_get_indexdef('directory_entry_keys'::regclass)")
        await self._run("drop index directory_entry_keys")
        for start in range(0, self.people, _CHUNK):
            await self._add([self._person(n, now) for n in range(start, min(start + _CHUNK, self.people))])
        await self._run(built, "vacuum analyze")

    def _person(self, number: int, now: datetime) -> tuple[Any, ...]:
        (script,) = self._chance.choices(self._scripts, weights=[script.percent for script in self._scripts])
        first, last = script.first.draw(), script.last.draw()
        company = f"{script.last.draw()} {self._chance.choice(_KINDS)}" if self._chance.random() < 0.5 else None
        self.names.append((first, last))
        work, tags = self._chance.choice(WORK), self._chance.sample(_TAGS, self._chance.randint(0, 4))
        return FIRST_ID + number, f"p{number}@bench.test", first, last, company, work, tags, now

    async def _add(self, made: list[tuple[Any, ...]]) -> None:
        people: list[Any] = []
        profiles: list[Any] = []
        entries: list[Any] = []
        for person, email, first, last, company, work, tags, now in made:
            people.append((self.org, person, email, email, first, last, company, work, False, now, now, now))
            profiles.append((self.org, person, "Berlin", "x" * 80, tags, tags, [], {}))
            listed = entry(self.org, [first, last, company, work], tags, tags)
            entries.append((self.org, person, *listed))
        names = "org id email subject first_name last_name company job_title entry_due claimed_at created_at updated_at"
        await self._copy("person", names, people)
        await self._copy("profile", "org person location bio expertise interests looking_for social_links", profiles)
        await self._copy("directory_entry", "org person words tags keys", entries)

    async def tie(self, follows: int, connections: int) -> None:
        """So many of each between random people, some of whom are followed more than others, and those of the hubs."""
        one, other = (f"{FIRST_ID} + floor(power(random(), {power}) * {self.people})::bigint" for power in (1, 2))
        first, last = FIRST_ID, FIRST_ID + follows + connections
        tenths = ("n % 10 = 1", "n % 20 in (1, 6)")
        await self._run(
            f"""insert into follow (org, id, follower, following, following_type, created_at)
            select {self.org}, {first} + n, a, b, 'person', now()
            from (select n, {one} as a, {other} as b from generate_series(1, {follows}) n) pair where a <> b
            on conflict do nothing""",
            f"""insert into connection (org, low, high, id, position, requester, status, requested_at)
            select {self.org}, least(a, b), greatest(a, b), {first} + {follows} + n, {first} + {follows} + n, a,
                'accepted', now()
            from (select n, {one} as a, {one} as b from generate_series(1, {connections}) n) pair where a <> b
            on conflict do nothing""",
            *(
                f"""insert into connection (org, low, high, id, position, requester, status, requested_at)
                select {self.org}, least({hub}, p), greatest({hub}, p), {last + place * self.people} + n,
                    {last + place * self.people} + n, case when n % 3 = 0 then p else {hub} end, 'accepted', now()
                from (select n, {FIRST_ID} + n as p from generate_series(0, {self.people - 1}) n where {tenth}) others
                where p <> {hub}
                on conflict do nothing"""
                for place, (hub, tenth) in enumerate(zip(self.hubs, tenths, strict=True))
            ),
            f"""insert into tie_count (org, person, followers, following, connections)
            select {self.org}, person, sum(a), sum(b), sum(c) from (
                select person, 1 as a, 0 as b, 0 as c from follow union all select follower, 0, 1, 0 from follow
                union all select low, 0, 0, 1 from connection union all select high, 0, 0, 1 from connection
            ) tie group by person""",
            "vacuum analyze",
        )

    async def _run(self, *statements: str) -> None:
        async with self.store.acquire() as db:
            for statement in statements:
                await db.connection.execute(statement, timeout=600)

    async def _copy(self, table: str, columns: str, records: list[tuple[Any, ...]]) -> None:
        async with self.store.acquire() as db:
            await db.connection.copy_records_to_table(table, records=records, columns=columns.split(), timeout=600)
