"""Built-in accounts over HTTP (contract, section 1.18, decision 16): sign up, verify, sign in; nobody learns more."""

from __future__ import annotations

import re
from typing import Any

import argon2
import httpx2
import pytest
import socketio.exceptions

from plaza.domains.accounts import passwords
from tests.world import Person, Tenant, World, good

PASSWORD = "correct horse 1"
OTHER = "another horse 2"


class Door:
    """Where somebody without a token stands: one address at one organisation, and its letter box."""

    def __init__(self, tenant: Tenant, name: str) -> None:
        self.tenant = tenant
        self.world = tenant.world
        self.email = f"{name}@mail.test"

    async def ask(self, path: str, json: Any, *, token: str | None = None) -> httpx2.Response:
        """A POST that names the organisation, and nobody unless a token is sent along."""
        headers = {"orgid": self.tenant.slug} | ({"authorization": f"Bearer {token}"} if token else {})
        return await self.world.http.post(f"/{path}", json=json, headers=headers)

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        """The body of a POST about this address that must succeed."""
        return good(await self.ask(f"profile/customer/{path}", {"email": self.email} | body), status)

    async def refused(self, path: str, **body: Any) -> tuple[int, str]:
        """(status, reason) of a POST about this address that must be refused."""
        answer = await self.ask(f"profile/customer/{path}", {"email": self.email} | body)
        return answer.status_code, answer.json()["reason"]

    async def sign_up(self, password: str = PASSWORD, **more: Any) -> Any:
        """Signs up, and waits to be verified."""
        return await self.post("signup", 201, password=password, **more)

    async def sign_in(self, password: str = PASSWORD) -> Any:
        """Signs in."""
        return await self.post("signin", password=password)

    async def join(self, password: str = PASSWORD, **more: Any) -> Any:
        """Signs up and verifies the address as whoever signed up: the password holds."""
        return await self.verify(await self.sign_up(password, **more))

    async def verify(self, sign_up: Any = None, **more: Any) -> Any:
        """Verifies the address, with the token of a sign-up or as somebody who has read the mail and no more."""
        body = {"email": self.email, "code": await self.code(), **more}
        token = sign_up and sign_up["token"]
        return good(await self.ask("profile/customer/verify", body, token=token), 200)

    def holder(self, answer: Any) -> Person:
        """Whoever has the token of an answer."""
        person = Person(self.tenant, self.email)
        person.token, person.id = answer["token"], answer["user"]["id"] or ""
        return person

    async def mails(self) -> list[Any]:
        """The mails to this address, the newest first."""
        return await self.world.rows(
            "select subject, text from mail where org = $1 and recipient = $2 order by id desc",
            self.tenant.org.id,
            self.email,
        )

    async def code(self) -> str:
        """The code in the newest mail."""
        found = re.search(r"this code: (\w+)", (await self.mails())[0]["text"])
        assert found is not None
        return found[1]


class Runs:
    """How often argon2 has computed anything."""

    def __init__(self) -> None:
        self.count = 0

    def since(self) -> int:
        """The runs since it was asked last."""
        count, self.count = self.count, 0
        return count


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Counts the real thing."""
    counted = Runs()
    for name in ("hash_secret", "verify_secret"):
        real = getattr(argon2.low_level, name)

        def counting(*args: Any, real: Any = real, **options: Any) -> Any:
            counted.count += 1
            return real(*args, **options)

        monkeypatch.setattr(argon2.low_level, name, counting)
        monkeypatch.setattr(argon2._password_hasher, name, counting)
    return counted


def shape(value: Any) -> Any:
    """A body without what is random in it."""
    if isinstance(value, dict):
        return {
            key: "…" if key in ("token", "refreshToken", "requestId") else shape(part) for key, part in value.items()
        }
    return value


async def test_a_sign_up_answers_like_a_sign_in_with_a_token_for_the_profile_alone(world: World) -> None:
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann")
        answer = await door.sign_up(firstName="Ann", lastName="Lee", phone="+49 1")
        assert set(answer) == {"token", "refreshToken", "expiresIn", "user"}
        assert answer["expiresIn"] == 3600
        ann = door.holder(answer)
        expected = {
            "id": None,
            "email": "ann@mail.test",
            "roles": ["customer"],
            "firstName": "Ann",
            "lastName": "Lee",
            "image": None,
            "phone": "+49 1",
            "verified": False,
        }
        assert answer["user"] == await ann.get("/profile") == await ann.get("/profile/whoami") == expected
        assert shape(await door.sign_in()) == shape(answer)
        for path in ("people/me", "messages/threads", "presence/online"):
            assert await ann.refused("GET", path) == (403, "auth.unverified")
        with pytest.raises(socketio.exceptions.ConnectionError):
            await ann.socket()
    people = await world.rows("select 1 from person where org = any($1)", [world.north.org.id, world.south.org.id])
    assert people == [], "nobody is made before the address is verified"


async def test_verifying_signs_in_as_a_person_and_the_other_organisation_notices_nothing(world: World) -> None:
    north, south = Door(world.north, "ann"), Door(world.south, "ann")
    await south.sign_up()
    answer = await north.join(firstName="Ann")
    ann = north.holder(answer)
    assert answer["user"]["verified"] is True
    assert (await ann.get("people/me"))["id"] == answer["user"]["id"]
    assert (await ann.get("people/me"))["firstName"] == "Ann"
    assert (await north.sign_in())["user"] == answer["user"]
    assert (await south.sign_in())["user"]["verified"] is False
    assert await world.rows("select 1 from person where org = $1", world.south.org.id) == []
    foreign = await world.http.get("/profile", headers=ann.headers | {"orgid": world.south.slug})
    assert (foreign.status_code, foreign.json()["reason"]) == (403, "org_mismatch")


async def test_what_was_sent_to_an_address_is_found_after_verification_and_not_before(world: World) -> None:
    for tenant in (world.north, world.south):
        (bob,) = await tenant.people("bob")
        await bob.send("ann@mail.test", f"welcome to {tenant.slug}")
    door = Door(world.north, "Ann")
    before = door.holder(await door.sign_up(firstName="Ann"))
    assert await before.refused("GET", "messages/threads") == (403, "auth.unverified")
    door.email = "ann@mail.test"
    ann = door.holder(await door.post("verify", code=await door.code()))
    (thread,) = await ann.get("messages/threads")
    assert thread["lastMessage"]["content"] == f"welcome to {world.north.slug}"
    assert await before.refused("GET", "/profile") == (401, "auth.token_revoked")
    unclaimed = await world.rows(
        "select subject from person where org = $1 and email = 'ann@mail.test'", world.south.org.id
    )
    assert [row["subject"] for row in unclaimed] == [None]


async def test_a_sign_up_answers_alike_whoever_has_the_address_and_takes_as_many_runs(world: World, runs: Runs) -> None:
    (bob, _host) = await world.north.people("bob", "hosted")
    await bob.send("invited@mail.test")
    await Door(world.north, "member").join()
    await Door(world.north, "waiting").sign_up()
    runs.since()
    answers = []
    for name in ("new", "invited", "member", "waiting", "hosted"):
        door = Door(world.north, name)
        answer = await door.ask("profile/customer/signup", {"email": door.email, "password": OTHER})
        assert runs.since() == 2
        ann = door.holder(answer.json())
        assert await ann.refused("GET", "people/me") == (403, "auth.unverified")
        headers = sorted(header for header in answer.headers if header != "date")
        user = answer.json()["user"]
        assert user == await ann.get("/profile") == (await door.sign_in(OTHER))["user"]
        assert user.pop("email") == door.email
        runs.since()
        answers.append((answer.status_code, headers, shape(answer.json()) | {"user": user}))
    assert all(answer == answers[0] for answer in answers)


async def test_only_the_mail_tells_whether_the_address_was_taken(world: World) -> None:
    await world.north.people("hosted")
    member = Door(world.north, "member")
    await member.join()
    subjects = {}
    for name in ("new", "member", "hosted"):
        door = Door(world.north, name)
        await door.sign_up(OTHER)
        subjects[name] = (await door.mails())[0]["subject"]
        assert ("this code" in (await door.mails())[0]["text"]) == (name == "new")
    assert subjects == {
        "new": f"Verify your e-mail address for {world.north.slug}",
        "member": f"You already have an account at {world.north.slug}",
        "hosted": f"You are a member of {world.north.slug} already",
    }
    assert (await member.sign_in())["user"]["verified"] is True


async def test_a_refused_sign_in_is_the_same_for_an_unknown_address(world: World, runs: Runs) -> None:
    await Door(world.north, "member").join()
    await Door(world.north, "waiting").sign_up()
    await Door(world.south, "stranger").join()
    runs.since()
    refusals = []
    for name in ("member", "waiting", "stranger"):
        door = Door(world.north, name)
        answer = await door.ask("profile/customer/signin", {"email": door.email, "password": OTHER})
        assert runs.since() == 2
        refusals.append((answer.status_code, sorted(answer.headers), shape(answer.json())))
    assert refusals[0][0] == 401
    assert refusals[0][2]["reason"] == "auth.invalid_credentials"
    assert all(refusal == refusals[0] for refusal in refusals)
    await Door(world.north, "member").sign_in()
    assert runs.since() == 2


async def test_more_sign_ins_than_the_machine_bears_are_asked_to_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(world.north, "ann")
    await door.join()
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    answer = await door.ask("profile/customer/signin", {"email": door.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["reason"]) == (503, "server.busy")
    assert answer.headers["retry-after"] == "1"


async def test_a_wrong_a_used_an_expired_and_a_foreign_code_answer_alike(world: World) -> None:
    north, south = Door(world.north, "ann"), Door(world.south, "ann")
    await north.sign_up()
    await south.sign_up()
    code = await north.code()
    wrong = (400, "auth.invalid_code")
    assert await north.refused("verify", code="a" * 26) == wrong
    assert await north.refused("verify", code=await south.code()) == wrong
    assert await Door(world.north, "nobody").refused("verify", code=code) == wrong
    assert await north.refused("password/reset", code=code, newPassword=OTHER) == wrong
    await world.rows("update account_code set expires_at = now() where org = $1", world.north.org.id)
    assert await north.refused("verify", code=code) == wrong
    await north.sign_up()
    assert await north.refused("verify", code=code) == wrong
    await north.post("verify", code=f" {(await north.code()).upper()}\n")
    assert await north.refused("verify", code=await north.code()) == wrong


async def test_the_newest_sign_up_replaces_the_one_before(world: World) -> None:
    door = Door(world.north, "ann")
    first = door.holder(await door.sign_up())
    second = door.holder(await door.sign_up(OTHER))
    assert await first.refused("GET", "/profile") == (401, "auth.token_revoked")
    assert await door.refused("signin", password=PASSWORD) == (401, "auth.invalid_credentials")
    assert (await second.get("/profile"))["verified"] is False


async def test_after_sign_ups_with_different_passwords_the_owner_of_the_address_chooses_anew(world: World) -> None:
    door = Door(world.north, "ann")
    await door.sign_up(PASSWORD)
    stranger = door.holder(await door.sign_up(OTHER))
    assert "more than once" in (await door.mails())[0]["text"]
    ann = door.holder(await door.post("verify", code=await door.code()))
    await ann.get("people/me")
    for password in (PASSWORD, OTHER):
        assert await door.refused("signin", password=password) == (401, "auth.invalid_credentials")
    assert await stranger.refused("GET", "/profile") == (401, "auth.token_revoked")
    await door.post("password/forgot")
    await door.post("password/reset", code=await door.code(), newPassword="a third horse 3")
    assert (await door.sign_in("a third horse 3"))["user"]["id"] == ann.id


async def test_signing_up_twice_with_the_same_password_is_no_quarrel(world: World) -> None:
    door = Door(world.north, "ann")
    await door.sign_up()
    await door.verify(await door.sign_up())
    assert (await door.sign_in())["user"]["verified"] is True


async def test_a_person_of_the_hosts_own_login_is_not_taken_over_by_an_account(world: World) -> None:
    door = Door(world.north, "ann")
    await door.sign_up()
    code = await door.code()
    (ann,) = await world.north.people("ann")
    assert await door.refused("verify", code=code) == (400, "auth.invalid_code")
    assert (await ann.get("people/me"))["id"] == ann.id
    await door.post("password/forgot")
    assert "this code" not in (await door.mails())[0]["text"]


async def test_an_accounts_person_is_not_taken_over_by_a_token_of_another_subject(world: World) -> None:
    door = Door(world.north, "ann")
    await door.join()
    assert await world.north.person("ann").refused("GET", "people/me") == (403, "person.address_taken")


async def test_a_suspended_person_learns_so_after_the_right_password_only(world: World) -> None:
    north, south = Door(world.north, "ann"), Door(world.south, "ann")
    answer = await north.join()
    await south.join()
    await world.rows("update person set status = 'suspended' where org = $1", world.north.org.id)
    assert await north.refused("signin", password=OTHER) == (401, "auth.invalid_credentials")
    assert await north.refused("signin", password=PASSWORD) == (403, "person.suspended")
    refused = await north.ask("customer/refresh", {"refreshToken": answer["refreshToken"]})
    assert (refused.status_code, refused.json()["reason"]) == (403, "person.suspended")
    await south.sign_in()


async def test_a_token_of_the_hosts_own_signer_shows_its_profile(world: World) -> None:
    (ann,) = await world.north.people("ann")
    profile = await ann.get("/profile")
    assert profile["id"] == ann.id
    assert profile["verified"] is True
    assert profile["roles"] == ["customer"]
    staff = await world.north.person("sue", role="staff").get("/profile/whoami")
    assert staff["roles"] == ["staff"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "ann@mail.test"}, "password"),
        ({"email": "no address", "password": PASSWORD}, "email"),
        ({"email": "a@b.test\r\nBcc: c@d.test", "password": PASSWORD}, "email"),
        ({"email": "ann@mail.test", "password": "short 1"}, "password"),
        ({"email": "ann@mail.test", "password": "no digit here"}, "password"),
        ({"email": "ann@mail.test", "password": "12345678"}, "password"),
        ({"email": "ann@mail.test", "password": "a1" * 101}, "password"),
        ({"email": "ann@mail.test", "password": 12345678}, "password"),
        ({"email": ["ann@mail.test"], "password": PASSWORD}, "email"),
        ({"email": "ann@mail.test", "password": PASSWORD, "firstName": "A" * 101}, "firstName"),
        ({"email": "ann@mail.test", "password": PASSWORD, "verified": True}, "verified"),
        ({"email": "ann@mail.test", "password": PASSWORD, "role": "admin"}, "role"),
    ],
)
async def test_a_sign_up_that_is_not_valid_names_the_field(world: World, body: dict[str, Any], field: str) -> None:
    answer = await Door(world.north, "ann").ask("profile/customer/signup", body)
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["details"]] == [field]
    assert await world.rows("select 1 from account where org = $1", world.north.org.id) == []


COMMON = [
    "password1",
    "Password1",
    "PASSWORD1",
    "ｐａｓｓｗｏｒｄ１",
    "qwerty123",
    "pa\u017f\u017fword1",
    "1q2w3e4r",
    "passw0rd",
    "password1 ",
    "passw\u00adord1",
    "password\u200b1",
    "passwo\u034frd1",
]
OWN = ["ann.lee9@mail.test", "Ann.Lee9@Mail.Test", "ann.lee9", "ANN.LEE9", "ａnn.lee9", "ann.lee9 "]


@pytest.mark.parametrize("password", COMMON + OWN)
async def test_a_common_password_and_ones_own_address_are_refused_wherever_a_password_is_chosen(
    world: World, password: str
) -> None:
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann.lee9")
        assert await refusing_field(door, "signup", password=password) == "password"
        answer = await door.join()
        assert await refusing_field(door, "password/reset", code="a" * 26, newPassword=password) == "newPassword"
        ann = door.holder(answer)
        change = await ann.ask("PUT", "/profile/password", json={"currentPassword": PASSWORD, "newPassword": password})
        assert [detail["field"] for detail in change.json()["details"]] == ["newPassword"]
        await door.sign_in()
        other = Door(tenant, "somebody-else")
        if password in OWN:
            await other.sign_up(password)


async def refusing_field(door: Door, path: str, **body: Any) -> str:
    """The field that a refusal of a POST about this address names."""
    answer = await door.ask(f"profile/customer/{path}", {"email": door.email} | body)
    assert answer.status_code == 400, answer.text
    (detail,) = answer.json()["details"]
    return str(detail["field"])


def test_the_list_of_common_passwords_has_what_would_be_taken_otherwise() -> None:
    lines = passwords.COMMON.read_text("utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 3_000
    for line in lines:
        assert passwords._folded(line) == line
        assert len(line) >= 8
        assert passwords._LETTER_AND_DIGIT.match(line)


@pytest.mark.parametrize("character", ["\u212a", "\uff4b", "\u017f", "\u0131", "\u00df"])
async def test_an_address_with_what_stands_for_a_plain_character_is_refused_everywhere(
    world: World, prefix: str, character: str
) -> None:
    written = f"{character}evin@mail.test"
    kevin, _bob = await world.north.people("kevin", "bob")
    socket = await kevin.socket()
    for path, body, field in (
        ("messages", {"to": written, "content": "hello"}, "to"),
        ("blocks", {"targetId": written}, "targetId"),
    ):
        answer = await kevin.ask("POST", path, json=body)
        assert (answer.status_code, [detail["field"] for detail in answer.json()["details"]]) == (400, [field])
    acknowledged = await socket.ask("sendMessage", {"to": written, "content": "hello"})
    assert (acknowledged["code"], acknowledged["details"][0]["field"]) == ("request.invalid", "to")
    for tenant in (world.north, world.south):
        door = Door(tenant, "ann")
        door.email = written
        for path in ("signup", "signin"):
            assert await refusing_field(door, path, password=PASSWORD) == "email"
        assert await refusing_field(door, "password/forgot") == "email"
        assert await refusing_field(door, "verify", code="a") == "email"
        assert await Person(tenant, written).refused("GET", "people/me") == (401, "auth.invalid_token")
    assert await world.rows("select 1 from person where org = $1", world.south.org.id) == []


async def test_a_nul_is_refused_and_any_letters_and_digits_make_a_password(world: World) -> None:
    door = Door(world.north, "ann")
    assert await door.refused("signup", password="a1\x00aaaaaa") == (400, "request.invalid")
    await door.sign_up("пароль\n٣😀 café")
    await door.sign_in("пароль\n٣😀 cafe\u0301")


async def test_nothing_that_a_stranger_typed_stands_in_a_mail_but_the_address(world: World) -> None:
    door = Door(world.north, "ann")
    await door.sign_up(firstName="Win\r\nBcc: x@evil.test", lastName="https://evil.test", phone="evil")
    assert "evil" not in str([dict(mail) for mail in await door.mails()])


async def test_one_address_gets_five_mails_an_hour_and_the_last_code_still_works(world: World) -> None:
    door = Door(world.north, "ann")
    for _ in range(7):
        await door.sign_up()
    assert len(await door.mails()) == 5
    await door.post("verify", code=await door.code())
    other = Door(world.south, "ann")
    await other.sign_up()
    assert len(await other.mails()) == 1
