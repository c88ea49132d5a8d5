"""`plaza facts`: what failed in every try is listed with its error, and put back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial

import pytest
from click.testing import CliRunner, Result

from plaza.cli.main import main
from tests.poison import announce, failed, waiting
from tests.server import SETTINGS, Running
from tests.world import World


async def plaza(*words: str, database_url: str) -> Result:
    """Runs the command."""
    environment = {"PLAZA_DATABASE_URL": database_url}
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=environment)


@pytest.fixture
async def world(own_database_url: str) -> AsyncIterator[World]:
    with Running(own_database_url, SETTINGS, retry_seconds=(0.02,) * 4) as server:
        async with World(server, "client/community") as world:
            yield world


async def test_failed_facts_are_listed_and_put_back(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    here = partial(plaza, database_url=world.server.database_url)
    assert json.loads((await here("facts", "failed")).stdout) == []
    lost = {"message": 1, "thread": 1, "sender": int(alice.id)}
    await announce(world.north, "message.sent", lost)
    await announce(world.south, "message.sent", {})
    rows = await failed(world, 2)
    first, second = json.loads((await here("facts", "failed")).stdout)
    assert (first["id"], first["org"], first["kind"]) == (rows[0]["id"], world.north.slug, "message.sent")
    assert (json.loads(first["fact"]), first["tries"]) == (lost, 5)
    assert "recipient" in first["error"]
    assert second["org"] == world.south.slug
    assert "2 facts could not be delivered" in (await here("doctor")).stdout

    mended = lost | {"recipient": int(bob.id)}
    await world.rows("update outbox_failed set fact = $1 where id = $2", mended, first["id"])
    socket = await bob.socket()
    done = await here("facts", "retry", str(first["id"]), "999999")
    assert (done.exit_code, done.stdout) == (1, "1 put back\n")
    assert "999999" in done.stderr
    await world.server_idle()
    await socket.settles()
    assert [row["id"] for row in await world.rows("select id from outbox_failed")] == [second["id"]]

    assert (await here("facts", "retry", "--all")).stdout == "1 put back\n"
    (again,) = await failed(world)
    assert (again["id"], again["tries"]) == (second["id"], 5)
    assert await waiting(world) == []


@pytest.mark.parametrize("words", [(), ("--all", "1"), ("x",), ("0",), (str(1 << 63),)])
def test_whoever_retries_names_facts_or_all(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["facts", "retry", *words]).exit_code == 2
