"""One fact that fails stops no other: it is tried again, then set aside; a live event that fails is left out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, ClassVar

import asyncpg
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from plaza.domains.messages import MessageSent
from plaza.kernel.outbox import KINDS, Announced, Fact
from plaza.kernel.sql import Database
from plaza.store.log import HEAD
from tests.poison import TOO_LARGE, announce, failed, waiting, wake
from tests.redis_server import RedisServer, redis_server
from tests.server import SETTINGS, Running
from tests.sockets.twins import through, twins
from tests.world import World

__all__ = ["redis_server"]
PAUSES = (0.02, 0.02, 0.02, 0.02)
LONG = (60.0,) * 4


def numbers(world: World) -> dict[tuple[str, str | None], float]:
    """What the server counted until now, by metric and label; its page may be a second old."""
    text = world.server.plaza.meter.exposition().decode()
    return {
        (sample.name, next(iter(sample.labels.values()), None)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def quick(module_database_url: str) -> Iterator[Running]:
    """A server that tries again at once."""
    with Running(module_database_url, SETTINGS, retry_seconds=PAUSES) as server:
        yield server


@pytest.fixture
async def poisoned(quick: Running) -> AsyncIterator[World]:
    """A world whose failing facts are tried again at once."""
    async with World(quick, "client/community") as world:
        await world.rows("delete from outbox_failed")
        yield world


@pytest.fixture
async def patient(own_database_url: str) -> AsyncIterator[World]:
    """A world whose failing facts wait for a minute."""
    with Running(own_database_url, SETTINGS, retry_seconds=LONG) as server:
        async with World(server, "client/community") as world:
            yield world


def bodies(a: int, b: int) -> dict[str, tuple[str, Any]]:
    """Facts about two people that fail, by where they do."""
    return {
        "a missing field": ("message.sent", {"message": 1}),
        "a wrong type": ("message.sent", {"message": "x", "thread": 1, "sender": a, "recipient": b}),
        "no object": ("message.sent", [1]),
        "a listener": ("message.sent", {"message": TOO_LARGE, "thread": 1, "sender": a, "recipient": b}),
        "a listener's row": ("follow.added", {"follow": 1, "follower": a, "followed": TOO_LARGE}),
        "a fact without live events": ("mail.posted", {}),
        "an audience": ("message.deleted", {"message": 1, "thread": 1, "by": a, "people": [TOO_LARGE]}),
        "the log": ("connection.rejected", {"connection": 1, "requester": TOO_LARGE, "target": b}),
    }


async def test_facts_before_and_behind_those_that_fail_go_on(patient: World) -> None:
    alice, bob = await patient.north.people("alice", "bob")
    carol, dave = await patient.south.people("carol", "dave")
    here, there = await bob.socket(), await dave.socket()
    facts = bodies(int(alice.id), int(bob.id))
    for number, (kind, fact) in enumerate(facts.values(), 1):
        await alice.send(bob, "before")
        await announce(patient.north, kind, fact)
        await alice.send(bob, f"behind {number}")
        await carol.send(dave, "elsewhere")
        assert (await here.hears("newMessage", 2 * number))["content"] == f"behind {number}"
        assert (await there.hears("newMessage", number))["content"] == "elsewhere"
    await here.settles()
    assert (await bob.get("notifications"))["total"] == 2 * len(facts)
    rows = await waiting(patient)
    assert [row["kind"] for row in rows] == [kind for kind, _ in facts.values()]
    assert {(row["tries"], row["next_try_at"] is not None) for row in rows} == {(1, True)}
    assert await patient.rows("select from outbox_failed") == []


async def test_a_fact_that_fails_five_times_is_set_aside_with_its_error(poisoned: World) -> None:
    alice, bob = await poisoned.north.people("alice", "bob")
    before = numbers(poisoned)
    await announce(poisoned.north, "message.sent", {"message": 1})
    await announce(poisoned.south, *bodies(int(alice.id), int(bob.id))["a listener"])
    first, second = await failed(poisoned, 2)
    assert (first["org"], first["kind"], first["tries"]) == (poisoned.north.org.id, "message.sent", 5)
    assert "thread" in first["error"]
    assert (second["org"], second["tries"]) == (poisoned.south.org.id, 5)
    assert first["created_at"] < first["failed_at"]
    assert await waiting(poisoned) == []
    after = numbers(poisoned)
    for name, count in (("failed", 10), ("parked", 2)):
        metric = f"plaza_relay_facts_{name}_total", "message.sent"
        assert after[metric] - before.get(metric, 0) == count


async def test_the_audience_of_a_fact_that_was_set_aside_is_sent_a_reset_and_nobody_else(poisoned: World) -> None:
    alice, bob, carol = await poisoned.north.people("alice", "bob", "carol")
    cursor = str((await poisoned.rows("select head from event_log"))[0]["head"])
    sockets = [await person.socket() for person in (alice, bob, carol)]
    await announce(poisoned.north, *bodies(int(alice.id), int(bob.id))["a listener"])
    for socket in sockets[:2]:
        reset = await socket.hears("reset")
        assert reset["code"] == "event_lost"
        assert (await socket.ask("sync", {"since": reset["cursor"]}))["reset"] is False
        assert (await socket.ask("sync", {"since": cursor}))["reset"] is True
    await sockets[2].settles()
    assert sockets[2].all("reset") == []
    assert (await sockets[2].ask("sync", {"since": cursor}))["reset"] is False


async def test_where_the_audience_is_not_known_everybody_of_the_organisation_is_sent_a_reset(poisoned: World) -> None:
    alice, bob = await poisoned.north.people("alice", "bob")
    (elsewhere,) = await poisoned.south.people("bob")
    cursor = str((await poisoned.rows("select head from event_log"))[0]["head"])
    here, there = await alice.socket(), await elsewhere.socket()
    await announce(poisoned.north, "message.sent", {"message": 1})
    reset = await here.hears("reset")
    away = await bob.socket()
    assert (await away.ask("sync", {"since": cursor}))["reset"] is True
    assert (await away.ask("sync", {"since": reset["cursor"]}))["reset"] is False
    await there.settles()
    assert there.all("reset") == []
    assert (await there.ask("sync", {"since": cursor}))["reset"] is False


async def test_a_fact_whose_cause_of_failing_has_gone_is_relayed_late(patient: World) -> None:
    alice, bob = await patient.north.people("alice", "bob")
    socket = await bob.socket()
    broken = True

    async def listener(_db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        if broken and any(item.fact.sender == int(alice.id) for item in announced):
            raise OSError("a disk of somebody else's")
        return ()

    listeners = patient.server.plaza.facts.listeners
    listeners[MessageSent] = [listener, *listeners[MessageSent]]
    await alice.send(bob, "late")
    await bob.send(alice, "in time")
    await socket.hears("messageSent")
    broken = False
    await patient.rows("update outbox set next_try_at = now()")
    await socket.hears("newMessage")
    assert [name for name, _ in socket.heard if name in ("messageSent", "newMessage")] == ["messageSent", "newMessage"]
    assert (await bob.get("notifications"))["total"] == 1
    assert await waiting(patient) == []


async def disk(_db: Any) -> None:
    raise OSError("a disk of the listener's")


async def own_deadline(_db: Any) -> None:
    raise TimeoutError("a deadline of the listener's")


async def swallowed(db: Any) -> None:
    """Goes on in a transaction that PostgreSQL has given up."""
    with contextlib.suppress(asyncpg.PostgresError):
        await db.connection.execute("select 1 / 0")
    await db.one(HEAD)


@pytest.mark.parametrize("fault", [disk, own_deadline, swallowed])
async def test_what_a_listener_does_wrong_is_no_outage(poisoned: World, fault: Callable[[Any], Any]) -> None:
    alice, bob = await poisoned.north.people("alice", "bob")

    async def listener(db: Any, announced: Sequence[Announced]) -> Sequence[Announced]:
        if any(item.fact.sender == int(alice.id) for item in announced):
            await fault(db)
        return ()

    socket = await alice.socket()
    listeners = poisoned.server.plaza.facts.listeners
    before = listeners[MessageSent]
    listeners[MessageSent] = [listener, *before]
    try:
        await alice.send(bob, "fails")
        await bob.send(alice, "does not")
        await socket.hears("newMessage")
        (row,) = await failed(poisoned)
        assert row["tries"] == 5
        assert await waiting(poisoned) == []
    finally:
        listeners[MessageSent] = before


async def test_a_deadlock_is_no_try(patient: World) -> None:
    alice, bob = await patient.north.people("alice", "bob")
    socket = await bob.socket()
    left = 7

    async def listener(db: Any, announced: Sequence[Announced]) -> Sequence[Announced]:
        nonlocal left
        left -= 1
        if left > 0:
            await db.connection.execute("do $$ begin raise exception 'x' using errcode = '40P01'; end $$")
        return ()

    listeners = patient.server.plaza.facts.listeners
    listeners[MessageSent] = [listener, *listeners[MessageSent]]
    await alice.send(bob, "after a while")
    await socket.hears("newMessage")
    assert await patient.rows("select from outbox where tries > 0") == []


async def test_many_facts_that_fail_hold_nobody_up(patient: World) -> None:
    alice, bob = await patient.north.people("alice", "bob")
    socket = await bob.socket()
    await patient.rows(
        """insert into outbox (org, kind, fact, created_at)
        select $1, 'message.sent', '{}', now() from generate_series(1, 700)""",
        patient.south.org.id,
    )
    await alice.send(bob, "behind them all")
    await socket.hears("newMessage")
    assert {row["tries"] for row in await waiting(patient)} == {1}


async def test_an_event_whose_presenter_fails_is_left_out_and_the_others_are_shown(poisoned: World) -> None:
    alice, bob = await poisoned.north.people("alice", "bob")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    before = numbers(poisoned)
    gone = [await alice.send(bob, str(number)) for number in range(2)]
    await poisoned.server_idle()
    fact = {"message": 1, "thread": 1, "by": TOO_LARGE, "people": [int(bob.id)]}
    await poisoned.rows(
        """insert into outbox (org, kind, fact, created_at)
        select $1, kind, fact, now() from unnest($2::text[], $3::jsonb[]) as given (kind, fact)""",
        poisoned.north.org.id,
        ["message.deleted"] * 3,
        [fact | {"message": int(gone[0]["id"]), "by": int(alice.id)}, fact, fact | {"by": int(alice.id)}],
    )
    wake(poisoned)
    await socket.hears("messageDeleted", 2)
    await socket.settles()
    assert [event["messageId"] for event in socket.all("messageDeleted")] == [gone[0]["id"], "1"]
    again = await bob.socket()
    answer = await again.ask("sync", {"since": cursor})
    assert (answer["reset"], answer["hasMore"]) == (False, False)
    assert [event["messageId"] for event in again.all("messageDeleted")] == [gone[0]["id"], "1"]
    assert await poisoned.rows("select from outbox_failed") == []
    metric = "plaza_presenter_failures_total", "messageDeleted"
    assert numbers(poisoned)[metric] - before.get(metric, 0) == 2


@pytest.mark.parametrize("fact", [{}, [], {"message": None}])
async def test_a_row_of_the_log_that_does_not_decode_is_left_out(world: World, fact: object) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await bob.socket()
    cursor = (await socket.hears("authenticate"))["cursor"]
    await alice.send(bob, "before")
    await socket.settles()
    await world.rows(
        """with log as (update event_log set head = head + 2 returning head)
        insert into event (org, audience, position, name, kind, fact, created_at)
        select $1, $2, head - 2 + place, 'newMessage', kind, $3, now()
        from log, unnest(array['message.sent', 'message.of_tomorrow']) with ordinality as given (kind, place)""",
        *(world.north.org.id, int(bob.id), fact),
    )
    await alice.send(bob, "behind")
    await socket.settles()
    again = await bob.socket()
    answer = await again.ask("sync", {"since": cursor})
    assert (answer["success"], answer["reset"]) == (True, False)
    assert [message["content"] for message in again.all("newMessage")] == ["before", "behind"]


async def test_a_fact_of_a_kind_that_this_version_does_not_have_waits_for_a_newer_leader(own_database_url: str) -> None:
    with Running(own_database_url, SETTINGS) as server:
        async with World(server, "client/community") as world:
            alice, bob = await world.north.people("alice", "bob")
            socket = await bob.socket()
            for tenant in (world.north, world.south):
                await announce(tenant, "thing.of_tomorrow", {"people": [int(bob.id)], "more": {}})
            await alice.send(bob)
            await socket.settles()
            assert [row["kind"] for row in await waiting(world)] == ["thing.of_tomorrow"] * 2
            await measured(world)
            assert numbers(world)["plaza_outbox_unknown_rows", None] == 2
            assert numbers(world)["plaza_outbox_rows", None] == 0

    class ThingOfTomorrow(Fact):
        kind: ClassVar[str] = "thing.of_tomorrow"
        people: list[int]

    try:
        with Running(own_database_url, SETTINGS) as newer:
            async with World(newer, "client/community") as world:
                await world.server_idle()
                assert await waiting(world) == []
    finally:
        del KINDS["thing.of_tomorrow"]


async def test_a_fact_that_nobody_listens_to_does_not_stay(world: World) -> None:
    await announce(world.north, "state.reset", {"people": []})
    await world.server_idle()
    kinds = [row["kind"] for row in await waiting(world) if row["org"] == world.north.org.id]
    assert kinds == []


async def test_the_metrics_say_what_waits_and_for_how_long(patient: World) -> None:
    await patient.server_idle()
    await patient.rows(
        """insert into outbox (org, kind, fact, created_at, next_try_at)
        select $1, 'message.sent', '{}', now() - interval '1 hour', now() + interval '1 hour'
        from generate_series(1, 3)""",
        patient.north.org.id,
    )
    await patient.rows(
        """insert into outbox_failed (org, id, kind, fact, created_at, error, tries, failed_at)
        values ($1, 1, 'message.sent', '{}', now(), 'x', 5, now())""",
        patient.south.org.id,
    )
    await measured(patient)
    found = numbers(patient)
    assert found["plaza_outbox_rows", None] == 3
    assert 3_600 <= found["plaza_outbox_oldest_age_seconds", None] < 3_700
    assert found["plaza_outbox_failed_rows", None] == 1


async def measured(world: World) -> None:
    """Has the leader measure the outbox now."""
    plaza = world.server.plaza
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(plaza.upkeep.measure_outbox(), world.server.loop))


async def test_other_processes_are_sent_resets_over_the_bus_and_from_the_log(
    own_database_url: str, redis_server: RedisServer
) -> None:
    """While the bus is away the events are read from the log; those that fail there are left out as well."""
    settings = msgspec.structs.replace(SETTINGS, bus_url=redis_server.url())
    async with twins(own_database_url, settings, retry_seconds=PAUSES) as (here, there):
        alice, bob = await here.north.people("alice", "bob")
        (elsewhere,) = await here.south.people("bob")
        sockets = [await through(there, person).socket() for person in (alice, bob, elsewhere)]
        for turn in (1, 2):
            await announce(here.north, *bodies(int(alice.id), int(alice.id))["a listener"])
            await sockets[0].hears("reset", 2 * turn - 1)
            assert len(sockets[1].all("reset")) == turn - 1
            await announce(here.north, "message.sent", {})
            await sockets[0].hears("reset", 2 * turn)
            await sockets[1].hears("reset", turn)
            fact = {"message": 1, "thread": 1, "by": TOO_LARGE, "people": [int(bob.id)]}
            await announce(here.north, "message.deleted", fact)
            await announce(here.north, "message.deleted", fact | {"by": int(alice.id)})
            await sockets[1].hears("messageDeleted", turn)
            assert sockets[2].all("reset") == []
            redis_server.kill()
