"""A page ends at 1 MiB: no row is skipped, by cursor or by number, and there is always something on it (F8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.world import Person, World

LARGEST_PAGE = 1 << 20


async def conversation(world: World, alice: Person, bob: Person, sizes: list[int], *, noted: bool = True) -> list[str]:
    """A thread with messages of so many bytes, written behind the server's back; their ids, the oldest first."""
    first = await alice.send(bob, "first")
    thread, org = int(first["thread"]), alice.tenant.org.id
    base = int(first["id"])
    await world.rows(
        """insert into message
            (org, id, thread, seq, sender, recipient, content, content_type, attachments, size, created_at)
        select m.org, m.id + n, m.thread, n + 1, m.sender, m.recipient, repeat('x', bytes), 'text', '[]',
            case when $5 then bytes + 4 end, m.created_at
        from message m, unnest($3::integer[]) with ordinality as given (bytes, n)
        where m.org = $1 and m.id = $2 and m.thread = $4 returning id""",
        org,
        base,
        sizes,
        thread,
        noted,
    )
    await world.rows(
        "update thread set last_seq = last_seq + $3, last_message = $4 where org = $1 and id = $2 returning id",
        org,
        thread,
        len(sizes),
        base + len(sizes),
    )
    return [str(base + number) for number in range(len(sizes) + 1)]


async def walked(bob: Person, path: str, size: str = "") -> tuple[list[str], int]:
    """The ids of a history by its cursors, and its pages."""
    found: list[str] = []
    pages, cursor = 0, None
    while True:
        query = "&".join(part for part in (size, cursor and f"cursor={cursor}") if part)
        answer = await bob.ask("GET", f"{path}{'&' if '?' in path else '?'}{query}" if query else path)
        assert answer.status_code == 200, answer.text
        assert len(answer.content) <= LARGEST_PAGE
        page = answer.json()
        assert page["data"]
        found += [message["id"] for message in page["data"]]
        pages, cursor = pages + 1, page["nextCursor"]
        assert page["hasNext"] == (cursor is not None)
        if cursor is None:
            return found, pages
        path = path.split("?", maxsplit=1)[0]


@pytest.mark.parametrize("noted", [True, False], ids=["measured", "of an older version"])
async def test_a_history_of_the_largest_messages_ends_its_pages_at_a_mebibyte(
    world: World, prefix: str, noted: bool
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    ids = await conversation(world, alice, bob, [64_000] * 40, noted=noted)
    path = f"messages/thread/{alice.email}"
    for size in ("", "limit=100", "limit=7"):
        found, pages = await walked(bob, path, size)
        assert found == ids[::-1]
        assert pages == (6 if size == "limit=7" else 3)
    found, pages = await walked(bob, f"{path}?after=0")
    assert (found, pages) == (ids, 3)
    assert (await bob.get(path))["total"] == 41


@pytest.mark.parametrize("limit", ["", "limit=50&", "limit=3&"])
async def test_pages_by_number_skip_nothing_and_end_where_those_of_cursors_do(world: World, limit: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    sizes = [64_000 if number % 3 else 20 for number in range(60)]
    ids = await conversation(world, alice, bob, sizes)
    found: list[str] = []
    for number in range(1, 100):
        answer = await bob.ask("GET", f"messages/thread/{alice.email}?{limit}pageNum={number}")
        assert len(answer.content) <= LARGEST_PAGE + 66_000
        page = answer.json()
        found += [message["id"] for message in page["data"]]
        if not page["hasNext"]:
            break
        assert page["data"]
    assert found == ids[::-1]
    past = await bob.get(f"messages/thread/{alice.email}?{limit}pageNum={number + 1}")
    assert (past["data"], past["hasNext"], past["nextCursor"]) == ([], False, None)


async def test_a_single_message_larger_than_a_page_has_a_page_to_itself(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    ids = await conversation(world, alice, bob, [5, 1_500_000, 5])
    found: list[str] = []
    cursor = ""
    for _ in range(5):
        page = await bob.get(f"messages/thread/{alice.email}{cursor}")
        assert page["data"]
        found += [message["id"] for message in page["data"]]
        if not page["hasNext"]:
            break
        cursor = f"?cursor={page['nextCursor']}"
    assert found == ids[::-1]


async def test_a_history_of_small_messages_is_as_long_as_it_was(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    ids = await conversation(world, alice, bob, [200] * 1_200)
    page = await bob.get(f"messages/thread/{alice.email}")
    assert [message["id"] for message in page["data"]] == ids[::-1][:1_000]
    assert page["hasNext"] is True
    page = await bob.get(f"messages/thread/{alice.email}?limit=100&pageNum=13")
    assert ([message["id"] for message in page["data"]], page["hasNext"]) == ([ids[0]], False)


async def test_a_history_goes_on_to_what_is_newer_by_its_cursor_alone(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    ids = await conversation(world, alice, bob, [5] * 5)
    path = f"messages/thread/{alice.email}"
    page = await bob.get(f"{path}?after=2&limit=2")
    assert [message["id"] for message in page["data"]] == ids[2:4]
    page = await bob.get(f"{path}?limit=2&cursor={page['nextCursor']}")
    assert ([message["id"] for message in page["data"]], page["hasNext"]) == (ids[4:6], False)


async def test_threads_with_large_messages_come_in_pages_of_a_mebibyte(world: World, prefix: str) -> None:
    (bob,) = await world.north.people("bob")
    peers = await world.north.people(*(f"peer{number}" for number in range(24)))
    for peer in peers:
        await peer.send(bob, "x")
    await world.rows(
        "update message set content = repeat('x', 100000), size = 100002 where org = $1 returning id", bob.tenant.org.id
    )
    found: list[str] = []
    for number in range(1, 10):
        answer = await bob.ask("GET", f"messages/threads?limit=100&pageNum={number}")
        assert len(answer.content) <= LARGEST_PAGE + 101_000
        if not answer.json():
            break
        found += [thread["peer"] for thread in answer.json()]
    assert found == [peer.email for peer in reversed(peers)]
    assert number == 4


async def test_a_list_of_large_profiles_ends_at_a_mebibyte_and_its_cursor_goes_on(world: World, prefix: str) -> None:
    (reader,) = await world.north.people("reader")
    members = await world.north.people(*(f"member{number}" for number in range(30)))
    links = {f"network{number}": "https://a.test/" + "é" * 2_000 for number in range(20)}
    await asyncio.gather(
        *(member.put("people/me", {"communityProfile": {"isPublic": True, "socialLinks": links}}) for member in members)
    )
    found: list[str] = []
    pages, cursor = 0, ""
    while True:
        answer = await reader.ask("GET", f"people?limit=100{cursor}")
        assert len(answer.content) <= LARGEST_PAGE
        page: Any = answer.json()
        assert page["data"]
        found, pages = found + [one["email"] for one in page["data"]], pages + 1
        if not page["hasNext"]:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert [email for email in found if email != reader.email] == [member.email for member in reversed(members)]
    assert pages > 2
