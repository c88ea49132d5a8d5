"""Tokens: every check of guarantees c.5, and the rules of the header `orgid` (contract, section 3.5)."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import msgspec
import pytest
import socketio.exceptions
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plaza.adapters import jwks
from plaza.domains.organisations import service as organisations
from plaza.domains.organisations.tokens import LONGEST_SECONDS
from plaza.kernel.clock import system_clock
from tests.jwks import KeyServer
from tests.world import Person, Tenant, World


def claims(tenant: Tenant, **more: Any) -> dict[str, Any]:
    """What a host system signs, by decision 34."""
    now = int(time.time())
    return {"sub": "host-7", "email": "Dora@mail.test", "org": tenant.slug, "iat": now, "exp": now + 600} | more


def signed(tenant: Tenant, payload: dict[str, Any], **options: Any) -> str:
    """A token of the organisation's own key."""
    key = options.pop("key", tenant.key.secret)
    return jwt.encode(payload, key, algorithm=options.pop("algorithm", "HS256"), **options)


def bearing(tenant: Tenant, token: str) -> Person:
    """Somebody with this token."""
    person = Person(tenant, "dora@mail.test")
    person.token = token
    return person


async def verdict(tenant: Tenant, token: str) -> tuple[int, str]:
    """(status, reason) of a request with a token; (200, "") when it is accepted."""
    answer = await bearing(tenant, token).ask("GET", "people/me")
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["reason"]


async def test_a_hosts_token_makes_its_person_just_in_time(world: World, prefix: str) -> None:
    payload = claims(world.north, name="Dora Dale", picture="https://cdn.test/d.png")
    me = await bearing(world.north, signed(world.north, payload)).get("people/me")
    assert (me["email"], me["firstName"], me["lastName"]) == ("dora@mail.test", "Dora", "Dale")
    assert me["image"] == "https://cdn.test/d.png"
    again = await bearing(world.north, signed(world.north, payload | {"jti": "2"})).get("people/me")
    assert again["id"] == me["id"]
    other = await bearing(world.south, signed(world.south, payload | {"org": world.south.slug})).get("people/me")
    assert other["id"] != me["id"]


async def test_those_who_come_at_the_same_moment_are_each_themselves(world: World) -> None:
    async def come(tenant: Tenant, number: int, moment: str) -> tuple[str, str]:
        said = claims(tenant, sub=f"host-{number}", email=f"p{number}@mail.test", jti=moment)
        me = await bearing(tenant, signed(tenant, said)).get("people/me")
        return me["id"], me["email"]

    everybody = [(tenant, number) for tenant in (world.north, world.south) for number in range(12)]
    half = await asyncio.gather(*(come(tenant, number, "1") for tenant, number in everybody[::2]))
    whole = await asyncio.gather(*(come(tenant, number, "2") for tenant, number in everybody))
    assert [email for _, email in whole] == [f"p{number}@mail.test" for _, number in everybody]
    assert whole[::2] == half
    assert len({person for person, _ in whole}) == len(everybody)


async def test_a_subject_that_is_an_address_needs_no_other(world: World) -> None:
    payload = claims(world.north, sub="dora@mail.test")
    del payload["email"]
    assert (await bearing(world.north, signed(world.north, payload)).get("people/me"))["email"] == "dora@mail.test"


async def test_another_subject_does_not_take_over_a_persons_address(world: World) -> None:
    assert await verdict(world.north, signed(world.north, claims(world.north))) == (200, "")
    thief = signed(world.north, claims(world.north, sub="host-8"))
    assert await verdict(world.north, thief) == (403, "person.address_taken")


NOW = int(time.time())
BAD_CLAIMS: list[dict[str, Any]] = [
    {"exp": None},
    {"exp": 1e30},
    {"exp": str(NOW + 600)},
    {"exp": NOW + LONGEST_SECONDS + 3600},
    {"iat": NOW + 3600, "exp": NOW + 7200},
    {"iat": "yesterday"},
    {"nbf": NOW + 3600},
    {"nbf": NOW + 1e15},
    {"nbf": str(NOW)},
    {"orgId": "elsewhere"},
    {"orgid": "elsewhere"},
    {"orgId": ""},
    {"orgId": ["north"]},
    {"sub": None},
    {"sub": ["host-7"]},
    {"sub": ""},
    {"sub": "a\x00b"},
    {"sub": "x" * 300},
    {"org": None},
    {"org": ["north"]},
    {"org": ""},
    {"email": None},
    {"email": "no address"},
    {"email": ["dora@mail.test"]},
    {"email": "a@b@c"},
    {"role": "root"},
    {"aud": "another-service"},
    {"aud": ["x", "y"]},
    {"aud": 5},
]


@pytest.mark.parametrize("changes", BAD_CLAIMS, ids=[f"{n}-{next(iter(c))}" for n, c in enumerate(BAD_CLAIMS)])
async def test_a_token_whose_claims_do_not_hold_is_refused(world: World, changes: dict[str, Any]) -> None:
    payload = {name: value for name, value in (claims(world.north) | changes).items() if value is not None}
    assert await verdict(world.north, raw(world.north, payload)) == (401, "auth.invalid_token")


@pytest.mark.parametrize("ago", [1, 10**6, 10**9])
async def test_a_token_whose_time_is_over_says_so(world: World, ago: int) -> None:
    token = raw(world.north, claims(world.north, iat=NOW - 2 * 10**9, exp=NOW - ago))
    assert await verdict(world.north, token) == (401, "auth.token_expired")


@pytest.mark.parametrize("aud", ["plaza", ["x", "plaza"]])
async def test_a_token_for_plaza_is_accepted(world: World, aud: object) -> None:
    assert await verdict(world.north, raw(world.north, claims(world.north, aud=aud))) == (200, "")


@pytest.mark.parametrize("nbf", [NOW - 10**9, NOW, NOW + 30, 0.5, -1, None], ids=["long", "now", "soon", "0", "-1", ""])
async def test_a_token_whose_time_has_begun_is_accepted_with_a_minutes_grace(world: World, nbf: object) -> None:
    """E2."""
    assert await verdict(world.north, raw(world.north, claims(world.north, nbf=nbf))) == (200, "")


@pytest.mark.parametrize("typ", ["jwt", "JWT", "at+jwt", "at+JWT", "application/at+jwt", "APPLICATION/JWT"])
async def test_a_type_is_compared_without_its_capitals(world: World, prefix: str, typ: str) -> None:
    """E3."""
    for tenant in (world.north, world.south):
        token = raw(tenant, claims(tenant), {"alg": "HS256", "typ": typ})
        assert await verdict(tenant, token) == (200, "")


async def test_a_token_that_names_two_organisations_is_refused_whichever_is_asked(world: World, prefix: str) -> None:
    """F15."""
    pair = [world.north, world.south]
    for tenant in pair:
        for first, second in (("org", "orgId"), ("orgId", "orgid"), ("orgid", "org")):
            payload = claims(tenant)
            del payload["org"]
            named = [payload | {first: one.slug, second: other.slug} for one in pair for other in pair if one != other]
            for both in named:
                assert await verdict(tenant, raw(tenant, both)) == (401, "auth.invalid_token")
            for agreed in (
                payload | {first: tenant.slug, second: tenant.slug},
                payload | {first: tenant.slug, second: None},
            ):
                assert await verdict(tenant, raw(tenant, agreed)) == (200, "")


async def test_a_claim_or_a_header_that_is_named_twice_is_refused(world: World, prefix: str) -> None:
    """F15; tests/kernel/test_tokens.py has the spellings."""
    for tenant, other in ((world.north, world.south), (world.south, world.north)):
        assert tenant.key.secret is not None
        body = msgspec.json.encode(claims(tenant)).decode()
        head = '{"alg":"HS256","typ":"JWT"}'
        twice = [(head, body[:-1] + f',"org":"{slug}"' + "}") for slug in (tenant.slug, other.slug)]
        twice += [
            (head, '{"sub":"host-8",' + body[1:]),
            ('{"alg":"none",' + head[1:], body),
            ('{"typ":"JWT",' + head[1:], body),
        ]
        for parts in twice:
            text = ".".join(base64.urlsafe_b64encode(one.encode()).decode().rstrip("=") for one in parts)
            mark = jwt.get_algorithm_by_name("HS256").sign(text.encode(), tenant.key.secret)
            token = f"{text}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"
            assert await verdict(tenant, token) == (401, "auth.invalid_token")


def raw(tenant: Tenant, payload: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """A token signed by the organisation's key, whatever it says: the library would not write some of these."""
    parts = [part(header or {"alg": "HS256", "typ": "JWT"}), part(payload)]
    body = ".".join(parts)
    assert tenant.key.secret is not None
    mark = jwt.get_algorithm_by_name("HS256").sign(body.encode(), tenant.key.secret)
    return f"{body}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE", "typ": "JWT"},
        {"alg": "HS512", "typ": "JWT"},
        {"alg": "HS256", "typ": "refresh"},
        {"alg": "HS256", "typ": "JWT", "crit": ["x"], "x": 1},
        {"alg": "HS256", "typ": "JWT", "kid": "../../etc/passwd"},
        {"alg": "HS256", "typ": "JWT", "kid": "' or 1=1 --"},
        {"alg": "HS256", "typ": "JWT", "kid": "http://127.0.0.1/"},
        {"alg": "HS256", "typ": "JWT", "kid": "k" * 4000},
        {"alg": ["HS256"], "typ": "JWT"},
        {"typ": "JWT"},
    ],
    ids=lambda header: str(header)[:60],
)
async def test_a_header_that_tries_something_is_refused(world: World, header: dict[str, Any]) -> None:
    assert await verdict(world.north, raw(world.north, claims(world.north), header)) == (401, "auth.invalid_token")


@pytest.mark.parametrize(
    "extra", [{"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}, {"jwk": {"kty": "oct"}}]
)
async def test_headers_that_bring_their_own_key_are_ignored(world: World, extra: dict[str, Any]) -> None:
    header = {"alg": "HS256", "typ": "JWT"} | extra
    assert await verdict(world.north, raw(world.north, claims(world.north), header)) == (200, "")


async def test_a_signature_that_is_missing_foreign_or_cut_is_refused(world: World) -> None:
    good = signed(world.north, claims(world.north))
    head, body, mark = good.split(".")
    other = signed(world.north, claims(world.north, sub="x")).split(".")[2]
    for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{other}", f"{head}.{body}.{mark[:-4]}", "a.b.c"):
        assert await verdict(world.north, token) == (401, "auth.invalid_token")
    assert await verdict(world.north, "x" * 20_000) == (401, "auth.invalid_token")
    south = signed(world.south, claims(world.north))
    assert await verdict(world.north, south) == (401, "auth.invalid_token")


async def test_a_nested_token_is_refused(world: World) -> None:
    inner = signed(world.north, claims(world.north))
    body = f"{part({'alg': 'HS256', 'cty': 'JWT'})}.{base64.urlsafe_b64encode(inner.encode()).decode().rstrip('=')}"
    mark = jwt.get_algorithm_by_name("HS256").sign(body.encode(), world.north.key.secret)
    token = f"{body}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"
    assert await verdict(world.north, token) == (401, "auth.invalid_token")


async def test_a_retired_key_is_refused_and_the_new_one_accepted(world: World) -> None:
    old = signed(world.north, claims(world.north))
    assert await verdict(world.north, old) == (200, "")
    await organisations.rotate_key(world.store, world.north.org, system_clock())
    await world.server_idle()
    (fresh,) = await organisations.keys(world.store, world.north.org)
    token = signed(world.north, claims(world.north), key=fresh.secret, headers={"kid": fresh.kid})
    assert await verdict(world.north, token) == (200, "")
    for late in (old, signed(world.north, claims(world.north, jti="2"))):
        assert await verdict(world.north, late) == (401, "auth.invalid_token")


async def test_a_key_that_comes_is_known_at_once_where_others_are_remembered(
    world: World, key_server: KeyServer
) -> None:
    assert await verdict(world.north, signed(world.north, claims(world.north))) == (200, "")
    private = ed25519.Ed25519PrivateKey.generate()
    key_server.publish("EdDSA", "k1", private.public_key())
    await organisations.trust_key_set(world.store, world.north.org, key_server.url, system_clock())
    said = claims(world.north, sub="partner-7", email="other@mail.test")
    token = jwt.encode(said, private, algorithm="EdDSA", headers={"kid": "k1"})
    assert await verdict(world.north, token) == (200, "")
    assert await verdict(world.south, signed(world.south, claims(world.south))) == (200, "")


@pytest.fixture
async def key_server() -> AsyncIterator[KeyServer]:
    async with KeyServer() as server:
        yield server


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_keys_that_a_signer_publishes_verify_its_tokens(
    world: World, key_server: KeyServer, algorithm: str
) -> None:
    private: Any = {
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }[algorithm]()
    key_server.publish(algorithm, "k1", private.public_key())
    await organisations.trust_key_set(world.store, world.north.org, key_server.url, system_clock())
    good = jwt.encode(claims(world.north), private, algorithm=algorithm, headers={"kid": "k1"})
    assert await verdict(world.north, good) == (200, "")
    unknown = jwt.encode(claims(world.north, sub="z"), private, algorithm=algorithm, headers={"kid": "k2"})
    assert await verdict(world.north, unknown) == (401, "auth.invalid_token")
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1'})}.{part(claims(world.north, sub='y'))}"
    mark = base64.urlsafe_b64encode(jwt.get_algorithm_by_name("HS256").sign(head.encode(), public)).decode()
    assert await verdict(world.north, f"{head}.{mark.rstrip('=')}") == (401, "auth.invalid_token")
    assert await verdict(world.south, jwt.encode(claims(world.south), private, algorithm=algorithm)) == (
        401,
        "auth.invalid_token",
    )


async def test_what_a_published_key_signed_ends_with_the_key_and_with_the_trust_in_its_set(
    world: World, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0.1)
    await organisations.trust_key_set(world.store, world.north.org, key_server.url, system_clock())
    sockets = {}
    for name in ("alice", "bob"):
        private = ed25519.Ed25519PrivateKey.generate()
        key_server.publish("EdDSA", f"key-of-{name}", private.public_key())
        person = world.north.person(name)
        said = claims(world.north, sub=name, email=person.email)
        person.token = jwt.encode(said, private, algorithm="EdDSA", headers={"kid": f"key-of-{name}"})
        await asyncio.sleep(0.1)
        sockets[name] = await (await person.arrive()).socket()
    key_server.withdraw("key-of-alice")
    await asyncio.wait_for(sockets["alice"].closed.wait(), 10)
    assert await sockets["alice"].person.refused("GET", "people/me") == (401, "auth.invalid_token")
    assert sockets["bob"].client.connected
    await organisations.rotate_key(world.store, world.north.org, system_clock())
    await asyncio.wait_for(sockets["bob"].closed.wait(), 2)
    assert await sockets["bob"].person.refused("GET", "people/me") == (401, "auth.invalid_token")


async def test_the_organisation_must_be_named_once_and_match_the_token(world: World, prefix: str) -> None:
    alice = world.north.person("alice")
    path = f"/{prefix}/messages/threads"
    bearer = {"authorization": f"Bearer {alice.token}"}

    async def ask(*headers: tuple[str, str]) -> tuple[int, str]:
        answer = await world.http.get(path, headers=[*bearer.items(), *headers])
        return answer.status_code, answer.json().get("reason", "")

    assert await ask() == (400, "org.missing")
    assert await ask(("orgid", "")) == (400, "org.missing")
    assert await ask(("orgid", world.north.slug), ("orgid", world.south.slug)) == (400, "request.invalid")
    assert await ask(("orgid", world.south.slug)) == (403, "org_mismatch")
    for wrong in ("nowhere", world.north.slug.upper(), f"{world.north.slug},{world.south.slug}", "null"):
        assert await ask(("orgid", wrong)) == (404, "org.not_found")
    answer = await world.http.get(path, headers={"orgid": world.north.slug})
    assert (answer.status_code, answer.json()["reason"]) == (401, "auth.missing")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_nobody_comes_into_a_suspended_organisation_with_or_without_a_token(world: World) -> None:
    (alice,), (twin,) = await world.north.people("alice"), await world.south.people("alice")
    await organisations.suspend(world.store, world.north.org, system_clock())
    world.server.plaza.relay.wake()
    await world.server_idle()
    shut = (403, "org.suspended")
    assert await alice.refused("GET", "people/me") == shut
    assert await alice.refused("GET", "people", headers={"authorization": ""}) == shut
    assert await alice.refused("POST", "/profile/customer/signin", {"email": alice.email, "password": "x1"}) == shut
    with pytest.raises(socketio.exceptions.ConnectionError):
        await alice.socket()
    assert (await twin.get("people/me"))["email"] == twin.email
    await organisations.suspend(world.store, world.north.org, system_clock(), lift=True)
    assert (await alice.get("people/me"))["email"] == alice.email


async def test_the_person_in_x_client_authorization_is_the_actor(world: World) -> None:
    alice, bob = await world.north.people("alice", "bob")
    me = await alice.get("people/me", headers={"x-client-authorization": f"Bearer {bob.token}"})
    assert me["email"] == bob.email


async def test_a_token_in_the_address_is_not_taken(world: World) -> None:
    alice = world.north.person("alice")
    answer = await world.http.get(
        f"/client/community/messages/threads?token={alice.token}", headers={"orgid": world.north.slug}
    )
    assert answer.status_code == 401


async def test_only_bearer_tokens_are_accepted(world: World) -> None:
    answer = await world.http.get(
        "/client/community/messages/threads",
        headers={"orgid": world.north.slug, "authorization": "Basic YWxpY2U6cHc="},
    )
    assert (answer.status_code, answer.json()["reason"]) == (401, "auth.missing")
