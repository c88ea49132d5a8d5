"""Bad input: a clear refusal, nothing half-written, never a 5xx (issue: Bad input; guarantees, c.4)."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from tests.world import Person, World


async def post(person: Person, body: bytes, media: str | None = "application/json", path: str = "messages") -> Any:
    """A raw POST; (status, reason)."""
    headers = person.headers | ({"content-type": media} if media else {})
    url = f"/{person.world.prefix}/{path}"
    answer: httpx2.Response = await person.world.http.request("POST", url, content=body, headers=headers)
    return answer


MALFORMED = [
    b"{",
    b"not json",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"to": "bob@mail.test", "content": NaN}',
    b'{"to": "bob@mail.test", "content": "\\ud800"}',
    b'{"to": "bob@mail.test", "content": "a\\u0000b"}',
    b'{"to": "bob\\u0000@mail.test", "content": "x"}',
    b'{"to": "bob@mail.test", "content": "x", "attachments": [{"url": "https://a.test/\\u0000"}]}',
    b"[]",
    b'"text"',
    b"null",
    b"5",
    b"1e400",
    b'{"to": {"$gt": ""}, "content": "x"}',
    b'{"to": ["bob@mail.test"], "content": "x"}',
    b'{"to": "bob@mail.test", "content": {"toString": ""}}',
    b'{"to": "bob@mail.test", "content": "x", "__proto__": {"admin": true}}',
    b'{"to": "bob@mail.test", "content": "x", "contentType": "video"}',
    b'{"to": "bob@mail.test", "content": "x", "attachments": {}}',
    b'{"to": "bob@mail.test", "content": "x", "attachments": [{"url": "javascript:alert(1)"}]}',
    b'{"to": "bob@mail.test", "content": "x", "attachments": [{"name": "a"}]}',
    b'{"to": "bob@mail.test", "content": "x", "attachments": [{"url": "https://a.test/", "size": -1}]}',
    b'{"to": "bob@mail.test", "content": "x", "clientId": ""}',
    b'{"to": "", "content": "x"}',
    b'{"to": "not an address", "content": "x"}',
    b'{"to": "a@b@c", "content": "x"}',
    b'{"to": "bob@mail.test.", "content": "x"}',
    b'{"content": "x"}',
    b"",
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"to": "bob@mail.test", "content": "x", "attachments": ' + b"[" * 60 + b"]" * 60 + b"}",
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body)[:60])
async def test_a_malformed_body_is_refused(world: World, body: bytes) -> None:
    alice = world.north.person("alice")
    answer = await post(alice, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["reason"] == "request.invalid"
    assert await alice.get("messages/threads") == []


@pytest.mark.parametrize("depth", [33, 480, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
async def test_json_of_any_depth_is_a_plain_refusal(
    world: World, prefix: str, depth: int, opening: bytes, closing: bytes
) -> None:
    alice = world.north.person("alice")
    nested = (opening * depth + b"1" + closing * depth)[:200_000]
    with_it = b'{"to": "bob@mail.test", "content": "x", "attachments": ' + nested + b"}"
    for body in (nested, with_it, b'{"a\\u0000": ' + nested + b"}"):
        answer = await post(alice, body)
        assert (answer.status_code, answer.json()["reason"]) == (400, "request.invalid")
        answer = await world.http.post(
            "/profile/customer/signin",
            content=body,
            headers={"orgid": world.south.slug, "content-type": "application/json"},
        )
        assert (answer.status_code, answer.json()["reason"]) == (400, "request.invalid")


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("depth", [33, 480, 1_000])
async def test_a_token_of_any_depth_is_a_plain_refusal(world: World, prefix: str, part: int, depth: int) -> None:
    alice = world.north.person("alice")
    parts = alice.token.split(".")
    fields = base64.urlsafe_b64decode(parts[part] + "==").rstrip(b"}")
    nested = fields + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    parts[part] = base64.urlsafe_b64encode(nested).decode().rstrip("=")
    headers = {"authorization": f"Bearer {'.'.join(parts)}"}
    assert await alice.refused("GET", "messages/threads", headers=headers) == (401, "auth.invalid_token")


async def test_brackets_in_text_are_text(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    content = '[{"\\' * 1_000
    assert (await alice.send(bob, content))["content"] == content


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP, identity", "x"])
async def test_an_encoded_body_is_refused_in_words(world: World, prefix: str, coding: str) -> None:
    alice = world.north.person("alice")
    for name in ("content-encoding", "Content-Encoding"):
        headers = alice.headers | {"content-type": "application/json", name: coding}
        answer = await world.http.post(f"/{prefix}/messages", content=b"\x1f\x8b", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (415, "request.media_type")
        assert "Content-Encoding" in answer.json()["message"]
    poll = await world.http.post(
        "/socket.io/?EIO=4&transport=polling&sid=x", content=b"\x1f\x8b", headers={"content-encoding": coding}
    )
    assert poll.status_code == 415


async def test_a_body_that_names_no_coding_but_identity_is_read(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    body = {"to": bob.email, "content": "x"}
    assert (await alice.ask("POST", "messages", json=body, headers={"content-encoding": "identity"})).status_code == 201


@pytest.mark.parametrize(
    "name", ["id", "org", "from", "sender", "createdAt", "seq", "status", "readAt", "orgid", "role"]
)
async def test_nothing_can_be_written_that_is_not_the_callers_to_write(world: World, prefix: str, name: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    answer = await alice.ask("POST", "messages", json={"to": bob.email, "content": "x", name: "1"})
    assert answer.status_code == 400
    assert answer.json()["details"] == [{"field": name, "message": f"Object contains unknown field `{name}`"}]


async def test_too_long_content_is_refused_and_the_longest_is_stored_whole(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    longest = "\N{PILE OF POO}" * 10_000
    assert (await alice.send(bob, longest))["content"] == longest
    answer = await alice.ask("POST", "messages", json={"to": bob.email, "content": longest + "x"})
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == "content"


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
async def test_a_wrong_content_type_is_refused(world: World, media: str | None) -> None:
    alice = world.north.person("alice")
    answer = await post(alice, json.dumps({"to": "bob@mail.test", "content": "x"}).encode(), media)
    assert (answer.status_code, answer.json()["reason"]) == (415, "request.media_type")


async def test_a_content_type_with_a_charset_is_accepted(world: World) -> None:
    alice = world.north.person("alice")
    body = json.dumps({"to": "bob@mail.test", "content": "x"}).encode()
    assert (await post(alice, body, "application/json; charset=utf-8")).status_code == 201


async def test_a_body_over_256_kibibytes_is_refused(world: World) -> None:
    alice = world.north.person("alice")
    body = b'{"to": "bob@mail.test", "content": "' + b"x" * (1 << 18) + b'"}'
    answer = await post(alice, body)
    assert (answer.status_code, answer.json()["reason"]) == (413, "request.too_large")

    async def chunks() -> Any:
        for _ in range(20):
            yield b"x" * (1 << 16)

    headers = alice.headers | {"content-type": "application/json"}
    answer = await world.http.post(f"/{world.prefix}/messages", content=chunks(), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("pageNum=0", "pageNum"),
        ("before=x", "before"),
        ("before=-3", "before"),
        ("before=99999999999999999999", "before"),
        ("cursor=!!!", "cursor"),
        ("cursor=abc", "cursor"),
        ("nonsense=1", "nonsense"),
        ("limit=1&limit=2", "limit"),
        ("limit=%00", "limit"),
    ],
)
async def test_a_bad_parameter_is_named(world: World, prefix: str, query: str, field: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    answer = await alice.ask("GET", f"messages/thread/{bob.email}?{query}")
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/client/community/nothing", 404),
        ("GET", "/client/community/messages/threads/", 404),
        ("GET", "/client//community/messages/threads", 404),
        ("GET", "/client/community/messages/thread/%ff", 404),
        ("GET", "/client/community/messages/thread/%00", 404),
        ("GET", "/client/community/" + "x" * 3_000, 404),
        ("GET", "/client/community/%2e%2e/community/messages", 404),
        ("PUT", "/client/community/messages", 405),
        ("DELETE", "/client/community/messages", 405),
        ("PATCH", "/client/community/messages", 405),
        ("GET", "/client/community/messages", 405),
    ],
)
async def test_what_is_not_in_the_document_is_not_there(world: World, method: str, path: str, status: int) -> None:
    alice = world.north.person("alice")
    answer = await world.http.request(method, world.url + path, headers=alice.headers)
    assert answer.status_code == status
    assert answer.json()["statusCode"] == status
    if status == 405:
        assert answer.headers["allow"]


async def test_a_method_override_is_ignored(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    message = await alice.send(bob)
    await alice.ask("GET", f"messages/thread/{bob.email}", headers={"x-http-method-override": "DELETE"})
    assert (await alice.get(f"messages/thread/{bob.email}"))["data"][0]["id"] == message["id"]


async def test_head_answers_like_get_without_a_body(world: World) -> None:
    alice = world.north.person("alice")
    answer = await alice.ask("HEAD", "messages/unread-count")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(b'{"count":0}'))


async def test_a_post_without_body_and_content_type_works_where_nothing_is_needed(world: World, prefix: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    for body, media in ((b"", None), (b"", "application/json"), (b"{}", "application/json")):
        answer = await post(alice, body, media, f"messages/thread/{bob.email}/read")
        assert answer.json() == {"read": 0}
    answer = await post(alice, b'{"a": 1}', "application/json", f"messages/thread/{bob.email}/read")
    assert answer.status_code == 400


async def test_every_answer_carries_its_headers(world: World) -> None:
    alice = world.north.person("alice")
    for path in ("messages/threads", "nothing", "/healthz", "/readyz"):
        answer = await alice.ask("GET", path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers
    answer = await alice.ask("GET", "messages/threads", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    answer = await alice.ask("GET", "messages/threads", headers={"x-request-id": "a b\tc"})
    assert answer.headers["x-request-id"] != "a b\tc"
