"""Sessions of built-in accounts over HTTP: refresh tokens, sign-out, and what a new password ends."""

from __future__ import annotations

import asyncio
from typing import Any

import argon2
import pytest

from plaza.domains.accounts import over
from plaza.domains.accounts.jobs import sweep
from plaza.domains.accounts.session_queries import MOST_SESSIONS
from plaza.domains.organisations import tokens
from plaza.kernel.clock import system_clock
from tests.api.test_accounts import OTHER, PASSWORD, Door
from tests.world import World

INVALID = (401, "auth.invalid_refresh")
REUSED = (401, "auth.refresh_reused")
REVOKED = (401, "auth.token_revoked")


async def refresh(door: Door, answer: Any) -> Any:
    """The answer to the refresh token of an answer, which must be good."""
    found = await door.ask("profile/customer/refresh", {"refresh_token": answer["refreshToken"]})
    assert found.status_code == 200, found.text
    return found.json()


async def refused(door: Door, answer: Any) -> tuple[int, str]:
    """(status, reason) of the refresh token of an answer, which must be refused."""
    found = await door.ask("profile/customer/refresh", {"refresh_token": answer["refreshToken"]})
    return found.status_code, found.json()["reason"]


async def later(world: World, seconds: int) -> None:
    """Lets time pass for every session of this world."""
    await world.rows(
        "update session set used_at = used_at - make_interval(secs => $2) where org = any($1)",
        [world.north.org.id, world.south.org.id],
        seconds,
    )


async def test_a_refresh_token_gets_the_next_one_on_both_paths_under_both_names(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    for path in ("profile/customer/refresh", "customer/refresh"):
        for name in ("refresh_token", "refreshToken"):
            found = await door.ask(path, {name: answer["refreshToken"]})
            assert found.status_code == 200
            assert found.json()["user"] == answer["user"]
            assert found.json()["refreshToken"] != answer["refreshToken"]
            answer = found.json()
            await door.holder(answer).get("people/me")


async def test_an_expired_token_sent_along_does_not_keep_anybody_from_refreshing(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    expired = world.north.person("ann", seconds=-10)
    await expired.post("/profile/customer/refresh", {"refreshToken": answer["refreshToken"]})


async def test_a_refresh_token_used_again_later_ends_the_session_and_no_other(world: World) -> None:
    door, south = Door(world.north, "ann"), Door(world.south, "ann")
    first, elsewhere, foreign = await door.join(), await door.sign_in(), await south.join()
    second = await refresh(door, first)
    third = await refresh(door, second)
    await later(world, 60)
    assert await refused(door, first) == REUSED, "not the last one, but one of this session all the same"
    for answer in (first, second, third):
        assert await refused(door, answer) == INVALID
        assert await door.holder(answer).refused("GET", "/profile") == REVOKED
    await refresh(door, elsewhere)
    await door.holder(elsewhere).get("people/me")
    await refresh(south, foreign)


async def test_two_requests_at_once_with_one_refresh_token_get_the_same_next_one(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    answers = await asyncio.gather(*(refresh(door, answer) for _ in range(8)))
    assert len({found["refreshToken"] for found in answers}) == 1
    await later(world, 3600)
    await refresh(door, answers[3])


async def test_an_answer_that_was_lost_may_be_asked_for_again_within_the_grace(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    lost = await refresh(door, answer)
    await later(world, 20)
    again = await refresh(door, answer)
    assert again["refreshToken"] == lost["refreshToken"]
    await later(world, 20)
    assert await refused(door, answer) == REUSED


async def test_the_grace_is_for_the_last_refresh_token_alone(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    await refresh(door, await refresh(door, answer))
    assert await refused(door, answer) == REUSED


async def test_what_is_no_refresh_token_of_this_organisation_ends_nothing(world: World) -> None:
    north, south = Door(world.north, "ann"), Door(world.south, "ann")
    answer = await north.join()
    await south.join()
    stranger = await south.sign_in()
    assert await refused(north, stranger) == INVALID
    mixed = stranger["refreshToken"][:42] + answer["refreshToken"][42:]
    for text in (mixed, answer["token"][:200], "x", "ü" * 86, "A" * 86, "=" * 4):
        assert await refused(north, {"refreshToken": text}) == INVALID
    for body in ({}, {"refresh_token": None}, {"refresh_token": "a", "refreshToken": "b"}, {"refresh_token": 1}):
        assert (await north.ask("customer/refresh", body)).status_code == 400
    await refresh(north, answer)
    await refresh(south, stranger)


async def test_a_session_ends_when_it_was_not_used_for_a_month(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    (row,) = await world.rows(
        "select expires_at - created_at as life from session where org = $1 and ended_at is null", world.north.org.id
    )
    assert row["life"].days == 30
    await world.rows("update session set expires_at = now() where org = $1", world.north.org.id)
    assert await refused(door, answer) == INVALID


async def test_signing_out_ends_this_session_at_once_and_no_other(world: World) -> None:
    door, south = Door(world.north, "ann"), Door(world.south, "ann")
    answer, elsewhere, foreign = await door.join(), await door.sign_in(), await south.join()
    ann = door.holder(answer)
    await ann.get("people/me")
    socket = await ann.socket()
    assert await ann.post("/profile/signout") == {"success": True}
    await asyncio.wait_for(socket.closed.wait(), 5)
    assert await ann.refused("GET", "people/me") == REVOKED
    assert await ann.refused("POST", "/profile/signout") == REVOKED
    assert await refused(door, answer) == INVALID
    await door.holder(elsewhere).get("people/me")
    await south.holder(foreign).get("people/me")


async def test_an_account_that_waits_to_be_verified_may_sign_out_too(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.sign_up()
    await refresh(door, answer)
    await door.holder(answer).post("/profile/signout")
    assert await refused(door, answer) == INVALID


async def test_signing_out_with_a_token_of_the_hosts_own_signer_changes_nothing(world: World) -> None:
    (ann,) = await world.north.people("ann")
    for _ in range(2):
        assert await ann.post("/profile/signout") == {"success": True}
    await ann.get("people/me")


async def test_a_new_password_ends_every_session_and_answers_with_a_fresh_one(world: World) -> None:
    door, south = Door(world.north, "ann"), Door(world.south, "ann")
    answers = [await door.join(), await door.sign_in(), await door.sign_in()]
    foreign = await south.join()
    for answer in answers:
        await door.holder(answer).get("people/me")
    fresh = await door.holder(answers[1]).put("/profile/password", {"currentPassword": PASSWORD, "newPassword": OTHER})
    for answer in answers:
        assert await door.holder(answer).refused("GET", "people/me") == REVOKED
        assert await refused(door, answer) == INVALID
    assert fresh["user"] == answers[0]["user"]
    await door.holder(fresh).get("people/me")
    await refresh(door, fresh)
    assert await door.refused("signin", password=PASSWORD) == (401, "auth.invalid_credentials")
    await door.sign_in(OTHER)
    assert "was changed" in (await door.mails())[0]["subject"]
    await south.holder(foreign).get("people/me")
    await south.sign_in(PASSWORD)


async def test_a_new_password_needs_the_old_one_and_some_strength(world: World) -> None:
    door = Door(world.north, "ann")
    ann = door.holder(await door.join())
    wrong = {"currentPassword": OTHER, "newPassword": OTHER}
    assert await ann.refused("PUT", "/profile/password", wrong) == (401, "auth.invalid_credentials")
    weak = {"currentPassword": PASSWORD, "newPassword": "no digit here"}
    assert await ann.refused("PUT", "/profile/password", weak) == (400, "request.invalid")
    (bob,) = await world.north.people("bob")
    change = {"currentPassword": PASSWORD, "newPassword": OTHER}
    assert await bob.refused("PUT", "/profile/password", change) == (403, "auth.no_password")
    await ann.get("people/me")
    await door.sign_in(PASSWORD)


async def test_a_password_change_that_another_one_overtook_is_told_that_its_session_is_over(world: World) -> None:
    """It was told that no password is kept here."""
    door = Door(world.north, "ann")
    ann = door.holder(await door.join())
    await ann.get("people/me")
    # What the other change does to this session, before every process has been sent word of it.
    await world.rows("update session set ended_at = now() where org = $1", world.north.org.id)
    change = {"currentPassword": PASSWORD, "newPassword": OTHER}
    assert await ann.refused("PUT", "/profile/password", change) == (401, "auth.token_revoked")


async def test_a_session_opened_while_the_password_changed_is_over_from_the_start(world: World) -> None:
    door = Door(world.north, "ann")
    answer = await door.join()
    ann = door.holder(answer)
    outcomes = await asyncio.gather(
        ann.ask("PUT", "/profile/password", json={"currentPassword": PASSWORD, "newPassword": OTHER}),
        *(door.ask("profile/customer/signin", {"email": door.email, "password": PASSWORD}) for _ in range(6)),
    )
    assert outcomes[0].status_code == 200
    for outcome in outcomes[1:]:
        if outcome.status_code == 200:
            assert await door.holder(outcome.json()).refused("GET", "people/me") == REVOKED
            assert await refused(door, outcome.json()) == INVALID
    await door.holder(outcomes[0].json()).get("people/me")


async def test_a_session_of_an_earlier_epoch_is_over_though_nobody_ended_it(world: World) -> None:
    door, south = Door(world.north, "ann"), Door(world.south, "ann")
    answer, foreign = await door.join(), await south.join()
    await world.rows("update account set epoch = epoch + 1 where org = $1", world.north.org.id)
    assert await door.holder(answer).refused("GET", "people/me") == REVOKED
    assert await refused(door, answer) == INVALID
    await south.holder(foreign).get("people/me")


async def test_a_forgotten_password_is_replaced_by_a_code_which_ends_every_session(world: World) -> None:
    door, south = Door(world.north, "ann"), Door(world.south, "ann")
    answer = await door.join()
    foreign = await south.join()
    assert await door.post("password/forgot") == {"success": True}
    code = await door.code()
    assert await door.refused("password/reset", code=code, newPassword="no digit here") == (400, "request.invalid")
    assert await south.refused("password/reset", code=code, newPassword=OTHER) == (400, "auth.invalid_code")
    fresh = await door.post("password/reset", code=code, newPassword=OTHER)
    assert fresh["user"] == answer["user"]
    assert await door.holder(answer).refused("GET", "people/me") == REVOKED
    assert await door.refused("password/reset", code=code, newPassword=PASSWORD) == (400, "auth.invalid_code")
    assert await door.refused("signin", password=PASSWORD) == (401, "auth.invalid_credentials")
    await door.sign_in(OTHER)
    await south.holder(foreign).get("people/me")


async def test_a_code_for_a_new_password_proves_the_address_as_well(world: World) -> None:
    door = Door(world.north, "ann")
    stranger = door.holder(await door.sign_up())
    await door.post("password/forgot")
    fresh = await door.post("password/reset", code=await door.code(), newPassword=OTHER)
    assert fresh["user"]["verified"] is True
    assert await stranger.refused("GET", "/profile") == REVOKED
    await door.sign_in(OTHER)


async def test_asking_for_a_new_password_answers_alike_for_every_address(world: World) -> None:
    await Door(world.north, "member").join()
    await Door(world.north, "waiting").sign_up()
    await world.north.people("hosted")
    subjects = []
    for name in ("member", "waiting", "hosted", "nobody"):
        door = Door(world.north, name)
        assert await door.post("password/forgot") == {"success": True}
        subjects.append((await door.mails())[0]["subject"])
    slug = world.north.slug
    assert subjects == [
        *[f"Choose a new password for {slug}"] * 2,
        f"You are a member of {slug} already",
        f"No account at {slug}",
    ]


async def test_one_account_has_twenty_sessions_at_most(world: World) -> None:
    door = Door(world.north, "ann")
    first = await door.join()
    second = await door.sign_in()
    await later(world, 60)
    first = await refresh(door, first)
    for _ in range(MOST_SESSIONS - 1):
        await door.sign_in()
    await refresh(door, first)
    assert await refused(door, second) == INVALID
    assert await door.holder(second).refused("GET", "people/me") == REVOKED


async def test_an_old_digest_is_made_anew_at_the_next_sign_in(world: World) -> None:
    door = Door(world.north, "ann")
    await door.join()
    old = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    await world.rows("update account set password_hash = $2 where org = $1", world.north.org.id, old)
    await door.sign_in()
    (row,) = await world.rows("select password_hash from account where org = $1", world.north.org.id)
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await door.sign_in()


@pytest.mark.parametrize("session", ["own", "1", "9" * 40, "99999999999"])
async def test_a_session_in_a_token_must_be_that_of_its_subject(world: World, session: str) -> None:
    door = Door(world.north, "ann")
    await door.join()
    (row,) = await world.rows("select id from session where org = $1 and ended_at is null", world.north.org.id)
    forged = door.holder({"token": "", "user": {"id": None}})
    forged.token = tokens.mint(
        world.north.org,
        world.north.key,
        subject="account:1",
        email=door.email,
        now=system_clock(),
        seconds=60,
        sid=str(row["id"]) if session == "own" else session,
    )
    assert await forged.refused("GET", "/profile") == REVOKED


async def test_what_is_over_is_told_and_swept_away(world: World) -> None:
    north, south = Door(world.north, "ann"), Door(world.south, "ann")
    orgs = [world.north.org.id, world.south.org.id]
    await north.sign_up()
    await south.sign_up()
    rows = await world.rows("select org, id from session where org = any($1) order by org", orgs)
    pairs = [(row["org"], row["id"]) for row in rows]
    assert await over(world.store, pairs, system_clock()) == []
    await world.rows(
        "update session set ended_at = now(), expires_at = now() - interval '2 days' where org = $1", orgs[0]
    )
    told = await over(world.store, [*pairs, (orgs[1], pairs[0][1])], system_clock())
    assert sorted((session.org, session.id) for session in told) == [pairs[0], (orgs[1], pairs[0][1])]
    await world.rows("update account set created_at = now() - interval '31 days' where org = $1", orgs[0])
    await world.rows("update mail set created_at = now() - interval '31 days' where org = $1", orgs[0])
    assert await sweep(world.store, system_clock()) >= 3
    for table in ("session", "account", "account_code", "mail"):
        left = await world.rows(f"select org from {table} where org = any($1)", orgs)
        assert [row["org"] for row in left] == [orgs[1]], table
