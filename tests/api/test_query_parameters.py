"""Parameters of a query mean one thing: plain numbers, `true` or `false`, and one way to say where a page begins."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from plaza.catalogue import TABLES
from plaza.entry.decoding import parameters
from plaza.entry.rest import mounted
from tests.world import World

NUMBERS = [
    "1e3",
    "+5",
    "%2B5",
    "%205",
    "5%20",
    "5.0",
    "0x5",
    quote("５"),
    "05",
    "-0",
    "1_0",
    "5,0",
    "",
    "٥",
    "9" * 5_000,
]
TRUTHS = ["True", "TRUE", "yes", "on", "2", "01", "%20true", "t", "", "null", "1.0"]


def asked(kind: type) -> list[tuple[str, str]]:
    """(path, parameter) of every member's route that reads a parameter of this type."""
    found = []
    for path, route in mounted(TABLES):
        shape = route.signature.query
        if shape is not None and not route.writes and path.startswith("client/community"):
            filled = (
                path.replace(":userId", "bob@mail.test").replace(":email", "bob@mail.test").replace(":badgeId", "7")
            )
            found += [(f"/{filled}", name) for name, of in parameters(shape).items() if of is kind]
    return sorted(set(found))


@pytest.mark.parametrize(("path", "name"), asked(int), ids=lambda value: str(value).rsplit("/", 1)[-1])
async def test_a_number_is_written_as_a_whole_number_and_in_no_other_way(world: World, path: str, name: str) -> None:
    alice, _ = await world.north.people("alice", "bob")
    for text in NUMBERS:
        answer = await alice.ask("GET", f"{path}?{name}={text}")
        assert (answer.status_code, answer.json()["reason"]) == (400, "request.invalid"), text
        assert answer.json()["details"][0]["field"] == name
    assert (await alice.ask("GET", f"{path}?{name}=2")).status_code == 200


@pytest.mark.parametrize(("path", "name"), asked(bool), ids=lambda value: str(value).rsplit("/", 1)[-1])
async def test_a_truth_is_true_or_false(world: World, path: str, name: str) -> None:
    (alice,) = await world.north.people("alice")
    for text in TRUTHS:
        answer = await alice.ask("GET", f"{path}?{name}={text}")
        assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, name), text
    for text in ("true", "false", "1", "0"):
        assert (await alice.ask("GET", f"{path}?{name}={text}")).status_code == 200


def test_the_routes_that_take_numbers_are_found() -> None:
    assert len(asked(int)) > 20
    assert asked(bool) != []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("before=5&after=3", "after"),
        ("after=3&before=5", "after"),
        ("before=5&cursor=NQ", "cursor"),
        ("after=5&cursor=NQ", "cursor"),
        ("before=5&pageNum=2", "pageNum"),
        ("after=5&pageNum=1", "pageNum"),
        ("cursor=NQ&pageNum=2", "pageNum"),
    ],
)
async def test_a_history_begins_in_one_place(world: World, prefix: str, query: str, field: str) -> None:
    alice, bob = await world.north.people("alice", "bob")
    await alice.send(bob)
    answer = await alice.ask("GET", f"messages/thread/{bob.email}?{query}")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    "path", ["followers", "following", "connections", "blocks", "notifications", "people", "badges"]
)
async def test_a_list_is_walked_by_cursor_or_by_number(world: World, prefix: str, path: str) -> None:
    (alice,) = await world.north.people("alice")
    for query, field in (
        ("cursor=NQ&pageNum=1", "pageNum"),
        ("page=2&cursor=NQ", "page"),
        ("page=2&pageNum=2", "page"),
    ):
        answer = await alice.ask("GET", f"{path}?{query}")
        assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)


@pytest.mark.parametrize("number", [5.0, "5", True, 1e3])
async def test_numbers_of_bodies_and_payloads_are_whole_numbers_too(world: World, number: object) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket = await alice.socket()
    payload = {"to": bob.email, "attachments": [{"url": "https://files.test/a", "size": number}]}
    assert await alice.refused("POST", "messages", payload) == (400, "request.invalid")
    assert (await socket.ask("sendMessage", payload))["code"] == "request.invalid"
