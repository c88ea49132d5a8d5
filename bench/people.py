"""People and their ties at two sizes, the larger ten times the smaller; asked of the store, in turns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench import machine
from bench.crowd import FIRST_ID, WORK, Crowd
from bench.options import Options
from bench.report import Report, Table
from plaza.domains.connections import list_queries as connections
from plaza.domains.directory import queries as directory
from plaza.domains.directory.suggestion_queries import SUGGESTIONS
from plaza.domains.follows import queries as follows
from plaza.domains.people.finding import sought
from plaza.kernel.ids import HIGHEST
from plaza.kernel.sql import Statement
from plaza.store.embedded import PrivatePostgres
from plaza.store.migrate import migrate
from plaza.store.postgres import Postgres

SIZES = ((20_000, 100_000), (200_000, 1_000_000))
"""People, and edges of each kind between them: everybody has as many in the one as in the other."""
ASKED = 60
"""Calls of a round; one round more goes before the first."""
BUDGET_MS, FLAT = 5.0, 1.5
MIX = "people?q= · all of these"
"""Every search of the list, in equal parts."""
TYPED = ["ann", "mar", "an", "ber", "hoff", "jo", "eng"]
"""What somebody has typed so far."""
RARE = 2_000
"""A name is rare that at most one of so many people has."""
_STRIDE = 7_919
"""A prime: who is asked about is spread over the crowd."""
Case = tuple[Statement[Any], Callable[[int], dict[str, Any]]]
Rounds = list[list[float]]
"""Milliseconds of each call of each round, in order of length."""


async def run(options: Options) -> Report:
    """Each statement at the one size and at the other, by turns, one call after the other on one connection each."""
    warnings = await machine.others()
    with machine.folder(options) as folder:
        described = await machine.described(options, folder)
        async with PrivatePostgres(folder / "data") as started:
            described["PostgreSQL"] = started.version
            small, big = [await _crowd(started.url, *size) for size in SIZES]
            warnings += await machine.others()
            taken = await _measure(small, big, options.rounds)
            for crowd in (small, big):
                await crowd.store.close()
    return _report(taken, described, warnings)


async def _crowd(url: str, people: int, edges: int) -> Crowd:
    """A crowd in a database of its own."""
    machine.say(f"{people} people, {edges} follows and as many connections")
    name = f"people_{people}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"create database {name}")
    await connection.close()
    url = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    await migrate(url)
    store = Postgres(url, size=1)
    await store.open()
    crowd = Crowd(store, people)
    await crowd.settle()
    await crowd.tie(edges, edges)
    return crowd


async def _measure(small: Crowd, big: Crowd, rounds: int) -> dict[str, tuple[Rounds, Rounds]]:
    """Of each case the rounds at both sizes, A B A B."""
    few, many = cases(small), cases(big)
    taken: dict[str, tuple[Rounds, Rounds]] = {name: ([], []) for name in few}
    for number in range(-1, rounds):
        machine.say(f"round {number + 1}" if number >= 0 else "warming up")
        for name, (at_small, at_big) in taken.items():
            for crowd, case, kept in ((small, few[name], at_small), (big, many[name], at_big)):
                calls = await _ask(crowd.store, *case, max(number, 0) * ASKED)
                if number >= 0:
                    kept.append(calls)
    return taken


def cases(crowd: Crowd) -> dict[str, Case]:
    """What is asked, each time by and about others."""

    def person(number: int) -> int:
        return FIRST_ID + number * _STRIDE % crowd.people

    def viewer(number: int) -> dict[str, Any]:
        return {"org": crowd.org, "me": person(number)}

    def seen(number: int) -> dict[str, Any]:
        return viewer(number) | {"unmasked": True, "staff": False}

    page = {"before": HIGHEST, "rows": 21, "offset": 0}
    named = {"email": None, "staff": False}

    def find(text: Callable[[int], str]) -> Case:
        def asked(number: int) -> dict[str, Any]:
            return seen(number) | page | sought(crowd.org, text(number))._asdict()

        return directory.FIND, asked

    searches = {f"people?q=<{what}>": find(text) for what, text in _searches(crowd).items()}
    return {
        "people": (directory.PEOPLE, lambda number: seen(number) | page),
        **searches,
        MIX: (directory.FIND, lambda number: [*searches.values()][number % len(searches)][1](number // len(searches))),
        "people/:email": (
            directory.PROFILE,
            lambda number: seen(number) | {"email": f"p{number * 31}@bench.test", "person": None},
        ),
        "people/suggestions": (SUGGESTIONS, lambda number: seen(number) | {"rows": 20}),
        "followers": (follows.FOLLOWERS, lambda number: viewer(number) | page),
        "following": (follows.FOLLOWING, lambda number: viewer(number) | page | {"type": None}),
        "connections/mutual/:email": (
            connections.MUTUAL,
            lambda number: viewer(number) | page | named | {"person": person(number + 1)},
        ),
        "connections/mutual/:email of two hubs": (
            connections.MUTUAL,
            lambda _: {"org": crowd.org, "me": crowd.hubs[0]} | page | named | {"person": crowd.hubs[1]},
        ),
    }


def _searches(crowd: Crowd) -> dict[str, Callable[[int], str]]:
    """What people look for, from the names that there are at this size."""
    first, last = (Counter(name[place] for name in crowd.names) for place in (0, 1))

    def one_of(texts: Sequence[str]) -> Callable[[int], str]:
        return lambda number: texts[number * _STRIDE % len(texts)]

    def someone(number: int) -> tuple[str, str]:
        return crowd.names[(number + 1) * _STRIDE % crowd.people]

    return {
        "rare last name": one_of([name for name in sorted(last) if last[name] <= crowd.people // RARE]),
        "common first name": one_of([name for name, _ in first.most_common(20)]),
        "common last name": one_of([name for name, _ in last.most_common(20)]),
        "part of a word": one_of(TYPED),
        "first and last name": lambda number: " ".join(someone(number)),
        "first name and job title": lambda number: f"{someone(number)[0]} engineer",
        "Chinese or Japanese": one_of([name for name in sorted(last) if "一" <= name[0] <= "鿿"]),
        "job title": one_of(WORK),
        "nobody's name": lambda number: f"xq{number}zv",
    }


async def _ask(
    store: Postgres, statement: Statement[Any], values: Callable[[int], dict[str, Any]], first: int
) -> list[float]:
    """Milliseconds of each call, the rows made into records included."""
    taken = []
    for number in range(first, first + ASKED):
        bound = values(number)
        began = time.perf_counter()
        await store.all(statement, **bound)
        taken.append((time.perf_counter() - began) * 1_000)
    return sorted(taken)


def _report(taken: dict[str, tuple[Rounds, Rounds]], described: dict[str, Any], warnings: list[str]) -> Report:
    rows = []
    for name, (few, many) in taken.items():
        small, big = (sorted(call for calls in rounds for call in calls) for rounds in (few, many))
        growth = median(median(b) / median(a) for a, b in zip(few, many, strict=True))
        figures = (median(small), small[len(small) * 99 // 100], median(big), big[len(big) * 99 // 100])
        verdict = "kept" if median(big) <= BUDGET_MS and growth <= FLAT else "MISSED"
        rows.append([name, *(f"{value:.2f}" for value in figures), f"{growth:.2f} ×", verdict])
    sizes = [f"{edges // 1_000} k edges" for _, edges in SIZES]
    columns = ["list", *(f"{what} at {size}" for size in sizes for what in ("p50", "p99")), "growth"]
    return Report(
        "people",
        f"People and their ties: {SIZES[1][0]:,} people and a tenth of them",
        [
            Table(
                "Milliseconds of one statement, its rows made into records",
                [*columns, f"≤ {BUDGET_MS:g} ms, ≤ {FLAT:g} ×"],
                rows,
            )
        ],
        [
            *warnings[:1],
            f"Edges: follows, and as many accepted connections, between random people; {SIZES[0][0]:,} people have the "
            f"fewer, {SIZES[1][0]:,} the more. The two sizes take turns, {ASKED} calls a round, one after the other on "
            "one connection, each by somebody else; growth is the median of the rounds' own.",
            "Names: thousands in six scripts, each as frequent as one over its rank; of companies half have one, named "
            f"after people. A rare name is that of one in {RARE:,} at most; parts of words: {', '.join(TYPED)}.",
            "Hubs: two people connected with a tenth of all people each, which is 20,000 at the larger size; the "
            "newest thousand of one are compared with the other's.",
        ],
        described,
        {"milliseconds": taken},
    )
