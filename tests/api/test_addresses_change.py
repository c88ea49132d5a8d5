"""An address changes, by a token or by staff, and nothing else of the person's does (decisions/0011)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
from click.testing import CliRunner

from plaza.cli.main import main
from plaza.domains.people import service as people
from plaza.kernel.clock import system_clock
from tests.api.test_accounts import PASSWORD, Door
from tests.world import Person, Tenant, World


def hosted(tenant: Tenant, subject: str, email: str, age: float | None = 0, **claims: Any) -> Person:
    """Somebody whom the host's login knows by `subject`, with a token issued `age` seconds before now."""
    assert tenant.key.secret is not None
    payload = {"sub": subject, "email": email, "org": tenant.slug, "exp": int(time.time()) + 3_600} | claims
    if age is not None:
        payload["iat"] = int(time.time()) - age
    person = Person(tenant, email)
    person.token = jwt.encode(payload, tenant.key.secret, algorithm="HS256")
    return person


async def test_a_newer_token_of_the_same_subject_changes_the_address_and_nothing_else(
    world: World, prefix: str
) -> None:
    (carol,) = await world.north.people("carol")
    (elsewhere,) = await world.south.people("old")
    old = hosted(world.north, "host-7", "old@mail.test", age=60)
    await old.put("people/me", {"firstName": "Olga", "communityProfile": {"interests": ["tea"]}})
    await carol.send(old, "to the old address")
    await carol.post("follow", {"following": "old@mail.test"}, status=201)
    before = await old.get("people/me")
    new = hosted(world.north, "host-7", "New@mail.test")
    after = await new.get("people/me")
    assert after["email"] == "new@mail.test"
    changing = ("email", "version", "updatedAt")
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    (thread,) = await carol.get("messages/threads")
    assert (thread["peer"], thread["lastMessage"]["to"]) == ("new@mail.test", "new@mail.test")
    assert (await carol.get("following"))["data"][0]["following"] == "new@mail.test"
    assert (await carol.get("people/new@mail.test"))["id"] == before["id"]
    assert await carol.refused("GET", "people/old@mail.test") == (404, "person.not_found")
    assert (await elsewhere.get("people/me"))["email"] == "old@mail.test"


async def test_an_older_token_still_holds_and_does_not_bring_the_old_address_back(world: World, prefix: str) -> None:
    old = hosted(world.north, "host-7", "old@mail.test", age=60)
    new = hosted(world.north, "host-7", "new@mail.test", age=30)
    undated = hosted(world.north, "host-7", "odd@mail.test", age=None)
    assert (await old.get("people/me"))["email"] == "old@mail.test"
    for person in (new, old, undated, new, hosted(world.north, "host-7", "older@mail.test", age=90)):
        await person.arrive()
        assert (await person.get("people/me"))["email"] == "new@mail.test"
    assert (await hosted(world.north, "host-7", "old@mail.test", age=1).get("people/me"))["email"] == "old@mail.test"


async def test_every_change_is_kept_with_when_and_by_whom(world: World) -> None:
    person = await hosted(world.north, "host-7", "old@mail.test", age=60).arrive()
    await hosted(world.north, "host-7", "new@mail.test").arrive()
    rows = await world.rows(
        "select old, new, by from address_change where org = $1 and person = $2", world.north.org.id, int(person.id)
    )
    assert [tuple(row) for row in rows] == [("old@mail.test", "new@mail.test", "token")]


async def test_the_address_of_somebody_else_is_refused(world: World, prefix: str) -> None:
    await world.north.people("carol")
    old = hosted(world.north, "host-7", "old@mail.test", age=60)
    await old.arrive()
    taken = hosted(world.north, "host-7", "carol@mail.test")
    assert await taken.refused("GET", "people/me") == (403, "person.address_taken")
    assert (await old.get("people/me"))["email"] == "old@mail.test"


async def test_an_address_to_which_others_have_written_waits_and_nobody_is_locked_out(
    world: World, prefix: str
) -> None:
    (carol,) = await world.north.people("carol")
    old = await hosted(world.north, "host-7", "old@mail.test", age=60).arrive()
    await carol.send("waiting@mail.test", "for whoever comes")
    moved = hosted(world.north, "host-7", "waiting@mail.test")
    assert (await moved.get("people/me"))["email"] == "old@mail.test"
    assert (await moved.get("people/me"))["id"] == old.id
    owner = hosted(world.north, "host-8", "waiting@mail.test")
    assert await owner.get("messages/unread-count") == {"count": 1}
    again = hosted(world.north, "host-7", "waiting@mail.test", jti="2")
    assert await again.refused("GET", "people/me") == (403, "person.address_taken")


async def test_of_two_who_take_an_address_at_one_moment_one_has_it(world: World) -> None:
    for number in range(8):
        rivals = [f"host-{number}-{side}" for side in "ab"]
        for rival in rivals:
            await hosted(world.north, rival, f"{rival}@mail.test", age=60).arrive()
        wanted = [hosted(world.north, rival, f"wanted{number}@mail.test") for rival in rivals]
        wanted.append(hosted(world.north, f"host-{number}-c", f"wanted{number}@mail.test"))
        answers = await asyncio.gather(*(person.ask("GET", "people/me") for person in wanted))
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403]
        (winner,) = [answer.json()["email"] for answer in answers if answer.status_code == 200]
        assert winner == f"wanted{number}@mail.test"


async def test_a_change_that_many_requests_bring_at_once_happens_once(world: World) -> None:
    person = await hosted(world.north, "host-7", "old@mail.test", age=60).arrive()
    fresh = [hosted(world.north, "host-7", "new@mail.test", jti=str(n)) for n in range(10)]
    answers = await asyncio.gather(*(each.get("people/me") for each in fresh))
    assert {answer["email"] for answer in answers} == {"new@mail.test"}
    changes = await world.rows("select 1 from address_change where person = $1", int(person.id))
    assert len(changes) == 1


async def test_an_open_socket_stays_and_speaks_under_the_new_address(world: World) -> None:
    (carol,) = await world.north.people("carol")
    old = await hosted(world.north, "host-7", "old@mail.test", age=60).arrive()
    socket, listener = await old.socket(), await carol.socket()
    await hosted(world.north, "host-7", "new@mail.test").arrive()
    await world.server_idle()
    await socket.ask("typing", {"to": carol.email})
    assert await listener.hears("typing") == {"from": "new@mail.test"}
    assert (await socket.ask("sendMessage", {"to": carol.email, "content": "hi"}))["message"]["from"] == "new@mail.test"
    assert not socket.closed.is_set()
    await carol.send("new@mail.test", "back")
    assert (await socket.hears("newMessage"))["content"] == "back"


# Staff.
async def staff(world: World, old: str, new: str, tenant: Tenant) -> tuple[int, str]:
    """(exit code, what was said) of the command."""
    asked = ["person", "email", old, new, "--org", tenant.slug, "--database-url", world.server.database_url]
    done = await asyncio.to_thread(CliRunner().invoke, main, asked)
    return done.exit_code, done.output


async def test_staff_change_an_address_and_the_next_token_names_the_new_one(world: World) -> None:
    """As where the host's subject is the address itself."""
    (alice, carol) = await world.north.people("alice", "carol")
    await carol.send(alice, "before")
    assert await staff(world, "Alice@mail.test", "alicia@mail.test", world.north) == (0, f"{alice.id}\n")
    alicia = hosted(world.north, "alicia@mail.test", "alicia@mail.test")
    assert (await alicia.get("people/me"))["id"] == alice.id
    assert await alicia.get("messages/unread-count") == {"count": 1}
    assert (await alice.get("people/me"))["email"] == "alicia@mail.test"
    early = hosted(world.north, "alice@mail.test", "alice@mail.test", age=30)
    assert (await early.get("people/me"))["id"] == alice.id
    later = hosted(world.north, "alice@mail.test", "alice@mail.test", age=-30)
    assert (await later.get("people/me"))["id"] != alice.id


async def test_staff_are_told_why_an_address_cannot_be_had(world: World) -> None:
    alice, carol = await world.north.people("alice", "carol")
    await carol.send("waiting@mail.test")
    for new, said in (
        (carol.email, "belongs to another person"),
        ("waiting@mail.test", "Others have written to this address"),
        ("no address", "is not an e-mail address"),
    ):
        code, output = await staff(world, alice.email, new, world.north)
        assert (code, said in output) == (1, True), output
    code, output = await staff(world, "nobody@mail.test", "free@mail.test", world.north)
    assert (code, "no such person" in output) == (1, True), output
    assert (await alice.get("people/me"))["email"] == alice.email
    assert (await staff(world, alice.email, alice.email, world.north))[0] == 0


async def test_a_built_in_account_signs_in_by_the_new_address(world: World) -> None:
    member = Door(world.north, "member")
    await member.join()
    assert (await staff(world, member.email, "moved@mail.test", world.north))[0] == 0
    moved = Door(world.north, "moved")
    assert (await moved.sign_in())["user"]["email"] == "moved@mail.test"
    assert await member.refused("signin", password=PASSWORD) == (401, "auth.invalid_credentials")


async def test_a_suspended_person_does_not_move(world: World) -> None:
    await hosted(world.north, "host-7", "old@mail.test", age=60).arrive()
    await people.suspend(world.store, world.north.org, "old@mail.test", system_clock())
    new = hosted(world.north, "host-7", "new@mail.test")
    assert await new.refused("GET", "people/me") == (403, "person.suspended")
    assert await world.rows("select 1 from address_change where org = $1", world.north.org.id) == []


async def test_a_change_whose_word_was_lost_is_heeded_within_seconds(world: World) -> None:
    alice, bob, carol = await world.north.people("alice", "bob", "carol")
    his, hers, idle = await bob.socket(), await alice.socket(), await carol.socket()
    # As if the process that should have said it had died: the row alone knows.
    for person in (alice, carol):
        await world.rows("update person set email = 'new-' || email where id = $1", int(person.id))
    async with asyncio.timeout(15):
        while his.all("typing")[-1:] != [{"from": "new-alice@mail.test"}]:
            await hers.ask("typing", {"to": bob.email})
            await asyncio.sleep(1.1)
    assert not hers.closed.is_set()
    assert (await idle.ask("getOnlineUsers"))[-1]["email"] == "new-carol@mail.test"
