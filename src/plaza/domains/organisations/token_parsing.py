"""Parsing of JSON Web Tokens: what a token says of itself, before anything of it is verified (RFC 7515, RFC 7519)."""

from __future__ import annotations

import binascii
import json
from functools import lru_cache
from typing import Annotated, Any

import jwt
import msgspec

from plaza.domains.organisations.signers import Role
from plaza.kernel.context import Organisation
from plaza.kernel.errors import Forbidden, Unauthenticated
from plaza.nesting import too_nested

LONGEST_TOKEN = 8_192
HEADERS = 64
"""Headers remembered as read: all tokens of a signer have the same."""
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
TYPES = ("jwt", "at+jwt")
"""What the header's `typ` may name, in any capitals and with or without `application/` (RFC 7515, 4.1.9)."""


class InvalidToken(Unauthenticated):
    """The token is not one that this organisation accepts."""

    reason = "auth.invalid_token"
    message = "The token is not valid."


class WrongOrganisation(Forbidden):
    """The token belongs to another organisation than the request names."""

    reason = "org_mismatch"
    message = "This token belongs to another organisation."


_Text = Annotated[str, msgspec.Meta(max_length=2_048)]


class Payload(msgspec.Struct, frozen=True):
    """The claims as they must be; anything else in the token is ignored."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    exp: int | float
    org: str | None = None
    orgId: str | None = None  # noqa: N815 — a claim's own name
    orgid: str | None = None
    email: str | None = None
    role: Role = "customer"
    name: _Text | None = None
    picture: _Text | None = None
    sid: str | None = None
    iss: object = None
    aud: str | list[str] | None = None
    iat: int | float | None = None
    nbf: int | float | None = None


class Header(msgspec.Struct, frozen=True):
    """What of a header matters: nothing that names or brings a key of its own."""

    algorithm: object
    kid: str | None


class Unproven(msgspec.Struct, frozen=True):
    """A token as it reads; nothing of it holds before its signature is verified."""

    header: Header
    payload: Payload
    signed: bytes
    mark: bytes
    """The signature, in base64url."""

    @property
    def by_key_set(self) -> bool:
        """Whether a published key may have signed it."""
        return self.header.algorithm in ASYMMETRIC


_JWS = jwt.PyJWS()
_PAYLOAD = msgspec.json.Decoder(Payload)
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_PAIRS = json.JSONDecoder(object_pairs_hook=list)
STANDARD = bytes.maketrans(b"-_+/", b"+/!!")
"""From the alphabet of base64url to that of base64, in which its own two others mean nothing."""


def read(token: str, org: Organisation) -> Unproven:
    """A token that names this organisation; `WrongOrganisation` for another's, `InvalidToken` for none."""
    if len(token) > LONGEST_TOKEN:
        raise InvalidToken
    try:
        head, body, mark = token.split(".")
        octets = _json(body)
        payload = _PAYLOAD.decode(octets)
        unproven = Unproven(_header(head), payload, f"{head}.{body}".encode(), mark.encode())
        if _has_duplicates(octets):
            raise InvalidToken("The token names a claim twice.")
    except (jwt.PyJWTError, msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidToken from error
    named = payload.org if payload.orgId is None and payload.orgid is None else _one_organisation(payload)
    if not named:
        raise InvalidToken("The token names no organisation.")
    if named != org.slug:
        raise WrongOrganisation
    return unproven


def _one_organisation(payload: Payload) -> str | None:
    """The organisation that a token names by whichever claim; one that names two is none of ours."""
    named = {name for name in (payload.org, payload.orgId, payload.orgid) if name is not None}
    if len(named) > 1:
        raise InvalidToken("The token names more than one organisation.")
    return named.pop() if named else None


@lru_cache(HEADERS)
def _header(encoded: str) -> Header:
    """A header as PyJWT reads it; `PyJWTError` for none, `InvalidToken` for one that asks for what we do not do."""
    octets = _json(encoded)
    header = _JWS.get_unverified_header(f"{encoded}..")
    type_ = header.get("typ", "JWT")
    named = isinstance(type_, str) and type_.lower().removeprefix("application/") in TYPES
    detached = header.get("b64", True) is False
    if not named or "crit" in header or detached or _names_twice(octets):
        raise InvalidToken
    return Header(header.get("alg"), header.get("kid"))


def _has_duplicates(octets: bytes) -> bool:
    """Whether a JSON object has a name twice; of two, parsers take the one or the other (RFC 8259, 4).

    Where no white space stands before a colon, there are at most as many names as `":`: are all of them different ones,
    the usual case, nothing is read in full.
    """
    spaced = b'" ' in octets or b"\t" in octets or b"\n" in octets or b"\r" in octets
    if not spaced and octets.count(b'":') == len(_OBJECT.decode(octets)):
        return False
    return _names_twice(octets)


def _names_twice(octets: bytes) -> bool:
    pairs = _PAIRS.decode(octets.decode(json.detect_encoding(octets)))
    return len({name for name, _ in pairs}) != len(pairs)


def _json(encoded: str) -> bytes:
    """A part of a token that is JSON; ValueError where it is nested more deeply than a decoder should see."""
    octets = base64url(encoded.encode())
    if too_nested(octets):
        raise ValueError("nested too deeply")
    return octets


def base64url(encoded: bytes) -> bytes:
    """What base64url stands for, with or without its padding; ValueError for any but the one spelling of it.

    The same as PyJWT decides, which asks for each character (tests/kernel/test_tokens.py compares them).
    """
    given = encoded.translate(STANDARD)
    octets = binascii.a2b_base64(given + b"==")
    spelling = binascii.b2a_base64(octets, newline=False).rstrip(b"=")
    if given != spelling and given != spelling + b"=" * (-len(spelling) % 4):
        raise ValueError("not base64url")
    return octets
