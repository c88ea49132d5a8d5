"""A person's subject is (signer, `sub`): no signer speaks for the people of another (contract, decision 36)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import socketio.exceptions
from click.testing import CliRunner

from plaza.cli.main import main
from plaza.domains.organisations import service as organisations
from plaza.kernel.clock import system_clock
from tests.api.test_accounts import Door
from tests.api.test_addresses_change import hosted
from tests.jwks import Signer
from tests.world import NAMESPACE, Person, Socket, Tenant, World

TAKEN = (403, "person.address_taken")
RESERVED = (403, "auth.reserved_subject")
UNTRUSTED_ROLE = (403, "auth.role_not_trusted")
UNKNOWN = (403, "person.signer_unknown")
ME = ("GET", "people/me")


@pytest.fixture
async def signers() -> AsyncIterator[tuple[Signer, Signer]]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(Signer()), await stack.enter_async_context(Signer())


async def kept_out(person: Person) -> str:
    """Why a socket is refused."""
    socket = Socket(person)
    told: list[Any] = []
    socket.client.on("connect_error", told.append, namespace=NAMESPACE)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await socket.open()
    await socket.close()
    return str(told[0]["data"]["code"])


async def test_a_signer_that_names_the_subject_of_another_means_somebody_else(
    world: World, prefix: str, signers: tuple[Signer, Signer]
) -> None:
    """F5: the second key set took the person of the first over, and moved the address."""
    first, second = signers
    people = {}
    for tenant in (world.north, world.south):
        for signer in signers:
            await signer.trusted(tenant)
        people[tenant.slug] = await first.person(tenant, "u-7", "dora@mail.test").arrive()
        own = await hosted(tenant, "u-7", "host@mail.test", age=60).arrive()
        thief = second.person(tenant, "u-7", "thief@mail.test", iat=int(time.time()) - 60)
        assert len({people[tenant.slug].id, own.id, (await thief.arrive()).id}) == 3
        for person in (people[tenant.slug], own):
            assert (await person.get("people/me"))["email"] == person.email
        # Nor does it take the address, by this subject or by a new one, on REST or on a socket.
        for sub in ("u-7", "u-8"):
            late = second.person(tenant, sub, "dora@mail.test")
            assert await late.refused(*ME) == TAKEN
            assert await kept_out(late) == TAKEN[1]
    assert (await people[world.north.slug].get("people/me"))["email"] == "dora@mail.test"


async def test_the_organisations_own_keys_are_one_signer_across_rotation(world: World, prefix: str) -> None:
    ann = await hosted(world.north, "host-7", "ann@mail.test", age=60).arrive()
    await organisations.rotate_key(world.store, world.north.org, system_clock())
    (world.north.key,) = await organisations.keys(world.store, world.north.org)
    again = await hosted(world.north, "host-7", "ann@mail.test").arrive()
    assert again.id == ann.id


async def test_a_trust_given_again_is_the_same_signer(world: World, signers: tuple[Signer, Signer]) -> None:
    signer, _ = signers
    kid = await signer.trusted(world.north)
    assert await signer.trusted(world.north) == kid
    dora = await signer.person(world.north, "u-7", "dora@mail.test").arrive()
    await organisations.rotate_key(world.store, world.north.org, system_clock())
    await world.server_idle()
    assert await dora.refused(*ME) == (401, "auth.invalid_token")
    assert await signer.trusted(world.north) != kid
    await world.server_idle()
    assert (await signer.person(world.north, "u-7", "dora@mail.test").arrive()).id == dora.id


@pytest.mark.parametrize("subject", ["account:{id}", "account:1", "Account:{id}", " account:1", "plaza:x"])
async def test_no_signer_names_a_built_in_account(
    world: World, prefix: str, signers: tuple[Signer, Signer], subject: str
) -> None:
    """F5: such a token entered the account, and went on after the account had signed out."""
    signer, _ = signers
    await signer.trusted(world.north, "customer", "staff", "admin", claims=True)
    door = Door(world.north, "ann")
    await door.join()
    (row,) = await world.rows("select id from account where org = $1", world.north.org.id)
    sub = subject.format(id=row["id"])
    for forged in (
        signer.person(world.north, sub, "ann@mail.test"),
        signer.person(world.north, sub, "other@mail.test", iss="plaza", sid="1"),
        hosted(world.north, sub, "ann@mail.test"),
        hosted(world.north, sub, "ann@mail.test", iss="plaza"),
    ):
        assert await forged.refused(*ME) == RESERVED
        assert await kept_out(forged) == RESERVED[1]


async def test_only_this_server_opens_sessions(world: World, signers: tuple[Signer, Signer]) -> None:
    signer, _ = signers
    await signer.trusted(world.north)
    (row,) = [await Door(world.north, "ann").join()]
    session = await world.rows("select id from session where org = $1 and ended_at is null", world.north.org.id)
    assert row["user"]["email"] == "ann@mail.test"
    dora = signer.person(world.north, "u-7", "dora@mail.test", iss="plaza", sid=str(session[0]["id"]))
    assert (await dora.get("people/me"))["email"] == "dora@mail.test"


@pytest.mark.parametrize("role", ["staff", "admin"])
async def test_a_role_beyond_the_trust_is_refused_and_not_lowered(
    world: World, prefix: str, signers: tuple[Signer, Signer], role: str
) -> None:
    customers, staff = signers
    await customers.trusted(world.north)
    await staff.trusted(world.north, "staff", "admin")
    await staff.trusted(world.south)
    sue = customers.person(world.north, "u-1", "sue@mail.test", role=role)
    assert await sue.refused(*ME) == UNTRUSTED_ROLE
    assert await kept_out(sue) == UNTRUSTED_ROLE[1]
    assert await world.rows("select 1 from person where org = $1", world.north.org.id) == []
    sam = staff.person(world.north, "u-2", "sam@mail.test", role=role)
    assert (await sam.get("/profile/whoami"))["roles"] == [role]
    assert await staff.person(world.north, "u-3", "ann@mail.test").refused(*ME) == UNTRUSTED_ROLE
    assert await staff.person(world.south, "u-2", "sam@mail.test", role=role).refused(*ME) == UNTRUSTED_ROLE
    host = hosted(world.north, "host-1", "eve@mail.test", role=role)
    assert (await host.get("/profile/whoami"))["roles"] == [role]


async def test_a_role_that_is_taken_from_a_trust_ends_what_it_gave(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    signer, other = signers
    await signer.trusted(world.north, "customer", "staff")
    await other.trusted(world.north, "customer", "staff")
    sue = await signer.person(world.north, "u-1", "sue@mail.test", role="staff").arrive()
    sam = await other.person(world.north, "u-1", "sam@mail.test", role="staff").arrive()
    hers, his = await sue.socket(), await sam.socket()
    await signer.trusted(world.north, "customer")
    world.server.plaza.relay.wake()
    await world.server_idle()
    await asyncio.wait_for(hers.closed.wait(), 2)
    assert await sue.refused(*ME) == UNTRUSTED_ROLE
    assert his.client.connected
    await sam.get("people/me")


async def test_who_was_named_by_others_is_claimed_by_the_host_and_by_signers_that_may(
    world: World, prefix: str, signers: tuple[Signer, Signer]
) -> None:
    stranger, login = signers
    for tenant in (world.north, world.south):
        await stranger.trusted(tenant)
        await login.trusted(tenant, claims=True)
        (bob,) = await tenant.people("bob")
        for name in ("ann", "dora"):
            await bob.send(f"{name}@mail.test", "for whoever comes")
            early = stranger.person(tenant, f"x-{name}", f"{name}@mail.test")
            assert await early.refused(*ME) == TAKEN
        for owner in (hosted(tenant, "host-7", "ann@mail.test"), login.person(tenant, "u-7", "dora@mail.test")):
            assert await owner.get("messages/unread-count") == {"count": 1}


async def test_an_address_changes_by_a_token_of_the_persons_own_signer_only(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    signer, other = signers
    for one in signers:
        await one.trusted(world.north)
    early = int(time.time()) - 60
    dora = await signer.person(world.north, "u-7", "old@mail.test", iat=early).arrive()
    await other.person(world.north, "u-7", "new@mail.test").arrive()
    assert (await dora.get("people/me"))["email"] == "old@mail.test"
    moved = await signer.person(world.north, "u-7", "newer@mail.test").arrive()
    assert (moved.id, (await dora.get("people/me"))["email"]) == (dora.id, "newer@mail.test")
    # After a change by staff an older token by the old address means them still, of their own signer alone.
    byname = await signer.person(world.north, "zoe@mail.test", "zoe@mail.test", iat=early).arrive()
    await command(world, "person", "email", "zoe@mail.test", "zoe2@mail.test", "--org", world.north.slug)
    older = signer.person(world.north, "zoe@mail.test", "zoe@mail.test", iat=early, jti="2")
    assert (await older.arrive()).id == byname.id
    foreign = other.person(world.north, "zoe@mail.test", "zoe@mail.test", iat=early)
    assert (await foreign.arrive()).id != byname.id


@pytest.mark.parametrize("first", ["Carl@demo.test", "carl@demo.test", "CARL@DEMO.test"])
async def test_a_subject_that_is_an_address_is_compared_as_addresses_are(
    world: World, prefix: str, signers: tuple[Signer, Signer], first: str
) -> None:
    """B1: the second spelling was refused for good."""
    signer, _ = signers
    await signer.trusted(world.south)
    for come in (hosted, lambda tenant, sub, email: signer.person(world.south, sub, email)):
        ids = set()
        for sub in (first, "carl@demo.test", "Carl@demo.test", " carl@DEMO.TEST"):
            ids.add((await come(world.north, sub, sub).arrive()).id)
            ids.add((await come(world.north, sub, "carl@demo.test").arrive()).id)
        assert len(ids) == 1
    opaque = [(await hosted(world.north, sub, f"{n}@mail.test").arrive()).id for n, sub in enumerate(("Ab", "ab"))]
    assert len(set(opaque)) == 2


async def test_one_subject_that_comes_at_one_moment_under_two_addresses_is_one_person(world: World) -> None:
    for number in range(8):
        coming = [hosted(world.north, f"h-{number}", f"h{number}-{n}@mail.test", age=n) for n in range(4)]
        await asyncio.gather(*(person.arrive() for person in coming))
        assert len({person.id for person in coming}) == 1


# People of before, and those whom the version before makes beside this one.
async def before(world: World, tenant: Tenant, sub: str, email: str, *, signer: str | None = None) -> str:
    """Somebody as the version before has stored them: without a signer."""
    person = await hosted(tenant, f"{sub}-x", email).arrive()
    await world.rows("update person set subject = $2, signer = $3 where id = $1", int(person.id), sub, signer)
    return person.id


async def command(world: World, *words: str) -> tuple[int, str]:
    """(exit code, what was said) of the command."""
    whole = [*words, "--database-url", world.server.database_url]
    done = await asyncio.to_thread(CliRunner().invoke, main, whole)
    return done.exit_code, done.output


async def test_people_without_a_signer_are_the_hosts_where_no_key_set_could_have_signed(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    known = await before(world, world.north, "u-7", "dora@mail.test")
    for signer in signers:
        await signer.trusted(world.north)
    await world.rows("update org_key set created_at = now() + interval '1 day' where jwks_url is not null")
    assert (await signers[0].person(world.north, "u-7", "thief@mail.test").arrive()).id != known
    assert (await hosted(world.north, "u-7", "dora@mail.test", jti="2").arrive()).id == known


async def test_people_without_a_signer_are_those_of_the_only_key_set_that_was_ever_trusted(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    signer, _ = signers
    await signer.trusted(world.north)
    known = await before(world, world.north, "u-7", "dora@mail.test")
    named = await before(world, world.north, "zoe@mail.test", "zoe@mail.test")
    assert await hosted(world.north, "u-7", "dora@mail.test", jti="2").refused(*ME) == TAKEN
    assert (await signer.person(world.north, "u-7", "dora@mail.test").arrive()).id == known
    # As a host that began with addresses for subjects and now has others.
    assert (await signer.person(world.north, "u-8", "zoe@mail.test").arrive()).id == named


async def test_people_of_whom_nobody_can_tell_are_refused_until_the_operator_says_whose_they_are(
    world: World, prefix: str, signers: tuple[Signer, Signer]
) -> None:
    first, second = signers
    for tenant in (world.north, world.south):
        for signer in signers:
            await signer.trusted(tenant)
    known = await before(world, world.north, "u-7", "dora@mail.test")
    south = await before(world, world.south, "u-7", "dora@mail.test")
    coming = [*(signer.person(world.north, "u-7", "dora@mail.test") for signer in signers)]
    for person in (*coming, hosted(world.north, "u-7", "dora@mail.test", jti="2")):
        assert await person.refused(*ME) == UNKNOWN
        assert await kept_out(person) == UNKNOWN[1]
    listed = await command(world, "org", "signers", world.north.slug)
    assert "1 people   unknown   refused" in listed[1]
    assert f"0 people   {first.url}   customer" in listed[1]
    found = await command(world, "doctor")
    assert (found[0], f"plaza org signers {world.north.slug} --assign SIGNER" in found[1]) == (1, True)
    wrong = await command(world, "org", "signers", world.north.slug, "--assign", "https://elsewhere.test/keys")
    assert (wrong[0], "no such signer" in wrong[1]) == (1, True)
    done = await command(world, "org", "signers", world.north.slug, "--assign", first.url)
    assert (done[0], "Assigned 1 people" in done[1]) == (0, True)
    assert (await first.person(world.north, "u-7", "dora@mail.test", jti="2").arrive()).id == known
    assert await second.person(world.north, "u-7", "dora@mail.test", jti="2").refused(*ME) == TAKEN
    assert await first.person(world.south, "u-7", "dora@mail.test").refused(*ME) == UNKNOWN
    assert south != known


async def test_people_assigned_from_one_signer_to_another_leave_the_first_at_once(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    signer, _ = signers
    await signer.trusted(world.north)
    person = await hosted(world.north, "u-7", "dora@mail.test", age=60).arrive()
    both = await hosted(world.north, "u-8", "zoe@mail.test", age=60).arrive()
    await signer.person(world.north, "u-8", "other@mail.test").arrive()
    account = Door(world.north, "ann")
    await account.join()
    socket = await person.socket()
    words = ("org", "signers", world.north.slug, "--assign", signer.url, "--from", "host")
    done = await command(world, *words)
    assert (done[0], "Assigned 1 people" in done[1]) == (0, True)
    await asyncio.wait_for(socket.closed.wait(), 2)
    assert await person.refused(*ME) == TAKEN
    assert (await signer.person(world.north, "u-7", "dora@mail.test").arrive()).id == person.id
    assert (await both.get("people/me"))["id"] == both.id, "somebody of the same subject is there already"
    await account.sign_in()


async def test_a_signer_that_changed_unheard_ends_what_the_former_one_signed(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    socket, other = await alice.socket(), await bob.socket()
    await world.rows("update person set signer = 'jwks:0' where id = $1", int(alice.id))
    await asyncio.wait_for(socket.closed.wait(), 10)
    assert await alice.refused(*ME) == TAKEN
    assert other.client.connected


async def test_who_is_kept_out_is_logged_once_a_minute_for_each_signer(
    world: World, signers: tuple[Signer, Signer], caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = signers
    for signer in signers:
        await signer.trusted(world.north)
    await before(world, world.north, "u-7", "dora@mail.test")
    await hosted(world.north, "host-1", "ann@mail.test").arrive()
    with caplog.at_level("WARNING", "plaza.admission"):
        for _ in range(3):
            for signer in signers:
                assert await signer.person(world.north, "u-7", "dora@mail.test").refused(*ME) == UNKNOWN
            assert await first.person(world.north, "u-8", "ann@mail.test").refused(*ME) == TAKEN
    lines = [record.getMessage() for record in caplog.records if record.name == "plaza.admission"]
    assert len(lines) == 3
    assert sum(UNKNOWN[1] in line for line in lines) == 2
    assert not any("mail.test" in line for line in lines)


async def test_the_command_prints_no_token_for_somebody_of_another_signer(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    signer, _ = signers
    await signer.trusted(world.north)
    await signer.person(world.north, "u-7", "dora@mail.test").arrive()
    code, said = await command(world, "token", "dora@mail.test", "--org", world.north.slug)
    assert (code, said) == (1, "Error: This e-mail address belongs to another person of the organisation.\n")
