"""Whoever verifies an address by mail chooses its password; what a stranger typed at sign-up does not hold (F17)."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.api.test_accounts import OTHER, PASSWORD, Door
from tests.world import World, good

WRONG = (401, "auth.invalid_credentials")
REVOKED = (401, "auth.token_revoked")
THIRD = "a third horse 3"


async def refresh(door: Door, answer: Any) -> httpx2.Response:
    """The answer to a refresh token."""
    return await door.ask("profile/customer/refresh", {"refresh_token": answer["refreshToken"]})


async def test_a_strangers_password_and_sessions_are_over_when_the_owner_opens_the_link(world: World) -> None:
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann")
        signed_up, signed_in = await door.sign_up(PASSWORD), await door.sign_in(PASSWORD)
        answer = await door.verify()
        assert answer["hasPassword"] is False
        ann = door.holder(answer)
        assert (await ann.get("people/me"))["id"] == ann.id
        assert await door.refused("signin", password=PASSWORD) == WRONG
        for stranger in (signed_up, signed_in):
            assert await door.holder(stranger).refused("GET", "/profile") == REVOKED
            assert (await refresh(door, stranger)).json()["reason"] == "auth.invalid_refresh"
        change = {"currentPassword": PASSWORD, "newPassword": OTHER}
        assert await ann.refused("PUT", "/profile/password", change) == WRONG
        await door.post("password/forgot")
        await door.post("password/reset", code=await door.code(), newPassword=THIRD)
        assert (await door.sign_in(THIRD))["user"]["id"] == ann.id


async def test_the_owner_chooses_a_password_as_they_verify(world: World) -> None:
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann")
        await door.sign_up(PASSWORD)
        mails = len(await door.mails())
        answer = await door.verify(password=OTHER)
        assert answer["hasPassword"] is True
        assert await door.refused("signin", password=PASSWORD) == WRONG
        assert (await door.sign_in(OTHER))["user"] == answer["user"]
        assert len(await door.mails()) == mails, "nothing has changed that a mail would be about"


async def test_whoever_signed_up_and_reads_the_mail_keeps_the_password(world: World) -> None:
    for tenant in (world.north, world.south):
        ann, bob, carl = Door(tenant, "ann"), Door(tenant, "bob"), Door(tenant, "carl")
        first = await ann.verify(await ann.sign_up())
        await bob.sign_up()
        second = await bob.verify(await bob.sign_in())
        third = await carl.verify((await refresh(carl, await carl.sign_up())).json())
        for door, answer in ((ann, first), (bob, second), (carl, third)):
            assert answer["hasPassword"] is True
            assert (await door.sign_in())["user"] == answer["user"]


async def test_a_password_of_ones_own_wins_over_that_of_the_sign_up(world: World) -> None:
    door = Door(world.north, "ann")
    await door.verify(await door.sign_up(PASSWORD), password=OTHER)
    assert await door.refused("signin", password=PASSWORD) == WRONG
    await door.sign_in(OTHER)


async def test_a_token_of_anything_but_this_sign_up_proves_nothing_and_hinders_nobody(world: World) -> None:
    await world.north.people("hosted")
    eve, south = Door(world.north, "eve"), Door(world.south, "ann")
    others = [
        (await eve.join())["token"],
        (await eve.sign_in())["token"],
        (await south.sign_up())["token"],
        world.north.person("hosted").token,
        world.north.person("hosted", seconds=-10).token,
        "x",
    ]
    for number, token in enumerate([*others, None]):
        door = Door(world.north, f"ann-{number}")
        await door.sign_up()
        answer = await door.verify({"token": token} if token else None)
        assert answer["hasPassword"] is False
        assert await door.refused("signin", password=PASSWORD) == WRONG
    door = Door(world.north, "ann")
    mine = (await door.sign_up())["token"]
    lines = [("orgid", world.north.slug), ("authorization", f"Bearer {mine}"), ("authorization", "Basic eDp5")]
    body = {"email": door.email, "code": await door.code()}
    twice = await world.http.post("/profile/customer/verify", json=body, headers=lines)
    assert good(twice, 200)["hasPassword"] is False


async def test_the_token_of_an_earlier_sign_up_keeps_nothing_of_a_later_one(world: World) -> None:
    """Ann signs up, a stranger signs up after her; and the other way round."""
    door = Door(world.north, "ann")
    ann = await door.sign_up(PASSWORD)
    await door.sign_up(OTHER)
    assert (await door.verify(ann))["hasPassword"] is False
    for password in (PASSWORD, OTHER):
        assert await door.refused("signin", password=password) == WRONG
    door = Door(world.south, "ann")
    await door.sign_up(OTHER)
    assert (await door.verify(await door.sign_up(PASSWORD)))["hasPassword"] is True
    assert await door.refused("signin", password=OTHER) == WRONG
    await door.sign_in(PASSWORD)


async def test_a_password_that_is_not_taken_leaves_the_code_as_it_was(world: World) -> None:
    door = Door(world.north, "ann")
    await door.sign_up()
    code = await door.code()
    for weak in ("password1", "no digit here", door.email, "a1" * 101):
        assert await door.refused("verify", code=code, password=weak) == (400, "request.invalid")
    assert await door.refused("verify", code="a" * 26, password=OTHER) == (400, "auth.invalid_code")
    assert (await door.verify(password=OTHER))["hasPassword"] is True


async def test_the_mail_says_who_chooses_the_password(world: World) -> None:
    door = Door(world.north, "ann")
    await door.sign_up()
    assert "choose one when you verify" in (await door.mails())[0]["text"]
