"""The version before and this one at work on one database, while the one is replaced by the other.

What holds: the version before goes on serving on the migrated schema, and both deliver each other's messages.
What does not hold in this one upgrade: a relay of the version before deletes facts of kinds that it does not know. So
nothing here makes a fact of a new kind, and the changelog has old nodes stopped first.
"""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from plaza.domains.organisations.queries import KeyRow
from plaza.kernel.context import Organisation, OrgSettings
from plaza.store import relay
from plaza.store.migrate import pending
from tests.faults.checker import Verdict
from tests.faults.length import length
from tests.faults.load import Load
from tests.faults.people import Community
from tests.faults.records import Recorder
from tests.faults.servers import Served, serving
from tests.upgrades import version_before

CLIENTS = 10
"""Senders and readers of a load; each begins at the port of its own number."""
EVERY_SECONDS = 0.15
LEADER = """
    select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = $1 and granted
        and database = (select oid from pg_database where datname = current_database())
"""


class Nodes(NamedTuple):
    """A node of each version, on one database."""

    old: Served
    new: Served
    database_url: str


async def community(database_url: str, slug: str) -> Community:
    """An organisation as it is stored, read without the statements of either version."""
    connection = await asyncpg.connect(database_url)
    row = await connection.fetchrow(
        "select id, kid, secret from org join org_key on org_key.org = org.id where slug = $1", slug
    )
    await connection.close()
    key = KeyRow(row["kid"], "HS256", row["secret"], None, signer="host", roles=[], claims=False)
    return Community(Organisation(row["id"], slug, slug, OrgSettings()), key)


@pytest.mark.parametrize("round_", range(length(3, 30)))
async def test_a_node_of_each_version_serve_one_community_until_the_old_one_is_stopped(
    tmp_path: Path, fresh_database_url: str, dice: random.Random, recorder: Recorder, round_: int
) -> None:
    """Under load the new node migrates, both serve, the lead changes hands, the old one is stopped; all lists empty.

    The people of `north` are at the old node when that begins, those of `south` are at both once the new one is there.
    """
    tree = version_before.extract(tmp_path / "before")
    await version_before.commands(tree, fresh_database_url, ["org", "create", "north"], ["org", "create", "south"])
    old = Served(tmp_path / "old", database_url=fresh_database_url, tree=tree)
    nodes = Nodes(old, Served(tmp_path / "new", database_url=fresh_database_url), fresh_database_url)
    async with serving(nodes.old):
        north, south = [await community(fresh_database_url, slug) for slug in ("north", "south")]
        at_old = [nodes.old.port] * CLIENTS + [nodes.new.port]
        staying = Load(north, at_old, recorder, dice, EVERY_SECONDS)
        beside = Recorder(tmp_path / "beside.jsonl")
        mixed = Load(south, [nodes.old.port, nodes.new.port], beside, dice, EVERY_SECONDS)
        verdicts: list[Verdict] = []

        async def upgrade() -> None:
            await nodes.new.start()
            verdicts.append(
                await mixed.through(lambda: replace(nodes, dice, [staying, mixed]), lambda: fresh_database_url)
            )

        try:
            verdicts.append(await staying.through(upgrade, lambda: fresh_database_url))
            check(nodes, [staying, mixed], verdicts)
        finally:
            beside.close()
            await nodes.new.stop()


async def replace(nodes: Nodes, dice: random.Random, loads: list[Load]) -> None:
    """Both serve; then the relay's leader loses its place to either; then the old node is stopped."""
    applied, known = await pending(nodes.database_url)
    assert applied == known, "the new node has migrated under the old one"
    await asyncio.sleep(dice.uniform(0.7, 1.5))
    connection = await asyncpg.connect(nodes.database_url)
    await connection.execute(LEADER, relay.LOCK)
    await connection.close()
    await asyncio.sleep(dice.uniform(1.2, 2))
    nodes.old.tell(signal.SIGTERM)
    assert await nodes.old.ended(30) == 0
    for load in loads:
        load.ports = [nodes.new.port]
    await asyncio.sleep(0.5)


def check(nodes: Nodes, loads: list[Load], verdicts: list[Verdict]) -> None:
    """Nothing lost, nothing twice, every order kept, and nothing broke in either."""
    for verdict in verdicts:
        print(verdict)
        assert verdict.acked > 0
        assert not verdict.violations, verdict
    for load in loads:
        assert sum(reader.resets for reader in load.readers) == 0
        assert all(reader.live_at for reader in load.readers), "each reader heard something as it happened"
    assert nodes.old.broken() == []
    assert nodes.new.broken() == []
