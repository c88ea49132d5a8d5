"""Counters equal a recount whatever happens at one moment, and what drifted is repaired (guarantees, S-CNT-1)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner

from plaza.catalogue import RECOUNTS
from plaza.cli.main import main
from plaza.domains.blocks import service as blocks
from plaza.domains.blocks.schemas import NewBlock
from plaza.domains.connections import service as connections
from plaza.domains.connections.schemas import Filter, NewRequest, Response
from plaza.domains.follows import service as follows
from plaza.domains.follows.schemas import NewFollow, Which
from plaza.domains.messages import service as messages
from plaza.domains.messages.schemas import Deletion, History, NewMessage
from plaza.domains.organisations import service as organisations
from plaza.domains.people.service import Arrival, arrive
from plaza.entry.limits import Limits
from plaza.kernel.addresses import PersonRef
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Context, Organisation, Principal
from plaza.kernel.counters import check
from plaza.kernel.errors import Refusal, Unavailable
from plaza.kernel.ids import Ids
from plaza.kernel.paging import Paging
from plaza.store.postgres import Postgres

CLIENTS = 16
STEPS = 4_000
new_id = Ids(system_clock, 7)
Act = Callable[[Context, PersonRef], Awaitable[object]]
UNLIMITED = Limits(time.monotonic, on=False)


def quiet(*_anything: object, **_more: object) -> None:
    """Nobody listens."""


class Town:
    """One organisation of a store without a server, and its people."""

    def __init__(self, store: Postgres, org: Organisation) -> None:
        self.store = store
        self.org = org
        self.people: list[Principal] = []

    async def settle(self, count: int) -> None:
        """So many people more."""
        for number in range(count):
            email = f"p{number}@mail.test"
            come = await arrive(self.store, self.org, Arrival(email, email), None, now=system_clock(), new_id=new_id)
            self.people.append(Principal(come.id, email))

    def acting(self, person: Principal) -> Context:
        """What a use case takes when a person acts."""
        return Context(self.org, person, self.store, system_clock(), new_id, quiet, quiet, UNLIMITED)


@pytest.fixture
async def town(own_database_url: str) -> AsyncIterator[Town]:
    store = Postgres(own_database_url, size=CLIENTS)
    await store.open()
    yield Town(store, await organisations.create(store, "town", None, system_clock()))
    await store.close()


async def follow(me: Context, whom: PersonRef) -> object:
    return await follows.follow(me, NewFollow(following=whom))


async def unfollow(me: Context, whom: PersonRef) -> object:
    return await follows.unfollow(me, whom, Which())


async def request(me: Context, whom: PersonRef) -> object:
    return await connections.request(me, NewRequest(target_id=whom))


async def accept(me: Context, _whom: PersonRef) -> object:
    return await answer(me, "accept")


async def reject(me: Context, _whom: PersonRef) -> object:
    return await answer(me, "reject")


async def answer(me: Context, action: Any) -> object:
    waiting = await connections.pending(me, Paging(limit=1))
    return [await connections.respond(me, item.id, Response(action=action)) for item in waiting.data]


async def accept_all(me: Context, _whom: PersonRef) -> object:
    return await connections.accept_all(me)


async def remove(me: Context, _whom: PersonRef) -> object:
    mine = await connections.connections(me, Filter(limit=1))
    return [await connections.end(me, item.id) for item in mine.data]


async def cancel(me: Context, _whom: PersonRef) -> object:
    return [await connections.end(me, item.id) for item in (await connections.sent(me, Paging(limit=1))).data]


async def block(me: Context, whom: PersonRef) -> object:
    return await blocks.block(me, NewBlock(target_id=whom))


async def unblock(me: Context, whom: PersonRef) -> object:
    return await blocks.unblock(me, whom)


async def write(me: Context, whom: PersonRef) -> object:
    return await messages.send(me, NewMessage(to=whom, content="x"))


async def hide(me: Context, whom: PersonRef) -> object:
    history = await messages.thread(me, whom, History(limit=1))
    return [await messages.delete(me, item.id, Deletion()) for item in history.data]


ACTS: dict[Act, int] = {
    follow: 8,
    unfollow: 6,
    request: 8,
    accept: 4,
    reject: 1,
    accept_all: 1,
    remove: 2,
    cancel: 2,
    block: 1,
    unblock: 3,
    write: 2,
    hide: 1,
}


async def test_sixteen_clients_toggle_and_every_counter_equals_a_recount(town: Town) -> None:
    await town.settle(8)
    chance = random.Random(4)
    forget = """update connection set responded_at = responded_at - interval '8 days'
        where id in (select id from connection where status = 'rejected' for update skip locked)"""

    async def client() -> None:
        for _ in range(STEPS // CLIENTS):
            me, whom = chance.sample(town.people, 2)
            act = chance.choices(list(ACTS), list(ACTS.values()))[0]
            try:
                await act(town.acting(me), PersonRef(str(whom.id)))
            except Unavailable as outage:
                raise AssertionError(f"{act.__name__}: {outage.__cause__!r}") from outage
            except Refusal:
                async with town.store.acquire() as db:
                    await db.connection.execute(forget)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert await check(town.store, RECOUNTS, repair=False) == []
    assert await check(town.store, RECOUNTS, repair=True) == []
    async with town.store.acquire() as db:
        sums = await db.connection.fetchrow(
            "select sum(followers), sum(following), sum(connections), min(followers), min(connections) from tie_count"
        )
        edges = await db.connection.fetchval("select count(*) from follow")
        ties = await db.connection.fetchval("select count(*) from connection where status = 'accepted'")
    assert tuple(sums)[:3] == (edges, edges, 2 * ties)
    assert edges
    assert ties


async def test_a_thousand_crossings_are_a_thousand_connections(town: Town) -> None:
    await town.settle(100)
    pairs = [(one, other) for place, one in enumerate(town.people) for other in town.people[place + 1 :]][:1_000]
    gate = asyncio.Semaphore(CLIENTS // 2)

    async def cross(one: Principal, other: Principal) -> None:
        async with gate:
            met = await asyncio.gather(
                request(town.acting(one), PersonRef(str(other.id))), request(town.acting(other), PersonRef(str(one.id)))
            )
        assert sorted(item.status for item in met) == ["accepted", "pending"]  # type: ignore[attr-defined]

    await asyncio.gather(*(cross(one, other) for one, other in pairs))
    async with town.store.acquire() as db:
        rows = await db.connection.fetch("select status, count(*) from connection group by status")
        facts = await db.connection.fetch(
            "select kind, count(*) from outbox where kind like 'connection.%' group by kind order by kind"
        )
    assert [tuple(row) for row in rows] == [("accepted", 1_000)]
    assert [tuple(row) for row in facts] == [("connection.accepted", 1_000), ("connection.requested", 1_000)]
    assert await check(town.store, RECOUNTS, repair=False) == []


async def test_what_has_drifted_is_said_and_repaired(town: Town, own_database_url: str) -> None:
    await town.settle(2)
    alice, bob = town.people
    await follow(town.acting(alice), PersonRef(str(bob.id)))
    await request(town.acting(alice), PersonRef(str(bob.id)))
    await accept(town.acting(bob), PersonRef(str(alice.id)))
    await write(town.acting(alice), PersonRef(str(bob.id)))
    await hide(town.acting(bob), PersonRef(str(alice.id)))
    assert await run(own_database_url, "--dry-run") == ["0 counters differ"]
    async with town.store.acquire() as db:
        await db.connection.execute("delete from tie_count where person = $1", alice.id)
        await db.connection.execute("update tie_count set followers = 5, connections = 0 where person = $1", bob.id)
        await db.connection.execute("update thread set low_hidden = 3, high_hidden = 0")
    said = await run(own_database_url, "--dry-run")
    assert said[-1] == "6 counters differ"
    assert sorted(line.split()[1:] for line in said[:-1])[0][2:] == ["0", "->", "1"]
    assert await run(own_database_url, "--dry-run") == said
    assert await run(own_database_url) == [*said[:-1], "6 counters repaired"]
    assert await run(own_database_url, "--dry-run") == ["0 counters differ"]
    assert await run(own_database_url) == ["0 counters repaired"]


async def run(url: str, *flags: str) -> list[str]:
    """What `plaza counts repair` says."""
    command = ["counts", "repair", "--database-url", url, *flags]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()
