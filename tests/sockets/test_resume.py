"""Coming back after long: many events, events of which nothing is to be seen, and cursors of another history."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from plaza.store import log
from tests.server import SETTINGS, Running
from tests.world import Person, World

MANY = 10_000


async def many_messages(world: World, alice: Person, bob: Person) -> int:
    """As if Alice had written to Bob so often; the place in the log before it."""
    await alice.send(bob, "first")
    await world.server_idle()
    org = alice.tenant.org.id
    since: int = (await world.rows("select head from event_log"))[0]["head"]
    (stored,) = await world.rows("select id, thread from message where content = 'first'")
    message, thread = stored["id"], stored["thread"]
    await world.rows(
        f"""insert into message (org, id, thread, seq, sender, recipient, content, content_type, attachments,
            created_at)
        select $1, $2::bigint + n, $3, 1 + n, $4, $5, 'message ' || n, 'text', '[]', now()
        from generate_series(1, {MANY}) n""",
        *(org, message, thread, int(alice.id), int(bob.id)),
    )
    await world.rows(
        f"""insert into event (org, audience, position, name, kind, fact, created_at)
        select $1, $2::bigint, $3::bigint + n, 'newMessage', 'message.sent',
            jsonb_build_object('message', $4::bigint + n, 'thread', $5::bigint, 'sender', $6::bigint, 'recipient', $2),
            now()
        from generate_series(1, {MANY}) n""",
        *(org, int(bob.id), since, message, thread, int(alice.id)),
    )
    await world.rows(f"update event_log set head = head + {MANY}")
    return since


async def pages(world: World, bob: Person, since: int) -> tuple[int, list[float]]:
    """How many events there were, and how long the server took for each page."""
    seconds: list[float] = []
    cursor, count, more = since, 0, True
    while more:
        begun = time.perf_counter()
        missed = await log.missed(
            world.store, world.server.plaza.facts, org=bob.tenant.org.id, person=int(bob.id), since=cursor
        )
        seconds.append(time.perf_counter() - begun)
        assert missed is not None
        assert missed.cursor > cursor
        cursor, count, more = missed.cursor, count + len(missed.events), missed.more
    return count, seconds


async def test_ten_thousand_missed_events_are_replayed_at_five_thousand_a_second(own_database_url: str) -> None:
    """F-RES-1, small."""
    with Running(own_database_url, SETTINGS) as server:
        async with World(server, "client/community") as world:
            alice, bob = await world.north.people("alice", "bob")
            since = await many_messages(world, alice, bob)
            best = max([await rate(world, bob, since) for _ in range(3)])
            socket = await bob.socket()
            begun = time.perf_counter()
            answer = {"hasMore": True, "cursor": str(since)}
            while answer["hasMore"]:
                answer = await socket.ask("sync", {"since": answer["cursor"]})
                assert (answer["success"], answer["reset"]) == (True, False)
            print(f"{best:,.0f} events/s; with a client {MANY / (time.perf_counter() - begun):,.0f}")
            messages = socket.all("newMessage")
            assert [message["seq"] for message in messages] == list(range(2, MANY + 2))
            assert best >= 5_000


async def rate(world: World, bob: Person, since: int) -> float:
    """Events a second."""
    count, seconds = await pages(world, bob, since)
    assert count == MANY
    return count / sum(seconds)


async def test_pages_full_of_what_may_not_be_seen_lead_to_the_end(own_database_url: str) -> None:
    """F-RES-5."""
    with Running(own_database_url, SETTINGS) as server:
        async with World(server, "client/community") as world:
            alice, bob = await world.north.people("alice", "bob")
            since = await many_messages(world, alice, bob)
            await bob.post("blocks", {"targetId": alice.email}, status=201)
            (carol,) = await world.north.people("carol")
            await carol.send(bob, "at the end")
            await world.server_idle()
            count, seconds = await pages(world, bob, since)
            print(f"{len(seconds)} pages, the slowest in {max(seconds) * 1000:.0f} ms")
            assert count == 2  # the message, and its notification
            assert len(seconds) >= MANY // log.PAGE
            assert median(seconds) <= 0.2  # the slowest says more about the machine
            socket = await bob.socket()
            answer = {"hasMore": True, "cursor": str(since)}
            while answer["hasMore"]:
                answer = await socket.ask("sync", {"since": answer["cursor"]})
                assert answer["reset"] is False
            assert [message["content"] for message in socket.all("newMessage")] == ["at the end"]


async def test_a_cursor_from_before_an_older_backup_was_restored_is_answered_with_reset(own_database_url: str) -> None:
    """F-RES-3: what the client has seen behind the backup is not so any more."""
    with Running(own_database_url, SETTINGS) as server:
        async with World(server, "client/community") as world:
            alice, bob = await world.north.people("alice", "bob")
            socket = await bob.socket()
            await alice.send(bob, "in the backup")
            await socket.hears("newMessage")
            await socket.settles()
            kept = str(max(int(payload["cursor"]) for _, payload in socket.heard if "cursor" in payload))
            (backup,) = await world.rows("select head from event_log")
            await alice.send(bob, "behind the backup")
            lost = (await socket.hears("newMessage", 2))["cursor"]
            north = world.north
    store = World(server, "client/community")
    async with store:
        await store.rows("update event_log set head = $1", backup["head"])
        await store.rows("delete from event where position > $1", backup["head"])
    with Running(own_database_url, SETTINGS) as server:
        async with World(server, "client/community") as world:
            world.north = north
            bob.world = alice.world = north.world = world
            again = await bob.socket()
            await alice.send(bob, "a new history")
            await again.hears("newMessage")
            assert (await again.ask("sync", {"since": lost}))["reset"] is True
            answer = await again.ask("sync", {"since": kept})
            assert (answer["reset"], answer["replayed"]) == (False, 2)


@pytest.mark.parametrize("whose", ["bob", "elsewhere"])
async def test_somebody_elses_cursor_shows_nothing_of_theirs(world: World, whose: str) -> None:
    """F-RES-3: a cursor is a place, not a key."""
    alice, bob = await world.north.people("alice", "bob")
    (elsewhere,) = await world.south.people("bob")
    (carol,) = await world.north.people("carol")
    socket = await carol.socket()
    cursor: Any = (await socket.hears("authenticate"))["cursor"]
    await alice.send(bob, "for bob")
    await world.server_idle()
    reader = await (elsewhere if whose == "elsewhere" else carol).socket()
    answer = await reader.ask("sync", {"since": cursor})
    assert (answer["reset"], answer["replayed"]) == (False, 0)
