"""A database that the version before has filled, through its own API, is upgraded: everything is there and served."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from plaza.store.migrate import migrate
from tests.faults.people import Person
from tests.faults.servers import Served, serving
from tests.faults.wire import Line
from tests.jwks import KeyServer
from tests.upgrades import recipe, version_before
from tests.upgrades.recipe import MEMBER, Answers, Orgs

CHANGED = {
    "].requestId": "each request has its own",
    " emil people/dora@mail.test[": "whoever blocks somebody sees them, marked as blocked",
}
"""Answers that this version changes on purpose: a part of who asked for what, each with the reason."""
BOOKKEEPING = ("migration", "migration_step", "upgrade_finding", "bus_letter", "presence", "node")
"""Tables whose rows are of the running servers, or of the upgrade itself."""


class Filled(NamedTuple):
    """The database, what the version before answered from it, and what it had stored at its end."""

    answers: Answers
    page: Any
    cursor: str
    rows: dict[str, int]


async def cursor(served: Served, person: recipe.Caller) -> str:
    """Where a client that leaves now will go on."""
    line = await Line.open(served.port, Person(person.email, person.org, person.token), lambda _event, _payload: None)
    answer = await line.ask("sync", {})
    await line.close()
    return str(answer["cursor"])


async def missed(served: Served, person: recipe.Caller, since: str) -> tuple[Any, list[str]]:
    """What a client is given that was away since then: the answer, and the texts of the new messages."""
    texts: list[str] = []

    def take(event: str, payload: Any) -> None:
        if event == "newMessage":
            texts.append(payload["content"])

    line = await Line.open(served.port, Person(person.email, person.org, person.token), take)
    answer = await line.ask("sync", {"since": since})
    await line.close()
    return answer, texts


async def rows(database_url: str) -> dict[str, int]:
    """How many rows each table has."""
    connection = await asyncpg.connect(database_url)
    tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public' order by 1")
    counted = {
        name: await connection.fetchval(f"select count(*) from {name}") for (name,) in tables if name not in BOOKKEEPING
    }
    await connection.close()
    return counted


@contextlib.asynccontextmanager
async def relay_held(database_url: str) -> AsyncIterator[None]:
    """Nothing is relayed meanwhile: the log is locked."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("begin; select 1 from event_log for update")
    try:
        yield
    finally:
        await connection.close()


async def filled(database_url: str, folder: Path, keys: KeyServer) -> Filled:
    """Makes it: the server of the version before is killed with facts in its outbox."""
    tree = version_before.extract(folder / "before")
    served = Served(folder / "old", database_url=database_url, tree=tree)
    await version_before.commands(tree, database_url, *recipe.operator(keys))
    async with serving(served), Orgs(database_url, served.url) as orgs:
        await recipe.fill(orgs)
        await version_before.commands(tree, database_url, *recipe.operator_meanwhile())
        await recipe.settled(orgs)
        answers = await recipe.read(orgs)
        ingo, jana = await orgs.caller("north", "ingo"), await orgs.caller("north", "jana")
        page = await ingo.do("GET", "people?limit=2")
        away = await cursor(served, jana)
        await ingo.do("POST", "messages", {"to": jana.email, "content": "While you were away"})
        await recipe.settled(orgs)
        async with relay_held(database_url):
            await ingo.do("POST", "messages", {"to": jana.email, "content": "Left in the outbox"})
            os.kill(served.pid, signal.SIGKILL)
            await served.ended(20)
        await version_before.commands(tree, database_url, *recipe.operator_afterwards())
        assert served.broken() == []
    return Filled(answers, page, away, await rows(database_url))


async def test_what_the_version_before_stored_is_there_and_served_after_the_upgrade(
    tmp_path: Path, fresh_database_url: str
) -> None:
    async with KeyServer() as keys:
        before = await filled(fresh_database_url, tmp_path, keys)
        assert min(before.rows.values()) > 0, f"the recipe fills every table: {before.rows}"
        await migrate(fresh_database_url)
        after = await rows(fresh_database_url)
        assert {name: after.get(name) for name in before.rows} == before.rows
        served = Served(tmp_path / "new", database_url=fresh_database_url)
        async with serving(served), Orgs(fresh_database_url, served.url) as orgs:
            assert await orgs.rows("select what from upgrade_finding") == [], "nothing of the recipe collides"
            await check_rights(orgs)
            await check_answers(orgs, before)
            await check_catch_up(served, orgs, before)
            assert served.broken() == []


async def test_the_version_before_goes_on_with_everything_after_a_migration_beside_it(
    tmp_path: Path, fresh_database_url: str
) -> None:
    """All of the recipe is done to the old server on the new schema; then a new server answers from the same rows."""
    tree = version_before.extract(tmp_path / "before")
    old = Served(tmp_path / "old", database_url=fresh_database_url, tree=tree)
    new = Served(tmp_path / "new", database_url=fresh_database_url)
    async with KeyServer() as keys:
        await version_before.commands(tree, fresh_database_url, *recipe.operator(keys))
        async with serving(old), Orgs(fresh_database_url, old.url) as before:
            await version_before.commands(None, fresh_database_url, ["db", "migrate"])
            await recipe.fill(before)
            await version_before.commands(None, fresh_database_url, *recipe.operator_meanwhile())
            await recipe.settled(before)
            answers = await recipe.read(before)
            async with serving(new), Orgs(fresh_database_url, new.url) as after:
                check_same(answers, await recipe.read(after))
                assert await before.rows("select what from upgrade_finding") == []
                assert (old.broken(), new.broken()) == ([], [])


async def check_rights(orgs: Orgs) -> None:
    """Who had no rights has none, an account has its password, a retry is no second message (`check_answers` sees)."""
    await recipe.settled(orgs)
    await recipe.send_once(await orgs.caller("north", "anna"))
    for name in ("frida", "lena"):
        person = await orgs.caller("north", name)
        assert (await person.ask("GET", f"{MEMBER}/people/me")).json()["reason"] == "person.suspended"
    west = await orgs.caller("west", "anna")
    assert (await west.ask("GET", f"{MEMBER}/people/me")).json()["reason"] == "org.suspended"
    for slug in recipe.ORGS:
        kurt = await recipe.sign_in(orgs, slug)
        assert (await kurt.do("GET", "people/me"))["email"] == "kurt@mail.test"
    mona = await orgs.caller("south", "mona", email="mona.new@mail.test")
    assert (await mona.do("GET", "people/me"))["firstName"] == "Mona"


async def check_catch_up(served: Served, orgs: Orgs, before: Filled) -> None:
    """A cursor of the version before is one of this version; what waited in its outbox has been relayed."""
    answer, texts = await missed(served, await orgs.caller("north", "jana"), before.cursor)
    assert (answer["reset"], texts) == (False, ["While you were away", "Left in the outbox"])


async def check_answers(orgs: Orgs, before: Filled) -> None:
    """Each GET answers as it did, but for what happened since."""
    ingo = await orgs.caller("north", "ingo")
    following = await ingo.do("GET", f"people?limit=2&cursor={before.page['nextCursor']}")
    assert following["data"][0]["email"] not in [row["email"] for row in before.page["data"]]
    check_same(before.answers, await recipe.read(orgs))


def check_same(old: Answers, new: Answers) -> None:
    """The new answers have what the old ones had, but for what was changed on purpose."""
    found = recipe.differences(old, new)
    wrong = [line for line in found if not any(part in line.split(": ")[0] for part in CHANGED)]
    assert wrong == [], "\n".join(wrong[:20])


def test_a_history_without_the_version_before_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_before, "COMMIT", "0" * 40)
    with pytest.raises(AssertionError, match="the history of this clone does not have it"):
        version_before.extract(tmp_path)
