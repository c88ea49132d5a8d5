"""Who is refused for the moment comes again by itself; who is refused for good reads why (contract, decision 42)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from plaza.domains.organisations import tokens
from plaza.kernel.clock import system_clock
from tests.node import JavaScript
from tests.server import SETTINGS, Running
from tests.world import Person, World

TRANSPORTS = [["websocket"], ["polling", "websocket"], ["polling"]]
each_transport = pytest.mark.parametrize("transports", TRANSPORTS, ids=["websocket", "default", "polling"])


def url(world: World) -> str:
    return f"{world.url}/community-chat"


def auth(person: Person) -> dict[str, str]:
    return {"token": person.token, "orgId": person.tenant.slug}


def expired(person: Person) -> str:
    """A token of theirs whose time is over."""
    tenant = person.tenant
    return tokens.mint(
        tenant.org, tenant.key, subject=person.email, email=person.email, now=system_clock(), seconds=-100
    )


@each_transport
async def test_an_eleventh_socket_comes_in_by_itself_as_soon_as_one_is_gone(
    world: World, transports: list[str]
) -> None:
    (alice,) = await world.north.people("alice")
    (elsewhere,) = await world.south.people("alice")
    first, *_ = [await alice.socket() for _ in range(10)]
    async with JavaScript() as eleventh, JavaScript() as other:
        eleventh.comes_back(url(world), transports=transports, auth=auth(alice))
        over = await eleventh.hears("disconnect", 2)
        assert over[0] == "transport close"
        if transports == ["websocket"]:
            assert over[1:] == [1013, "socket.too_many"]
        other.open(url(world), transports=transports, auth=auth(elsewhere))
        await other.hears("connect")
        assert eleventh.all("connect") == []
        await first.close()
        await eleventh.hears("connect")
        assert eleventh.all("connect_error") == []


@each_transport
async def test_what_breaks_in_the_server_keeps_nobody_out_for_good(
    own_database_url: str, transports: list[str]
) -> None:
    with Running(own_database_url, msgspec.structs.replace(SETTINGS, log_level="critical")) as server:
        async with World(server, "client/community") as world, JavaScript() as socket:
            alice = world.south.person("alice")
            await world.rows("alter table org rename to elsewhere")  # nobody has asked for this organisation yet
            socket.comes_back(url(world), transports=transports, auth=auth(alice))
            over = await socket.hears("disconnect", 2)
            assert over[0] == "transport close"
            if transports == ["websocket"]:
                assert over[1:] == [1013, "server.error"]
            await world.rows("alter table elsewhere rename to org")
            await socket.hears("connect")
            assert socket.all("connect_error") == []


@each_transport
async def test_a_client_whose_token_lapses_comes_back_with_a_fresh_one(world: World, transports: list[str]) -> None:
    alice, bob = await world.north.people("alice", "bob")
    async with JavaScript() as socket:
        await socket.hears("ready")
        short = Person(world.north, alice.email, seconds=2)
        socket.comes_back(url(world), [short.token, alice.token], transports=transports, auth=auth(short))
        await socket.hears("connect", 2)
        (notice,) = await socket.hears("token_expired")
        assert notice["code"] == "auth.token_expired"
        (over,) = socket.all("disconnect")
        assert over[0] == "transport close"
        if transports != ["polling"]:
            assert over[1:] == [4000, "token_expired"]
        assert socket.all("connect_error") == []
        await bob.send(alice, "welcome back")
        (message,) = await socket.hears("newMessage")
        assert message["content"] == "welcome back"


@each_transport
async def test_a_client_that_connects_with_an_expired_token_is_asked_for_another(
    world: World, transports: list[str]
) -> None:
    (alice,) = await world.north.people("alice")
    async with JavaScript() as socket:
        offered = [expired(alice), expired(alice), alice.token]
        socket.comes_back(url(world), offered, transports=transports, auth=auth(alice))
        await socket.hears("connect")
        assert socket.all("connect_error") == []
        overs = socket.all("disconnect")
        assert [over[0] for over in overs] == ["transport close"] * 2
        if transports == ["websocket"]:
            assert overs[0][1:] == [1013, "auth.token_expired"]


async def test_an_expired_token_that_is_presented_again_and_again_is_refused_for_good(own_database_url: str) -> None:
    with Running(own_database_url, msgspec.structs.replace(SETTINGS, rate_limits="on")) as server:
        async with World(server, "client/community") as world, JavaScript() as socket:
            (alice,) = await world.north.people("alice")
            socket.comes_back(url(world), [expired(alice)], transports=["websocket"], auth=auth(alice))
            (error,) = await socket.hears("connect_error")
            assert error["data"]["code"] == "auth.token_expired"
            assert len(socket.all("disconnect")) == 10


async def test_a_fresh_token_that_has_expired_already_is_answered_and_another_asked_for(world: World) -> None:
    (alice,) = await world.north.people("alice")
    async with JavaScript() as socket:
        socket.comes_back(url(world), [alice.token], transports=["websocket"], auth=auth(alice))
        await socket.hears("connect")
        (answer,) = await socket.ask("authenticate", {"token": expired(alice)})
        assert (answer["success"], answer["code"]) == (False, "auth.token_expired")
        await socket.hears("token_expired")
        await socket.hears("connect", 2)
        assert [over[1:] for over in socket.all("disconnect")] == [[4000, "token_expired"]]


@each_transport
@pytest.mark.parametrize("wrong", ["nonsense", "suspended"])
async def test_who_is_refused_for_good_reads_why_and_stays_away(
    world: World, transports: list[str], wrong: str
) -> None:
    (alice,) = await world.north.people("alice")
    if wrong == "suspended":
        await world.rows("update person set status = 'suspended' where id = $1", int(alice.id))
    token, code = ("nonsense", "auth.invalid_token") if wrong == "nonsense" else (alice.token, "person.suspended")
    world.server.loop.call_soon_threadsafe(world.server.plaza.switchboard.ask_again, world.north.org.id, int(alice.id))
    async with JavaScript() as socket:
        socket.comes_back(url(world), [token], transports=transports, auth=auth(alice))
        (error,) = await socket.hears("connect_error")
        assert error["data"] == {"code": code, "message": error["message"]}
        await asyncio.sleep(0.2)
        assert len(socket.all("connect_error")) == 1
        assert socket.all("connect") == []


@each_transport
async def test_who_has_signed_out_does_not_come_back(world: World, transports: list[str]) -> None:
    (alice,) = await world.north.people("alice")
    async with JavaScript() as socket:
        socket.comes_back(url(world), [alice.token], transports=transports, auth=auth(alice))
        await socket.hears("connect")
        world.server.loop.call_soon_threadsafe(_forget, world, int(alice.id))
        over = await socket.hears("disconnect")
        assert over[0] == "io server disconnect"
        await asyncio.sleep(0.2)
        assert len(socket.all("connect")) == 1


def _forget(world: World, person: int) -> None:
    world.server.plaza.switchboard.forget(world.north.org.id, person=person)


BROKEN = "x\ud83d"
NESTED: list[object] = []
for _ in range(40):
    NESTED = [NESTED]
"""Half of a surrogate pair, as `text.slice(0, n)` leaves it where it cuts through an emoji."""


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]], ids=["websocket", "polling"])
async def test_half_of_a_surrogate_pair_is_refused_in_the_acknowledgement_and_the_socket_lives(
    world: World, transports: list[str]
) -> None:
    alice, bob = await world.north.people("alice", "bob")
    bad: list[tuple[str, Any]] = [
        ("sendMessage", {"to": bob.email, "content": BROKEN}),
        ("sendMessage", {"to": bob.email, "content": "\udd00x"}),
        ("sendMessage", {"to": bob.email, "content": "\udd00\ud83d"}),
        ("sendMessage", {"to": bob.email, "content": NESTED}),
        ("sendMessage", {"to": BROKEN, "content": "x"}),
        ("sendMessage", {"to": bob.email, "content": "x", BROKEN: 1}),
        ("sendMessage", {"to": bob.email, "content": "x", "clientId": BROKEN}),
        ("sendMessage", {"to": bob.email, "attachments": [{"url": "https://a.test", "name": BROKEN}]}),
        ("sendMessage", BROKEN),
        ("typing", {"to": [[[{"a": [BROKEN]}]]]}),
        ("sync", {"since": BROKEN}),
        ("authenticate", {"token": BROKEN}),
        (f"sendMessage{BROKEN}", {"to": bob.email, "content": "x"}),
        (BROKEN, None),
    ]
    async with JavaScript() as socket:
        socket.open(url(world), transports=transports, auth=auth(alice))
        await socket.hears("connect")
        whole = socket.ask("sendMessage", {"to": bob.email, "content": 'whole 😀 \\ud83d "\\u"'})
        answers = await asyncio.gather(whole, *(socket.ask(event, payload) for event, payload in bad))
        assert answers[0][0]["success"] is True
        for (event, payload), (answer,) in zip(bad, answers[1:], strict=True):
            assert (answer["success"], answer["code"]) == (False, "request.invalid"), (event, payload)
        socket.emit("sendMessage", {"to": bob.email, "content": BROKEN})
        (trouble,) = await socket.hears("error")
        assert (trouble["event"], trouble["code"]) == ("sendMessage", "request.invalid")
        assert socket.all("disconnect") == []
    history = await bob.get(f"messages/thread/{alice.email}")
    assert [message["content"] for message in history["data"]] == ['whole 😀 \\ud83d "\\u"']


@pytest.mark.parametrize("given", [{"token": BROKEN}, {"more": BROKEN}, {BROKEN: 1}, [1], "text"])
async def test_half_of_a_surrogate_pair_in_the_auth_payload_is_refused_in_words(world: World, given: Any) -> None:
    (alice,) = await world.north.people("alice")
    async with JavaScript() as socket:
        payload = auth(alice) | given if isinstance(given, dict) else given
        socket.open(url(world), transports=["websocket"], auth=payload)
        (error,) = await socket.hears("connect_error")
        assert error["data"] == {"code": "request.invalid", "message": error["message"]}


async def test_rest_refuses_half_of_a_surrogate_pair_as_well(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for body in ({"to": bob.email, "content": BROKEN}, {"to": bob.email, "content": "x", BROKEN: 1}, BROKEN):
        headers = alice.headers | {"content-type": "application/json"}
        answer = await world.http.post(f"/{prefix}/messages", content=json.dumps(body), headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (400, "request.invalid")


async def test_a_number_out_of_range_is_refused_in_the_acknowledgement(world: World) -> None:
    (alice,) = await world.north.people("alice")
    socket = await alice.socket()
    answer = await socket.ask("sendMessage", {"to": "bob@mail.test", "content": 10**400})
    assert (answer["success"], answer["code"]) == (False, "request.invalid")
    assert await socket.ask("getOnlineUsers") == [{"email": alice.email, "id": alice.id}]


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]], ids=["websocket", "polling"])
async def test_an_event_that_breaks_in_the_server_is_acknowledged(
    own_database_url: str, transports: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with Running(own_database_url) as server:
        async with World(server, "client/community") as world, JavaScript() as socket:
            alice, bob = await world.north.people("alice", "bob")
            socket.open(url(world), transports=transports, auth=auth(alice))
            await socket.hears("connect")
            await world.rows("alter table presence rename to elsewhere")
            (answer,) = await socket.ask("getOnlineUsers", None)
            assert (answer["success"], answer["code"]) == (False, "server.error")
            assert answer["error"]
            (answer,) = await socket.ask("sendMessage", {"to": bob.email, "content": "and the socket lives"})
            assert answer["success"] is True
            await world.rows("alter table elsewhere rename to presence")
    assert '"event": "event.failed"' in capfd.readouterr().err
