"""People and their ties at size: 200,000 people, 100,000 ties of each kind, then a million; asked of the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from bench import machine
from bench.crowd import FIRST_ID, Crowd
from bench.options import Options
from bench.report import Report, Table, ratio
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

PEOPLE = 200_000
EDGES = (100_000, 1_000_000)
ASKED, WARM = 300, 60
BUDGET_MS, FLAT = 5.0, 1.5
_STRIDE = 7_919
"""A prime: who is asked about is spread over the crowd."""
Case = tuple[Statement[Any], Callable[[int], dict[str, Any]]]


async def run(options: Options) -> Report:
    """Each statement with the few edges and with the many, one after the other on one connection."""
    warnings = await machine.others()
    taken: dict[str, list[list[float]]] = {}
    with machine.folder(options) as folder:
        described = await machine.described(options, folder)
        async with PrivatePostgres(folder / "data") as started:
            described["PostgreSQL"] = started.version
            await migrate(started.url)
            store = Postgres(started.url, size=1)
            await store.open()
            crowd = Crowd(store, PEOPLE)
            await crowd.settle()
            before = 0
            for edges in EDGES:
                machine.say(f"{PEOPLE} people, {edges} follows and as many connections")
                await crowd.tie(edges - before, edges - before)
                before = edges
                warnings += await machine.others()
                for name, case in cases(crowd).items():
                    taken.setdefault(name, []).append(await _ask(store, *case))
            await store.close()
    return _report(taken, described, warnings)


def cases(crowd: Crowd) -> dict[str, Case]:
    """What is asked, each time by and about others."""

    def person(number: int) -> int:
        return FIRST_ID + number * _STRIDE % crowd.people

    def viewer(number: int) -> dict[str, Any]:
        return {"org": crowd.org, "me": person(number)}

    def seen(number: int) -> dict[str, Any]:
        return viewer(number) | {"unmasked": True, "staff": False}

    page = {"before": HIGHEST, "rows": 21, "offset": 0}

    def find(text: Callable[[str, str], str]) -> Case:
        def asked(number: int) -> dict[str, Any]:
            first, last = crowd.names[(number + 1) * _STRIDE % crowd.people]
            return seen(number) | page | sought(crowd.org, text(first, last))._asdict()

        return directory.FIND, asked

    return {
        "people": (directory.PEOPLE, lambda number: seen(number) | page),
        "people?q=<first and last name>": find(lambda first, last: f"{first} {last}"),
        "people?q=<last name>": find(lambda _, last: last),
        "people?q=<its first four letters>": find(lambda _, last: last[:4]),
        "people?q=<first name>": find(lambda first, _: first),
        "people/:email": (
            directory.PROFILE,
            lambda number: seen(number) | {"email": f"p{number * 31}@bench.test", "person": None},
        ),
        "people/suggestions": (SUGGESTIONS, lambda number: seen(number) | {"rows": 20}),
        "followers": (follows.FOLLOWERS, lambda number: viewer(number) | page),
        "following": (follows.FOLLOWING, lambda number: viewer(number) | page | {"type": None}),
        "connections/mutual/:email": (
            connections.MUTUAL,
            lambda number: viewer(number) | page | {"email": None, "person": person(number + 1)},
        ),
    }


async def _ask(store: Postgres, statement: Statement[Any], values: Callable[[int], dict[str, Any]]) -> list[float]:
    """Milliseconds of each call, the rows made into records included."""
    taken = []
    for number in range(-WARM, ASKED):
        bound = values(number % ASKED)
        began = time.perf_counter()
        await store.all(statement, **bound)
        taken.append((time.perf_counter() - began) * 1_000)
    return sorted(taken[WARM:])


def _report(taken: dict[str, list[list[float]]], described: dict[str, Any], warnings: list[str]) -> Report:
    rows = []
    for name, (few, many) in taken.items():
        figures = [f"{value:.2f}" for value in (median(few), median(many), many[len(many) * 95 // 100])]
        kept = "kept" if median(many) <= BUDGET_MS else "MISSED"
        flat = ratio(median(many), median(few))
        rows.append([name, *figures, flat, kept])
    columns = ["list", *(f"p50 at {edges // 1_000} k edges" for edges in EDGES), "p95", "growth", f"≤ {BUDGET_MS:g} ms"]
    return Report(
        "people",
        f"People and their ties: {PEOPLE:,} people",
        [Table("Milliseconds of one statement, its rows made into records", columns, rows)],
        [
            *warnings[:1],
            f"Edges: follows, and as many accepted connections, between random people. {ASKED} calls each, one after "
            f"the other on one connection, each by somebody else; growth over {FLAT} is too much for what reads edges.",
            "Names: half of the first names come from a list of forty, so that one of them finds thousands.",
        ],
        described,
        {"milliseconds": taken},
    )
