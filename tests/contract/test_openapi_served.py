"""What Schemathesis found, each by itself, and the pages as they are served."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from plaza.catalogue import document
from tests.world import World

DOCUMENT = document()


async def refused(world: World, method: str, path: str, **options: Any) -> Any:
    """The body of a 400, which is as the document says."""
    answer = await world.north.person("alice").ask(method, path, **options)
    assert answer.status_code == 400, answer.text
    body = answer.json()
    jsonschema_rs.validate({**DOCUMENT, "$ref": "#/components/schemas/ErrorBody"}, body)
    return body


async def test_the_served_document_is_the_document(world: World) -> None:
    answer = await world.http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))
    plain = await world.http.get("/openapi.json", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


@pytest.mark.parametrize("text", ["null", "NULL"])
async def test_a_parameter_is_left_out_and_not_called_null(world: World, text: str) -> None:
    body = await refused(world, "GET", f"notifications?unread={text}")
    assert body["details"][0]["field"] == "unread"
    body = await refused(world, "GET", f"blocks?pageNum={text}")
    assert body["details"][0]["field"] == "pageNum"


async def test_an_error_quotes_only_so_much_of_a_request(world: World) -> None:
    body = await refused(world, "POST", "messages", json={"to": "bob@mail.test", "x" * 20_000: 1})
    assert len(body["details"][0]["field"]) == 200
    body = await refused(world, "POST", "messages", json={"to": "bob@mail.test", "contentType": "x" * 20_000})
    assert len(body["details"][0]["message"]) <= 500


@pytest.mark.parametrize("blank", ["\n", "\r", "\x1f", "\x7f", "\x85", "\u2028", "\ufeff"])
async def test_addresses_of_pages_and_of_people_hold_no_blank_and_no_control_character(
    world: World, blank: str
) -> None:
    url = {"to": "bob@mail.test", "attachments": [{"url": f"https://mail.test/a{blank}"}]}
    assert (await refused(world, "POST", "messages", json=url))["details"][0]["field"] == "attachments[0].url"
    person = {"to": f"bo{blank}b@mail.test", "content": "hello"}
    assert (await refused(world, "POST", "messages", json=person))["details"][0]["field"] == "to"


async def test_a_profile_takes_no_longer_names_than_a_card_shows(world: World) -> None:
    await refused(world, "PUT", "people/me", json={"company": "x" * 101})
    me = await world.north.person("alice").put("people/me", {"company": "x" * 100, "jobTitle": "y" * 100})
    jsonschema_rs.validate({**DOCUMENT, "$ref": "#/components/schemas/Profile"}, me)


async def test_a_picture_that_is_no_address_stays_in_the_token(world: World) -> None:
    for number, picture in enumerate(("https://", "https://mail.test/a b.png", "javascript:alert(1)")):
        person = world.north.person(f"person-{number}", picture=picture)
        assert (await person.get("people/me"))["image"] is None


async def test_a_segment_of_a_path_is_no_longer_than_the_document_says(world: World) -> None:
    alice = world.north.person("alice")
    assert await alice.delete(f"blocks/{'1' * 254}") == {"success": True}
    assert await alice.refused("DELETE", f"blocks/{'1' * 255}") == (404, "request.not_found")
