"""Retries when the world has moved on: no second effect, and the thing as the caller may see it (decision 29)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from plaza.catalogue import TABLES
from plaza.kernel.routes import Route
from plaza.kernel.wire import Id, Name, Ok, Record
from tests.api.test_directory import leave_directory
from tests.world import Person, World

KEY = {"idempotency-key": "k-1"}
GONE = (404, "message.not_found")
Try = Callable[[], Awaitable[Any]]


async def tries(alice: Person, bob: Person, how: str) -> Try:
    """Sends one message to Bob; again and again, it is the same request. A refusal is its (status, reason)."""
    body: dict[str, Any] = {"to": bob.email, "content": "a secret"}
    if how == "socket":
        socket = await alice.socket()
        payload = body | {"clientId": "c-1"}
        missing = {"message.not_found": 404}

        async def emit() -> Any:
            answer = await socket.ask("sendMessage", payload)
            return answer["message"] if answer["success"] else (missing[answer["code"]], answer["code"])

        return emit
    body |= {"clientId": "c-1"} if how == "clientId" else {}
    headers = KEY if how == "key" else {}

    async def post() -> Any:
        answer = await alice.ask("POST", "messages", json=body, headers=headers)
        return answer.json() if answer.status_code == 201 else (answer.status_code, answer.json()["reason"])

    return post


@pytest.fixture(params=["key", "clientId", "socket"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_retry_of_a_message_shows_what_the_history_shows(world: World, prefix: str, how: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await world.south.people("alice", "bob")
    again = await tries(alice, bob, how)
    first = await again()
    assert await again() == first
    await alice.delete(f"messages/{first['id']}?scope=everyone")
    retried = await again()
    assert (retried["id"], retried["status"], retried["content"]) == (first["id"], "deleted", "")
    (listed,) = (await alice.get(f"messages/thread/{bob.email}"))["data"]
    assert retried == listed
    await alice.delete(f"messages/{first['id']}")
    assert await again() == GONE
    assert (await bob.get(f"messages/thread/{alice.email}"))["total"] == 1, "one effect for good"


async def test_a_retry_of_a_message_is_missing_while_the_pair_is_blocked(world: World, prefix: str, how: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    again = await tries(alice, bob, how)
    first = await again()
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    assert await again() == GONE
    await bob.delete(f"blocks/{alice.email}")
    assert (await again())["id"] == first["id"]
    await bob.delete(f"messages/{first['id']}")
    assert (await again())["id"] == first["id"], "what the other side hides for themselves changes nothing here"


async def test_a_client_id_with_other_words_is_refused_whatever_became_of_the_message(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    first = await alice.send(bob, "one", clientId="c")
    await alice.delete(f"messages/{first['id']}")
    other = {"to": bob.email, "content": "another", "clientId": "c"}
    assert await alice.refused("POST", "messages", other) == (422, "idempotency.mismatch")


async def test_a_retried_request_shows_no_card_that_is_hidden_by_then(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await bob.put("people/me", {"firstName": "Robert", "company": "Secret Works"})
    body = {"targetId": bob.email, "message": "Hello"}
    first = await alice.post("connections/request", body, status=201, headers=KEY)
    assert first["peerInfo"]["firstName"] == "Robert"
    await leave_directory(bob)
    (sent,) = (await alice.get("connections/sent"))["data"]
    assert await alice.post("connections/request", body, status=201, headers=KEY) == sent
    assert "Robert" not in str(sent)
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    missing = (404, "connection.not_found")
    assert await alice.refused("POST", "connections/request", body, headers=KEY) == missing
    await bob.delete(f"blocks/{alice.email}")
    await alice.delete(f"connections/{first['id']}")
    assert await alice.refused("POST", "connections/request", body, headers=KEY) == missing
    assert (await bob.get("connections/pending"))["total"] == 0


async def test_a_retried_answer_to_a_request_shows_the_connection_as_it_is(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    asked = await alice.post("connections/request", {"targetId": bob.email}, status=201)
    path, body = f"connections/{asked['id']}/respond", {"action": "accept"}
    accepted = await bob.put(path, body, headers=KEY)
    assert await bob.put(path, body, headers=KEY) == accepted
    await alice.delete(f"connections/{asked['id']}")
    assert await bob.refused("PUT", path, body, headers=KEY) == (404, "connection.not_found")


async def test_a_retried_follow_does_not_follow_again(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    body = {"following": bob.email}
    first = await alice.post("follow", body, status=201, headers=KEY)
    changed = {"idempotency-key": "k-2"}
    muted = await alice.put(f"follow/{bob.email}", {"muted": True}, headers=changed)
    assert await alice.post("follow", body, status=201, headers=KEY) == first | {"muted": True} == muted
    await bob.post("blocks", {"targetId": alice.email}, status=201)
    missing = (404, "follow.not_found")
    assert await alice.refused("POST", "follow", body, headers=KEY) == missing
    await bob.delete(f"blocks/{alice.email}")
    await alice.delete(f"follow/{bob.email}")
    assert await alice.refused("POST", "follow", body, headers=KEY) == missing
    assert await alice.refused("PUT", f"follow/{bob.email}", {"muted": True}, headers=changed) == missing
    assert (await bob.get("followers"))["total"] == 0


async def test_a_retried_block_does_not_block_again(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    body = {"targetId": bob.email}
    first = await alice.post("blocks", body, status=201, headers=KEY)
    assert await alice.post("blocks", body, status=201, headers=KEY) == first
    await alice.delete(f"blocks/{bob.email}")
    assert await alice.refused("POST", "blocks", body, headers=KEY) == (404, "block.not_found")
    assert (await alice.get("blocks"))["total"] == 0


@pytest.mark.parametrize("path", ["people/me", "/client-data/profile"])
async def test_a_retried_change_of_a_profile_shows_the_profile_as_it_is(world: World, path: str) -> None:
    (alice,) = await world.north.people("alice")
    await alice.put(path, {"company": "First"}, headers=KEY)
    newest = await alice.put(path, {"company": "Second"})
    assert await alice.put(path, {"company": "First"}, headers=KEY) == newest
    assert (await alice.get(path))["company"] == "Second"


async def test_a_retried_award_that_was_taken_back_is_missing_and_not_given_again(world: World) -> None:
    (bob,) = await world.north.people("bob")
    staff = world.north.person("sam", role="staff")
    made = {"name": "host", "title": "Host"}
    badge = await staff.post("/community/badges", made, status=201, headers=KEY)
    assert await staff.post("/community/badges", made, status=201, headers=KEY) == badge
    path, key = f"/community/badges/{badge['id']}/award", {"idempotency-key": "k-2"}
    given = await staff.post(path, {"email": bob.email}, status=201, headers=key)
    assert await staff.post(path, {"email": bob.email}, status=201, headers=key) == given
    await staff.delete(f"{path}/{bob.email}")
    assert await staff.refused("POST", path, {"email": bob.email}, headers=key) == (404, "badge.not_found")
    assert (await bob.get("badges/mine"))["total"] == 0


async def test_what_a_key_keeps_holds_no_word_of_anybody(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    message = await alice.post("messages", {"to": bob.email, "content": "a secret"}, status=201, headers=KEY)
    await bob.post(f"messages/thread/{alice.email}/read", headers=KEY)
    await bob.delete(f"messages/{message['id']}", headers={"idempotency-key": "k-2"})
    kept = await world.rows("select body from idempotency where org = $1 order by created_at", world.north.org.id)
    assert [bytes(body).decode() for (body,) in kept] == [
        f'{{"id":"{message["id"]}"}}',
        '{"read":1}',
        '{"success":true}',
    ]


async def test_an_answer_that_the_version_before_kept_whole_is_not_given_out(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    body = {"to": bob.email, "content": "a secret"}
    first = await alice.post("messages", body, status=201, headers=KEY)
    kept = "update idempotency set body = $2 where org = $1"
    await world.rows(kept, world.north.org.id, f'{{"id":"{first["id"]}","content":"an old secret"}}'.encode())
    assert await alice.post("messages", body, status=201, headers=KEY) == first
    for nothing in (b"", b"{}", b'{"badge":"1","email":"bob@mail.test"}'):
        await world.rows(kept, world.north.org.id, nothing)
        assert await alice.refused("POST", "messages", body, headers=KEY) == (410, "idempotency.answer_gone")
    assert (await bob.get(f"messages/thread/{alice.email}"))["total"] == 1


class Words(Record):
    """Somebody's words."""

    words: Name


class Thing(Record):
    """A thing with an id."""

    id: Id


async def words(ctx: object) -> Words:
    """Say them."""
    raise NotImplementedError


async def thing(ctx: object, id: str) -> Thing:  # noqa: A002 — the documentation's own name
    """Show it."""
    raise NotImplementedError


async def done(ctx: object) -> Ok:
    """Do it."""
    raise NotImplementedError


def test_every_write_that_takes_a_key_says_how_its_answer_is_read_again() -> None:
    keyed = [route for table in TABLES for route in table.routes if route.keyed]
    assert len(keyed) > 20
    for call, again in ((words, None), (words, thing)):
        with pytest.raises(TypeError, match="how a retry reads its answer again"):
            Route("POST", "words", call, again=again)
    Route("POST", "things/:id", thing, again=thing)
    Route("POST", "done", done)
    Route("POST", "words", words, auth="account")
