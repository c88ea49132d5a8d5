"""Key sets: whatever an address answers, nobody waits for long, nothing fails, and only keys for tokens verify them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import base64url_encode, der_to_raw_signature

from plaza.adapters import jwks
from plaza.adapters.jwk import Unusable, public_key
from plaza.adapters.jwks import KeySetError, KeySets
from plaza.cli.main import main
from tests.api.test_tokens import part
from tests.jwks import Signer, jwk
from tests.world import Tenant, World

INVALID = (401, "auth.invalid_token")
ME = ("GET", "people/me")


@pytest.fixture
async def signers() -> AsyncIterator[tuple[Signer, Signer]]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(Signer()), await stack.enter_async_context(Signer())


@pytest.fixture
async def signer(signers: tuple[Signer, Signer], world: World) -> Signer:
    """One that both organisations trust."""
    for tenant in (world.north, world.south):
        await signers[0].trusted(tenant)
    return signers[0]


def signed(signer: Signer, tenant: Tenant, kid: str | None, private: Any = None, name: str = "dora") -> str:
    """A token by a key of this name."""
    now = int(time.time())
    said = {"sub": f"u-{name}", "email": f"{name}@mail.test", "org": tenant.slug, "iat": now, "exp": now + 600}
    said["jti"] = f"{time.monotonic_ns()}"
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(said, private or signer.private, algorithm="EdDSA", headers=headers)


async def verdict(tenant: Tenant, token: str) -> tuple[int, str]:
    """(status, reason) of a request with a token."""
    person = tenant.person("dora")
    person.token = token
    answer = await person.ask(*ME)
    return answer.status_code, answer.json().get("reason", "")


ACCEPTED = (200, "")
WRONG: dict[str, Callable[[Signer], None]] = {
    "list": lambda s: s.answers(b"[]"),
    "null": lambda s: s.answers(b"null"),
    "object": lambda s: s.answers(b"{}"),
    "no keys": lambda s: s.answers(b'{"keys": null}'),
    "keys of an object": lambda s: s.answers(b'{"keys": {"k1": {}}}'),
    "no objects": lambda s: s.answers(b'{"keys": [1, "x", null, [], {}, {"kty": 5}, {"kty": ["RSA"], "crv": {}}]}'),
    "many keys": lambda s: s.answers(b'{"keys": [' + b"{}," * 10_000 + b"{}]}"),
    "deep": lambda s: s.answers(b"[" * 100_000),
    "deep keys": lambda s: s.answers(b'{"keys": [{"kty": ' + b"[" * 100_000),
    "not UTF-8": lambda s: s.answers(b'{"keys": "\xff"}'),
    "empty": lambda s: s.answers(b""),
    "HTML": lambda s: s.answers(b"<html>sign in</html>", b"content-type: text/html"),
    "too large": lambda s: s.answers(b'{"keys": []}' + b" " * jwks.LARGEST),
    "error": lambda s: s.answers(json.dumps({"keys": s.keys}).encode(), status=b"500 Oops"),
    "created": lambda s: s.answers(json.dumps({"keys": s.keys}).encode(), status=b"201 Created"),
    "compressed": lambda s: s.answers(gzip.compress(json.dumps({"keys": s.keys}).encode()), b"content-encoding: gzip"),
    "a bomb": lambda s: s.answers(gzip.compress(b" " * 50_000_000), b"content-encoding: GZip"),
    "no HTTP": lambda s: setattr(s, "answer", b"SSH-2.0-OpenSSH\r\n"),
    "endless head": lambda s: setattr(s, "answer", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200_000),
    "nothing": lambda s: setattr(s, "answer", b"\r\n"),
    "cut": lambda s: setattr(s, "answer", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
}


@pytest.mark.parametrize("shape", WRONG)
async def test_an_address_that_gives_no_key_set_is_fetched_once_and_refuses_its_tokens(
    world: World, signer: Signer, shape: str
) -> None:
    WRONG[shape](signer)
    for _ in range(2):
        tenants = [world.north, world.south] * 3
        done = await asyncio.gather(*(verdict(tenant, signed(signer, tenant, "k1")) for tenant in tenants))
        assert done == [INVALID] * len(tenants)
    assert signer.asked <= 2, "a set without the key is fetched once more, a failure is kept"
    alice = world.north.person("alice")
    assert (await alice.get("people/me"))["email"] == alice.email, "the organisation's own keys are as ever"


@pytest.mark.parametrize("shape", ["null", "no objects", "deep", "compressed", "error"])
async def test_keys_that_were_fetched_before_stay_while_the_address_fails(
    world: World, signer: Signer, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await verdict(world.north, signed(signer, world.north, "k1")) == ACCEPTED
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0.0)
    # What was fetched first is fresh for minutes: as if they were over.
    held = world.server.plaza.key_sets._held[signer.url]
    held.until = 0.0
    WRONG[shape](signer)
    expected = INVALID if shape == "no objects" else ACCEPTED  # that is a key set, without the key
    for tenant in (world.north, world.south):
        assert await verdict(tenant, signed(signer, tenant, "k1")) == expected


async def test_a_redirect_is_not_followed(world: World, signers: tuple[Signer, Signer]) -> None:
    first, second = signers
    await first.trusted(world.north)
    first.answers(b"", b"location: " + second.url.encode(), status=b"302 Found")
    assert await verdict(world.north, signed(second, world.north, "k1")) == INVALID
    assert second.asked == 0


async def test_an_answer_that_drips_is_given_up_in_the_time_for_all_of_it(
    world: World, signers: tuple[Signer, Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.5)
    slow, good = signers

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        slow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await slow.trusted(world.north)
        await good.trusted(world.north)
        async with asyncio.timeout(5):
            assert await verdict(world.north, signed(slow, world.north, "k1")) == INVALID
            assert await verdict(world.north, signed(good, world.north, "k1")) == ACCEPTED


async def test_those_who_come_together_wait_for_one_fetch(world: World, signer: Signer) -> None:
    signer.gate.clear()
    tenants = [world.north, world.south] * 5
    tokens = [signed(signer, tenant, "k1") for tenant in tenants]
    coming = [asyncio.create_task(verdict(*each)) for each in zip(tenants, tokens, strict=True)]
    alice = world.north.person("alice")
    assert (await alice.get("people/me"))["email"] == alice.email, "nobody else waits"
    signer.gate.set()
    assert await asyncio.gather(*coming) == [ACCEPTED] * len(coming)
    assert signer.asked == 1
    assert b"accept-encoding: identity" in signer.headers[0].lower()


async def test_a_new_key_of_a_signer_is_fetched_at_once_and_unknown_ones_once_in_ten_seconds(
    world: World, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E1: the new key was refused for five minutes."""
    assert await verdict(world.north, signed(signer, world.north, "k1")) == ACCEPTED
    new, newer = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    signer.publish("EdDSA", "k2", new.public_key())
    assert await verdict(world.south, signed(signer, world.south, "k2", new)) == ACCEPTED
    assert signer.asked == 2
    signer.publish("EdDSA", "k3", newer.public_key())
    for kid in ("k3", "k4", "k5", "../k", "k3"):
        for tenant in (world.north, world.south):
            assert await verdict(tenant, signed(signer, tenant, kid, newer)) == INVALID
    assert signer.asked == 2
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0.0)
    assert await verdict(world.north, signed(signer, world.north, "k3", newer)) == ACCEPTED


async def test_another_key_under_the_same_name_ends_what_the_first_one_signed(
    world: World, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0.1)
    person = signer.person(world.north, "u-1", "ann@mail.test")
    socket = await (await person.arrive()).socket()
    signer.keys.clear()
    signer.private = ed25519.Ed25519PrivateKey.generate()
    signer.publish("EdDSA", "k1", signer.private.public_key())
    held = world.server.plaza.key_sets._held[signer.url]
    held.until = 0.0
    await asyncio.wait_for(socket.closed.wait(), 10)
    assert await person.refused(*ME) == INVALID
    assert await verdict(world.north, signed(signer, world.north, "k1", name="ann2")) == ACCEPTED


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
P384 = ec.generate_private_key(ec.SECP384R1())
P256 = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
BAD: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "use enc": (ED, "EdDSA", jwk("EdDSA", ED.public_key(), use="enc")),
    "use of no text": (ED, "EdDSA", jwk("EdDSA", ED.public_key(), use=["sig"])),
    "key_ops sign": (ED, "EdDSA", jwk("EdDSA", ED.public_key(), key_ops=["sign"])),
    "key_ops encrypt": (RSA, "RS256", jwk("RS256", RSA.public_key(), key_ops=["encrypt", "wrapKey"])),
    "key_ops a text": (ED, "EdDSA", jwk("EdDSA", ED.public_key(), key_ops="verify")),
    "RSA of 1,024 bits": (SMALL, "RS256", jwk("RS256", SMALL.public_key())),
    "for encryption": (RSA, "RS256", jwk("RS256", RSA.public_key(), alg="RSA-OAEP")),
    "of another hash": (RSA, "RS256", jwk("RS256", RSA.public_key(), alg="RS512")),
    "another curve": (P384, "ES256", jwk("ES256", P384.public_key())),
    "another curve by name": (P256, "ES256", jwk("ES256", P256.public_key(), crv="P-384")),
    "private": (ED, "EdDSA", {**jwk("EdDSA", ED), "key_ops": ["verify"]}),
    "private RSA": (RSA, "RS256", jwk("RS256", RSA)),
    "kid of no text": (ED, "EdDSA", jwk("EdDSA", ED.public_key(), kid=7)),
}


def by(private: Any, algorithm: str, tenant: Tenant) -> str:
    """A token by a key that no library would sign with."""
    now = int(time.time())
    said = {"sub": "u-bad", "email": "bad@mail.test", "org": tenant.slug, "iat": now, "exp": now + 600}
    text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(said)}"
    if algorithm == "RS256":
        mark = private.sign(text.encode(), padding.PKCS1v15(), SHA256())
    elif algorithm == "ES256":
        mark = der_to_raw_signature(private.sign(text.encode(), ec.ECDSA(SHA256())), private.curve)
    else:
        mark = private.sign(text.encode())
    return f"{text}.{base64url_encode(mark).decode()}"


@pytest.mark.parametrize("case", BAD)
async def test_a_key_that_is_not_for_tokens_verifies_none_and_does_not_spoil_the_others(
    world: World, signer: Signer, case: str
) -> None:
    """F16."""
    private, algorithm, key = BAD[case]
    signer.keys = [key, {}, 5, *signer.keys]
    for tenant in (world.north, world.south):
        assert await verdict(tenant, by(private, algorithm, tenant)) == INVALID
        assert await verdict(tenant, signed(signer, tenant, "k1")) == ACCEPTED


def test_keys_for_tokens_are_usable_however_they_say_so() -> None:
    for algorithm, private in (("RS256", RSA), ("ES256", P256), ("EdDSA", ED)):
        whole = jwk(algorithm, private.public_key(), kid="k", key_ops=["sign", "verify"], x5t="x")
        bare = {name: value for name, value in whole.items() if name not in ("alg", "use", "key_ops", "kid")}
        assert [public_key(key).algorithm for key in (whole, bare)] == [algorithm] * 2
        assert public_key(whole).name == public_key(bare).name
    large = jwk("RS256", RSA.public_key())
    huge = {**large, "n": "A" * 20_000}
    odd = [
        {**large, "e": "A" * 500},
        {**large, "n": ""},
        {**large, "e": "AA"},
        {**jwk("ES256", P256.public_key()), "x": "AA"},
    ]
    goldilocks = jwk("EdDSA", ed448.Ed448PrivateKey.generate().public_key())
    for key in (huge, *odd, goldilocks, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA"}, None):
        with pytest.raises(Unusable):
            public_key(key)


async def test_a_proxy_of_the_environment_is_not_asked(
    signers: tuple[Signer, Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, proxy = signers
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    sets = KeySets()
    assert len((await sets.inspect(good.url)).keys) == 1
    assert (good.asked, proxy.asked) == (1, 0)
    for url in ("ftp://127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:1/", "http://[::1", "", "http://\x00/"):
        with pytest.raises(KeySetError):
            await sets.inspect(url)
    await sets.close()


# The command.
async def trust(world: World, url: str, *words: str) -> tuple[int, str]:
    """(exit code, what was said) of `plaza org trust`."""
    whole = ["org", "trust", world.north.slug, url, *words, "--database-url", world.server.database_url]
    done = await asyncio.to_thread(CliRunner().invoke, main, whole)
    return done.exit_code, done.output


async def test_trust_says_which_keys_it_does_not_use_and_what_its_tokens_may(
    world: World, signers: tuple[Signer, Signer]
) -> None:
    signer, _ = signers
    signer.keys.insert(0, jwk("RS256", SMALL.public_key(), kid="weak"))
    code, said = await trust(world, signer.url, "--roles", "customer,staff")
    assert (code, "Not used: Key weak has 1024 bits" in said) == (0, True)
    kid = said.split()[-1]
    assert (await trust(world, signer.url.replace("http://", "HTTP://") + "#top", "--roles", "staff,customer"))[
        1
    ].split()[-1] == kid
    sue = signer.person(world.north, "u-1", "sue@mail.test", role="staff")
    assert (await sue.get("/profile/whoami"))["roles"] == ["staff"]
    code, said = await trust(world, signer.url)
    assert (code, said.split()[-1] != kid) == (0, True)
    assert await sue.refused(*ME) == (403, "auth.role_not_trusted")


@pytest.mark.parametrize("shape", ["null", "HTML", "no objects", "many keys", "compressed", "error", "weak", "enc"])
async def test_trust_refuses_an_address_without_a_key_for_tokens(
    world: World, signers: tuple[Signer, Signer], shape: str
) -> None:
    signer, _ = signers
    if shape == "weak":
        signer.keys = [jwk("RS256", SMALL.public_key())]
    elif shape == "enc":
        signer.keys = [jwk("EdDSA", ED.public_key(), use="enc")]
    else:
        WRONG[shape](signer)
    code, said = await trust(world, signer.url)
    assert (code, said.startswith("Error: The ")) == (1, True), said
    assert await verdict(world.north, signed(signer, world.north, "k1")) == INVALID


async def test_trust_refuses_what_is_no_address_and_warns_where_nothing_answers(world: World) -> None:
    for url in ("keys", "ftp://x.test/", "file:///etc/passwd", "http://", "http://me:pw@x.test/", "http://x.test/a b"):
        code, said = await trust(world, url)
        assert (code, "url: " in said) == (1, True), said
    code, said = await trust(world, "https://x.test/" + "k" * 2_000)
    assert (code, "longer than" in said) == (1, True)
    assert (await trust(world, "http://127.0.0.1:9/", "--roles", "root"))[0] == 2
    code, said = await trust(world, "http://127.0.0.1:9/keys")
    assert (code, "Not checked: The address cannot be fetched" in said) == (0, True)
