"""Limits that belong to the harm: first messages to people who never answered, follows and requests for connections.

They are counted where the thing is done, whichever way it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from plaza.domains.messages.first_messages import FIRST_MESSAGES
from plaza.kernel.limits import APPROACHES, EVENTS, STRANGERS, WRITES, takes
from tests.server import SETTINGS, Running
from tests.sockets.twins import through, twins
from tests.world import Person, Socket, World

LIMITED = msgspec.structs.replace(SETTINGS, rate_limits="on", workers=2)
CLOSED = {"communityProfile": {"connectionPreferences": {"allowMessagesFromNonConnections": False}}}
TOO_MANY = (429, "quota.first_messages")


@pytest.fixture
async def limited(limited_server: Running, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    chosen = request.getfixturevalue("prefix") if "prefix" in request.fixturenames else "client/community"
    async with World(limited_server, chosen) as world:
        yield world


def rest(person: Person) -> None:
    """Fills the ordinary buckets of a person and of this machine, as a pause would."""
    plaza, org = person.world.server.plaza, person.tenant.org.id
    full = takes((WRITES, EVENTS, STRANGERS), org=org, person=int(person.id), address="127.0.0.1", amount=1_000)
    person.world.server.loop.call_soon_threadsafe(plaza.limits.give_back, *full)


def strangers(count: int, *, name: str = "stranger") -> list[str]:
    return [f"{name}{number}@mail.test" for number in range(count)]


async def write(person: Person, to: str, **more: Any) -> Any:
    return await person.ask("POST", "messages", json={"to": to, "content": "Hello", **more})


async def emit(socket: Socket, to: str, **more: Any) -> Any:
    return await socket.ask("sendMessage", {"to": to, "content": "Hello", **more})


async def test_first_messages_are_thirty_an_hour_on_rest_and_sockets_together(limited: World, prefix: str) -> None:
    alice, bob, known = await limited.north.people("alice", "bob", "known")
    elsewhere, _ = await limited.south.people("alice", "bob")
    socket = await alice.socket()
    await known.send(alice)
    addresses = strangers(FIRST_MESSAGES.amount)
    for address in addresses[::2]:
        assert (await write(alice, address, clientId=f"to {address}")).status_code == 201
    for address in addresses[1::2]:
        assert (await emit(socket, address))["success"] is True
    assert await alice.refused("POST", "messages", {"to": bob.email, "content": "Hello"}) == TOO_MANY
    over = await write(alice, "new@mail.test")
    assert over.status_code == 429
    assert 3_500 < int(over.headers["retry-after"]) <= 3_600
    assert (await emit(socket, bob.email))["code"] == "quota.first_messages"
    # What is no first message to a stranger goes on.
    rest(alice)
    assert (await write(alice, known.email)).status_code == 201
    assert (await write(alice, addresses[0])).status_code == 201
    assert (await write(alice, addresses[0], clientId=f"to {addresses[0]}")).status_code == 201
    assert (await emit(socket, addresses[1]))["success"] is True
    assert (await elsewhere.send(bob.email))["to"] == bob.email


async def test_an_answer_makes_room_for_another_first_message(limited: World) -> None:
    alice, bob = await limited.north.people("alice", "bob")
    await alice.send(bob)
    for address in strangers(FIRST_MESSAGES.amount - 1):
        await alice.send(address)
    assert await alice.refused("POST", "messages", {"to": "new@mail.test", "content": "Hello"}) == TOO_MANY
    await bob.send(alice)
    await alice.send("new@mail.test")
    assert await alice.refused("POST", "messages", {"to": "other@mail.test", "content": "Hello"}) == TOO_MANY


async def test_connections_are_no_strangers(limited: World) -> None:
    alice, bob, carol = await limited.north.people("alice", "bob", "carol")
    for friend in (bob, carol):
        asked = await alice.post("connections/request", {"targetId": friend.email}, status=201)
        await friend.put(f"connections/{asked['id']}/respond", {"action": "accept"})
    await alice.send(bob)
    for address in strangers(FIRST_MESSAGES.amount):
        await alice.send(address)
    rest(alice)
    assert await alice.refused("POST", "messages", {"to": "new@mail.test", "content": "Hello"}) == TOO_MANY
    await alice.send(carol)


async def test_what_was_refused_was_no_first_message(limited: World) -> None:
    alice, bob, carol = await limited.north.people("alice", "bob", "carol")
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    await carol.put("people/me", CLOSED)
    for _ in range(6):
        assert (await write(alice, bob.email)).status_code == 403
        assert (await write(alice, carol.email)).status_code == 403
        assert (await write(alice, alice.email)).status_code == 400
        assert (await write(alice, "new@mail.test", replyTo="1" * 18)).status_code == 404
    rest(alice)
    for address in strangers(FIRST_MESSAGES.amount):
        await alice.send(address)
    assert await alice.refused("POST", "messages", {"to": "other@mail.test", "content": "Hello"}) == TOO_MANY


async def test_a_first_message_too_many_makes_nobody(limited: World) -> None:
    (alice,) = await limited.north.people("alice")
    for address in strangers(FIRST_MESSAGES.amount):
        await alice.send(address)
    people = "select count(*) from person where org = $1"
    ((before,),) = await limited.rows(people, alice.tenant.org.id)
    rest(alice)
    for number, headers in enumerate(({}, {"idempotency-key": "again"}, {"idempotency-key": "again"})):
        body = {"to": f"nobody{number}@mail.test", "content": "Hello"}
        answer = await alice.ask("POST", "messages", json=body, headers=headers)
        assert answer.json()["reason"] == "quota.first_messages"
    assert await limited.rows(people, alice.tenant.org.id) == [(before,)]


async def test_of_many_first_messages_at_once_no_more_pass(limited: World) -> None:
    (alice,) = await limited.north.people("alice")
    socket = await alice.socket()
    keyed = {"headers": {"idempotency-key": "one"}}
    answers = await asyncio.gather(
        *(write(alice, address) for address in strangers(FIRST_MESSAGES.amount + 5)),
        alice.ask("POST", "messages", json={"to": "keyed@mail.test", "content": "Hello"}, **keyed),
    )
    statuses = [answer.status_code for answer in answers]
    assert sorted(set(statuses)) == [201, 429]
    assert statuses.count(201) == FIRST_MESSAGES.amount
    assert (await emit(socket, "more@mail.test"))["code"] == "quota.first_messages"
    assert await limited.rows("select count(*) from thread where org = $1", alice.tenant.org.id) == [
        (FIRST_MESSAGES.amount,)
    ]


async def test_several_messages_to_one_stranger_at_once_are_one_first_message(limited: World) -> None:
    (alice,) = await limited.north.people("alice")
    for address in strangers(FIRST_MESSAGES.amount - 1):
        await alice.send(address)
    rest(alice)
    answers = await asyncio.gather(*(write(alice, "last@mail.test", clientId=f"{number % 4}") for number in range(8)))
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["id"] for answer in answers}) == 4


async def test_another_process_and_one_that_begins_anew_count_the_same_first_messages(own_database_url: str) -> None:
    async with twins(own_database_url, LIMITED) as (here, there):
        (alice,) = await here.north.people("alice")
        for address in strangers(FIRST_MESSAGES.amount):
            await alice.send(address)
        twin = through(there, alice)
        assert await twin.refused("POST", "messages", {"to": "new@mail.test", "content": "Hello"}) == TOO_MANY


async def test_an_hour_later_there_is_room_again(limited: World) -> None:
    (alice,) = await limited.north.people("alice")
    for address in strangers(FIRST_MESSAGES.amount):
        await alice.send(address)
    async with limited.store.acquire() as db:
        await db.connection.execute(
            "update thread set created_at = created_at - interval '59 minutes' where org = $1", alice.tenant.org.id
        )
        over = await write(alice, "new@mail.test")
        assert over.status_code == 429
        assert 0 < int(over.headers["retry-after"]) <= 60
        await db.connection.execute(
            "update thread set created_at = created_at - interval '1 minute' where org = $1", alice.tenant.org.id
        )
    await alice.send("new@mail.test")


async def test_follows_and_requests_are_sixty_an_hour_together(limited: World, prefix: str) -> None:
    alice, bob = await limited.north.people("alice", "bob")
    elsewhere, other = await limited.south.people("alice", "bob")
    half = APPROACHES.amount // 2
    for address in strangers(half):
        rest(alice)
        await alice.post("follow", {"following": address}, status=201)
    for address in strangers(half):
        rest(alice)
        await alice.post("connections/request", {"targetId": address}, status=201)
    too_many = (429, "quota.approaches")
    rest(alice)
    assert await alice.refused("POST", "follow", {"following": bob.email}) == too_many
    assert await alice.refused("POST", "connections/request", {"targetId": bob.email}) == too_many
    over = await alice.ask("POST", "follow", json={"following": "nobody@mail.test"})
    assert over.status_code == 429
    assert 0 < int(over.headers["retry-after"]) <= 60
    assert await limited.rows("select 1 from person where email = 'nobody@mail.test'") == []
    # What begins nothing goes on.
    await alice.post("follow", {"following": strangers(1)[0], "muted": True}, status=200)
    assert await alice.refused("POST", "connections/request", {"targetId": strangers(1)[0]}) == (
        409,
        "connection.exists",
    )
    asked = await bob.post("connections/request", {"targetId": alice.email}, status=201)
    crossed = await alice.post("connections/request", {"targetId": bob.email}, status=201)
    assert (crossed["id"], crossed["status"]) == (asked["id"], "accepted")
    await alice.delete(f"follow/{strangers(1)[0]}")
    assert await alice.refused("POST", "follow", {"following": strangers(1)[0]}) == too_many
    await elsewhere.post("follow", {"following": other.email}, status=201)


async def test_a_follow_that_is_there_or_refused_or_sent_again_costs_nothing(limited: World) -> None:
    alice, bob, carol = await limited.north.people("alice", "bob", "carol")
    await carol.post("blocks", {"targetId": alice.email}, status=201)
    key = {"headers": {"idempotency-key": "a follow"}}
    for _ in range(8):
        await alice.post("follow", {"following": bob.email}, status=201, **key)
        await alice.ask("POST", "follow", json={"following": bob.email})
        assert (await alice.ask("POST", "follow", json={"following": carol.email})).status_code == 403
        assert (await alice.ask("POST", "connections/request", json={"targetId": alice.email})).status_code == 400
    answers = []
    for address in strangers(APPROACHES.amount):
        rest(alice)
        answers.append((await alice.ask("POST", "follow", json={"following": address})).status_code)
    assert answers == [201] * (APPROACHES.amount - 1) + [429]


async def test_of_many_follows_at_once_no_more_pass(limited: World) -> None:
    (alice,) = await limited.north.people("alice")
    for address in strangers(APPROACHES.amount - 10):
        rest(alice)
        await alice.post("follow", {"following": address}, status=201)
    rest(alice)
    answers = await asyncio.gather(
        *(alice.ask("POST", "follow", json={"following": address}) for address in strangers(20, name="more"))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [429] * 10
