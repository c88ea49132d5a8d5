"""Suggestions and shared connections on a generated graph with hubs, beside an exact computation of both."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

import pytest

from plaza.domains.connections.fragments import COMPARED
from tests.server import Running
from tests.world import Person, World

PEOPLE, HUBS, HUB_TIES = 4_000, 4, 1_000
CIRCLE = 25
"""People of a circle, most of whom are connected with each other, as on real graphs."""
SHOWN = 10
FIRST_ID = 1 << 50


@dataclass(frozen=True)
class Graph:
    """People of `world.north` by number, and who is connected with whom."""

    world: World
    ties: dict[int, set[int]]

    def person(self, number: int) -> Person:
        """Somebody of the graph."""
        return self.world.north.person(f"p{number}")

    def common(self, one: int, other: int) -> int:
        """How many connections two people share."""
        return len(self.ties[one] & self.ties[other])

    def compared(self, one: int, other: int) -> bool:
        """Whether all connections of the one who has fewer are looked up with the other."""
        return min(len(self.ties[one]), len(self.ties[other])) <= COMPARED

    def friends_of_friends(self, one: int) -> Counter[int]:
        """How many connections each stranger shares with somebody."""
        met = Counter(far for near in self.ties[one] for far in self.ties[near])
        return Counter({far: n for far, n in met.items() if far != one and far not in self.ties[one]})


def generate(chance: random.Random) -> dict[int, set[int]]:
    """Circles of friends, random ties between them, and hubs."""
    ties: dict[int, set[int]] = {number: set() for number in range(PEOPLE)}

    def tie(one: int, other: int) -> None:
        if one != other:
            ties[one].add(other)
            ties[other].add(one)

    for start in range(0, PEOPLE, CIRCLE):
        for one, other in combinations(range(start, start + CIRCLE), 2):
            if chance.random() < 0.6:
                tie(one, other)
    for _ in range(PEOPLE * 2):
        tie(chance.randrange(PEOPLE), chance.randrange(PEOPLE))
    for hub in range(HUBS):
        for other in chance.sample(range(PEOPLE), HUB_TIES):
            tie(hub * CIRCLE, other)
    return ties


@pytest.fixture(scope="module")
async def graph(server: Running) -> AsyncIterator[Graph]:
    chance = random.Random(11)
    async with World(server, "client/community") as world:
        ties, org, now = generate(chance), world.north.org.id, datetime.now(UTC)
        people: list[Any] = [
            (org, FIRST_ID + n, f"p{n}@mail.test", f"p{n}@mail.test", now, now, now, False) for n in range(PEOPLE)
        ]
        pairs = [(one, other) for one, others in ties.items() for other in others if one < other]
        chance.shuffle(pairs)
        rows: list[Any] = [
            (org, FIRST_ID + a, FIRST_ID + b, n, n, FIRST_ID + chance.choice((a, b)), "accepted", now)
            for n, (a, b) in enumerate(pairs, FIRST_ID * 2)
        ]
        async with world.store.acquire() as db:

            async def fill(table: str, columns: str, records: list[Any]) -> None:
                await db.connection.copy_records_to_table(table, records=records, columns=columns.split(), timeout=60)

            await fill("person", "org id email subject created_at updated_at claimed_at entry_due", people)
            await fill("directory_entry", "org person words tags keys", [(org, row[1], "", [], []) for row in people])
            await fill("connection", "org low high id position requester status requested_at", rows)
            counts = [(org, FIRST_ID + n, len(others)) for n, others in ties.items()]
            await fill("tie_count", "org person connections", counts)
            await db.connection.execute("analyze person, directory_entry, connection, tie_count")
        yield Graph(world, ties)


def sample(graph: Graph) -> list[int]:
    """The hubs, and some others."""
    return [*(hub * CIRCLE for hub in range(HUBS)), *random.Random(3).sample(range(PEOPLE), 40)]


async def test_those_with_most_in_common_are_suggested_first_with_the_right_counts(graph: Graph) -> None:
    precision, right = [], []
    for number in sample(graph):
        exact = graph.friends_of_friends(number)
        page = await graph.person(number).get(f"people/suggestions?limit={SHOWN}")
        shown = [(int(row["id"]) - FIRST_ID, row["reason"], row["mutualCount"]) for row in page["data"]]
        assert {reason for _, reason, _ in shown} == {"mutual_connections"}
        least = sorted(exact.values(), reverse=True)[SHOWN - 1]
        precision.append(fmean(exact[person] >= least for person, _, _ in shown))
        right += [count == exact[person] for person, _, count in shown]
    assert fmean(precision) == 1.0
    assert fmean(right) >= 0.99


async def test_a_profile_and_the_list_of_mutual_connections_count_what_is_there(graph: Graph) -> None:
    numbers = sample(graph)[: HUBS + 8]
    for one, other in pairwise(numbers):
        viewer = graph.person(one)
        profile = (await viewer.get(f"people/p{other}@mail.test"))["relationship"]
        listed = await viewer.get(f"connections/mutual/p{other}@mail.test")
        exact, whole = graph.common(one, other), graph.compared(one, other)
        assert (profile["mutualCount"], profile["mutualCountExact"]) == (listed["total"], listed["totalExact"])
        assert listed["totalExact"] is whole
        assert listed["total"] == exact if whole else 0.9 * exact <= listed["total"] <= exact


async def test_nothing_passes_through_somebody_who_is_blocked(graph: Graph) -> None:
    number = sample(graph)[-1]
    viewer, friend = graph.person(number), max(graph.ties[number])
    before = {row["id"]: row["mutualCount"] for row in (await viewer.get("people/suggestions?limit=100"))["data"]}
    through = {str(FIRST_ID + far) for far in graph.ties[friend]} & before.keys()
    assert through
    for blocker, blocked in ((viewer, graph.person(friend)), (graph.person(friend), viewer)):
        await blocker.post("blocks", {"targetId": blocked.email}, status=201)
        after = {row["id"]: row["mutualCount"] for row in (await viewer.get("people/suggestions?limit=100"))["data"]}
        shown = {person: count for person, count in after.items() if person in through}
        assert shown
        for person, count in shown.items():
            other = await viewer.get(f"people/{person}")
            assert count == other["relationship"]["mutualCount"] == before[person] - 1
        await blocker.delete(f"blocks/{blocked.email}")


async def test_somebody_with_very_many_ties_still_meets_friends_of_friends(graph: Graph) -> None:
    page = await graph.person(0).get("people/suggestions?limit=100")
    assert len(page["data"]) == 100
    assert {row["reason"] for row in page["data"]} == {"mutual_connections"}
