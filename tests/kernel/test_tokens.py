"""Tokens are taken apart by ourselves, for speed; whatever their spelling, PyJWT says which are to be accepted."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from plaza.adapters.jwk import public_key
from plaza.domains.organisations import token_parsing, tokens
from plaza.domains.organisations.queries import KeyRow
from plaza.domains.organisations.tokens import Claims, InvalidToken, WrongOrganisation
from plaza.kernel.context import Organisation, OrgSettings
from plaza.kernel.errors import Refusal

ORG = Organisation(1, "north", "North", OrgSettings())
SECRET = b"a secret of thirty-two bytes 123"
PRIVATE = Ed25519PrivateKey.generate()
KEYS = [
    KeyRow("k1", "HS256", SECRET, None, "host", [], False),
    KeyRow("set", "JWKS", None, "https://signer.test/jwks", "jwks:1", ["customer"], False),
]
NOW = int(time.time())
CLAIMS = {
    "sub": "host-7",
    "name": "Dora ~~~???",
    "email": "dora@mail.test",
    "org": "north",
    "iat": NOW,
    "exp": NOW + 600,
}
HEADER = {"alg": "HS256", "typ": "JWT"}
OTHERS = "=+/.!-_AQgw0 \n\t\u00e9\u0441\ud800"
"""Characters that base64url has not, has at its end alone, or writes otherwise."""

spoiled = st.lists(
    st.tuples(st.sampled_from(("insert", "replace", "delete")), st.floats(0, 1), st.sampled_from(OTHERS)), max_size=3
)
"""Changes of a text, each at a place between its beginning and its end."""
spellings = st.sampled_from(
    (
        lambda text: text,
        lambda text: text.replace("-", "+"),
        lambda text: text.replace("_", "/"),
        lambda text: text + "=" * (-len(text) % 4),
        lambda text: f"{text}=",
    )
)
at_the_end = st.text(st.sampled_from("=AQgwBRhxEIM-_+/"), max_size=4)


thoroughly = settings(deadline=None, database=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


PUBLISHED = [
    (key, public_key(json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(PRIVATE.public_key()))))
    for key in KEYS
    if key.jwks_url is not None
]


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def signed(head: str, body: str, algorithm: str = "HS256") -> str:
    """A token of two parts as they are, with a true signature over them."""
    text = f"{head}.{body}".encode("utf-8", "surrogatepass")
    key = SECRET if algorithm == "HS256" else PRIVATE
    return f"{head}.{body}.{encoded(jwt.get_algorithm_by_name(algorithm).sign(text, key))}"


def changed(text: str, changes: Sequence[tuple[str, float, str]]) -> str:
    for what, where, character in changes:
        at = round(where * len(text))
        text = text[:at] + ("" if what == "delete" else character) + text[at + (what != "insert") :]
    return text


def verdict(token: str) -> Claims | str:
    """The claims of an accepted token, or the reason of its refusal."""
    try:
        return tokens.prove(tokens.read(token, ORG), KEYS, PUBLISHED, time.time())
    except Refusal as refusal:
        return refusal.reason


def by_pyjwt(token: str, algorithm: str = "HS256", *, proven: bool = True) -> tuple[dict[str, Any], bytes] | None:
    """The header and the payload of a token whose signature PyJWT finds true, None where it refuses it."""
    key = SECRET if algorithm == "HS256" else PRIVATE.public_key()
    try:
        parts = jwt.PyJWS().decode_complete(token, key, [algorithm], options={"verify_signature": proven})
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return parts["header"], parts["payload"]


def expected(token: str, algorithm: str = "HS256") -> Claims | str:
    """What must become of a token: PyJWT reads it, and what it reads is judged in the plainest spelling."""
    read = by_pyjwt(f"{token.rpartition('.')[0]}.", algorithm, proven=False)
    if read is None:
        return InvalidToken.reason
    plain = verdict(signed(encoded(json.dumps(read[0]).encode()), encoded(read[1]), algorithm))
    # Who names another organisation is told so before anything is proven.
    return plain if plain == WrongOrganisation.reason or by_pyjwt(token, algorithm) else InvalidToken.reason


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
@thoroughly
@given(changes=spoiled, spelling=spellings, end=at_the_end, part=st.integers(0, 3))
def test_a_token_of_any_spelling_is_accepted_where_pyjwt_accepts_it(
    algorithm: str, changes: list[tuple[str, float, str]], spelling: Callable[[str], str], end: str, part: int
) -> None:
    parts = [encoded(json.dumps(HEADER | {"alg": algorithm}).encode()), encoded(json.dumps(CLAIMS).encode())]
    if part < 2:
        parts[part] = spelling(changed(parts[part], changes)) + end
    token = signed(parts[0], parts[1], algorithm)
    if part == 2:
        token = spelling(token) + end
    elif part == 3:
        token = changed(token, changes)
    first, again = verdict(token), verdict(token)  # the second with the header as it is remembered
    assert first == again == expected(token, algorithm)


@thoroughly
@given(octets=st.binary(max_size=9), name=st.text("abc", max_size=3), last=at_the_end)
def test_what_follows_the_last_whole_character_is_as_pyjwt_has_it(octets: bytes, name: str, last: str) -> None:
    body = encoded(json.dumps(CLAIMS | {"name": name}).encode())
    for token in (
        signed(encoded(json.dumps(HEADER).encode()), body[: len(body) - len(last) % 3] + last),
        signed(encoded(octets) + last, body),
        f"{encoded(json.dumps(HEADER).encode())}.{body}.{encoded(octets)}{last}",
    ):
        assert verdict(token) == expected(token)


headers = st.fixed_dictionaries(
    {"alg": st.just("HS256") | st.sampled_from(["none", "HS512", "EdDSA", "", None, ["HS256"]])},
    optional={
        "typ": st.sampled_from(["JWT", "jwt", "AT+jwt", "application/At+JWT", "x/jwt", "refresh", "", None, ["JWT"]]),
        "kid": st.sampled_from(["k1", "k2", "set", "", None, 1, ["k1"]]),
        "crit": st.sampled_from([["b64"], ["exp"], [], None, "b64"]),
        "b64": st.sampled_from([True, False, None, 0, "no"]),
        "jku": st.just("https://elsewhere.test/jwks"),
        "x": st.recursive(st.none() | st.text('a"\\é'), st.lists, max_leaves=5),
    },
)


@example(header={"alg": "HS256", "b64": False}, codec="utf-8", twice=False)
@example(header={"alg": "HS256", "typ": "jwt"}, codec="utf-8", twice=True)
@thoroughly
@given(header=headers, codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le"]), twice=st.booleans())
def test_a_header_is_accepted_where_pyjwt_accepts_it_and_it_names_our_type_and_key(
    header: dict[str, Any], codec: str, twice: bool
) -> None:
    text = json.dumps(header)
    if twice:
        text = text.replace("{", '{"alg": "none", "kid": 5, ', 1)
    token = signed(encoded(text.encode(codec)), encoded(json.dumps(CLAIMS).encode()))
    read = by_pyjwt(token)
    typ = "JWT" if read is None else read[0].get("typ", "JWT")
    ours = read is not None and (
        isinstance(typ, str)
        and typ.lower() in ("jwt", "at+jwt", "application/jwt", "application/at+jwt")
        and "crit" not in read[0]
        and read[0].get("kid", "k1") == "k1"
    )
    ours = ours and not twice  # of two claims of one name PyJWT takes the last
    assert isinstance(verdict(token), Claims) == ours


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"sub"', b"\xff\xfe", b"[" * 3000, json.dumps(CLAIMS).encode() + b"x"]
)
def test_a_payload_that_is_no_object_of_claims_is_refused(body: bytes) -> None:
    assert verdict(signed(encoded(json.dumps(HEADER).encode()), encoded(body))) == InvalidToken.reason


def test_whoever_sends_many_headers_takes_no_more_memory_than_a_few() -> None:
    body = encoded(json.dumps(CLAIMS).encode())
    for number in range(3 * token_parsing.HEADERS):
        accepted = verdict(signed(encoded(json.dumps(HEADER | {"x": number}).encode()), body))
        assert isinstance(accepted, Claims)
    assert token_parsing._header.cache_info().currsize == token_parsing.HEADERS


inner = st.recursive(
    st.none() | st.text('ab":{}\\ ', max_size=4), lambda x: st.lists(x, max_size=2) | st.dictionaries(st.text("ao"), x)
)
DUPLICATED = (
    '"org": "north"',
    '"org":"south"',
    '"org" : "north"',
    '"org"\t: "north"',
    '"o\\u0072g": "north"',
    '"orgId": "north", "orgId": "north"',
    '"x": 1, "x": {}',
    '"": 1, "": 1',
    '":": 1, ":": 1',
    '"sub": "host-7"',
)


@pytest.mark.parametrize("more", DUPLICATED)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_claim_that_is_named_twice_is_refused_however_it_is_spelled(more: str, separators: tuple[str, str]) -> None:
    body = json.dumps(CLAIMS, separators=separators)
    for twice in (body.replace("{", "{" + more + ",", 1), body[:-1] + "," + more + "}"):
        assert verdict(signed(encoded(json.dumps(HEADER).encode()), encoded(twice.encode()))) == InvalidToken.reason


@thoroughly
@given(
    more=st.dictionaries(st.text('abo":\\\u00e9 {', max_size=3), inner, max_size=4),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r")]),
)
def test_a_claim_that_is_named_once_is_accepted_whatever_others_are_beside_it(
    more: dict[str, Any], separators: tuple[str, str]
) -> None:
    """The same name in an object inside, a colon or a quote in a text, white space anywhere."""
    body = json.dumps(more | CLAIMS | {"inside": {"org": "x", "sub": "y"}}, separators=separators)
    assert isinstance(verdict(signed(encoded(json.dumps(HEADER).encode()), encoded(body.encode()))), Claims)
