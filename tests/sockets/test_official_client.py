"""The seed's own samples, word for word, through the official JavaScript client run by Node."""

from __future__ import annotations

import pytest

from tests.node import JavaScript
from tests.world import World

TRANSPORTS = [["websocket"], ["polling", "websocket"], ["polling"]]


@pytest.mark.parametrize("transports", TRANSPORTS, ids=["websocket", "default", "polling"])
async def test_the_gateway_speaks_as_the_seed_says(world: World, transports: list[str]) -> None:
    alice, bob = await world.north.people("alice", "bob")
    async with JavaScript() as socket:
        auth = {"token": bob.token, "orgId": world.north.slug}
        socket.open(f"{world.url}/community-chat", transports=transports, auth=auth)
        await socket.hears("connect")

        (users,) = await socket.ask("getOnlineUsers", None)
        assert users == [{"email": bob.email, "id": bob.id}]

        sent = await alice.send(bob, "over REST")
        (message,) = await socket.hears("newMessage")
        for name in ("id", "from", "to", "content", "contentType", "createdAt"):
            assert message[name] == sent[name]

        socket.emit("sendMessage", {"to": alice.email, "content": "Quick one", "contentType": "text"})
        socket.emit("typing", {"to": alice.email})
        socket.emit("markRead", {"messageId": message["id"]})
        (answer,) = await socket.ask("sendMessage", {"to": alice.email, "content": "and one more"})
        assert answer["success"] is True
        assert answer["message"]["seq"] == 3
        history = await alice.get(f"messages/thread/{bob.email}")
        assert [item["content"] for item in history["data"]] == ["and one more", "Quick one", "over REST"]
        assert history["data"][2]["status"] == "read"

        own = await bob.send(alice, "from another device")
        await socket.hears("messageSent")
        await alice.post("messages/read", {"ids": [own["id"]]})
        (receipt,) = await socket.hears("messageRead")
        assert (receipt["messageId"], receipt["by"]) == (own["id"], alice.email)

        async with JavaScript() as other:
            other.open(
                f"{world.url}/community-chat",
                transports=transports,
                auth={"token": alice.token, "orgId": world.north.slug},
            )
            await other.hears("connect")
            assert await socket.hears("userOnline") == [{"email": alice.email}]
            other.emit("typing", {"to": bob.email})
            assert await socket.hears("typing") == [{"from": alice.email}]
            other.close()
            assert await socket.hears("userOffline") == [{"email": alice.email}]


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({}, "org.missing"),
        ({"token": "{token}"}, "org.missing"),
        ({"orgId": "{north}"}, "auth.missing"),
        ({"token": "nonsense", "orgId": "{north}"}, "auth.invalid_token"),
        ({"token": "{token}", "orgId": "{south}"}, "org_mismatch"),
        ({"token": "{token}", "orgId": "nowhere"}, "org.not_found"),
        ({"token": "{token}", "orgId": ["{north}"]}, "request.invalid"),
        ({"token": {"a": 1}, "orgId": "{north}"}, "request.invalid"),
        ({"token": "a\x00b", "orgId": "{north}"}, "request.invalid"),
    ],
)
async def test_a_handshake_that_is_refused_says_why(world: World, auth: dict[str, object], code: str) -> None:
    (alice,) = await world.north.people("alice")
    names = {"{token}": alice.token, "{north}": world.north.slug, "{south}": world.south.slug}
    filled = {key: names.get(value, value) if isinstance(value, str) else value for key, value in auth.items()}
    async with JavaScript() as socket:
        socket.open(f"{world.url}/community-chat", transports=["websocket"], auth=filled)
        (error,) = await socket.hears("connect_error")
        assert error["data"]["code"] == code
        assert error["data"]["message"] == error["message"]


async def test_bearer_and_headers_are_understood_too(world: World) -> None:
    (alice,) = await world.north.people("alice")
    async with JavaScript() as socket:
        socket.open(f"{world.url}/community-chat", transports=["websocket"], extraHeaders=alice.headers)
        await socket.hears("connect")
    async with JavaScript() as socket:
        auth = {"token": f"Bearer {alice.token}", "orgId": world.north.slug}
        socket.open(f"{world.url}/community-chat", transports=["websocket"], auth=auth)
        (welcome,) = await socket.hears("authenticate")
        assert welcome["success"] is True
        assert welcome["user"] == {"id": alice.id, "email": alice.email}


async def test_bad_events_are_answered_and_the_socket_lives(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    async with JavaScript() as socket:
        auth = {"token": alice.token, "orgId": world.north.slug}
        socket.open(f"{world.url}/community-chat", transports=["websocket"], auth=auth)
        await socket.hears("connect")
        bad: list[tuple[str, list[object], str]] = [
            ("noSuchEvent", [{}], "event.unknown"),
            ("sendMessage", [], "request.invalid"),
            ("sendMessage", ["text"], "request.invalid"),
            ("sendMessage", [[1, 2]], "request.invalid"),
            ("sendMessage", [{"to": bob.email, "content": 5}], "request.invalid"),
            ("sendMessage", [{"to": bob.email, "content": "x", "from": "eve@mail.test"}], "request.invalid"),
            ("sendMessage", [{"to": bob.email, "content": "a\x00b"}], "request.invalid"),
            ("sendMessage", [{"to": bob.email, "content": "x"}, 2], "request.invalid"),
            ("sendMessage", [{"to": alice.email, "content": "x"}], "message.self"),
            ("sendMessage", [{"to": "77", "content": "x"}], "person.not_found"),
            ("markRead", [{}], "request.invalid"),
            ("typing", [None], "request.invalid"),
            ("sync", [{"since": 5}], "request.invalid"),
        ]
        for event, args, code in bad:
            (answer,) = await socket.ask(event, *args)
            assert answer["success"] is False, event
            assert answer["code"] == code, (event, args)
            assert answer["error"]
        socket.emit("sendMessage", {"to": bob.email})
        (trouble,) = await socket.hears("error")
        assert (trouble["event"], trouble["code"]) == ("sendMessage", "message.empty")
        (exception,) = await socket.hears("exception")
        assert exception["status"] == "error"
        (users,) = await socket.ask("getOnlineUsers", None)
        assert [user["email"] for user in users] == [alice.email]
    assert await bob.get("messages/unread-count") == {"count": 0}
