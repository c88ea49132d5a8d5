"""Tokens: JSON Web Tokens of an organisation's signer (contract, decision 34; RFC 8725; guarantees, c.5)."""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import jwt
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from plaza.domains.organisations.queries import KeyRow
from plaza.kernel import addresses, ids
from plaza.kernel.context import Organisation
from plaza.kernel.errors import Forbidden, Invalid, Unauthenticated

ISSUER = "plaza"
AUDIENCE = "plaza"
SKEW_SECONDS = 60
"""How far the signer's clock may be ahead of ours."""
LONGEST_SECONDS = 31 * 24 * 3600
"""A token that lives longer than this is refused: it could never be taken back in time."""
LONGEST_TOKEN = 8_192
HEADERS = 64
"""Headers remembered as read: all tokens of a signer have the same."""
SECRETS = 256
"""Secrets that are ready to sign with."""
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
Role = Literal["customer", "staff", "admin"]
Published = tuple[str, Any]
"""The name of a key set (a `kid` of the organisation's), and a key of it as a PyJWK object."""
_URL = re.compile(r"https?://\S+", re.IGNORECASE)


class InvalidToken(Unauthenticated):
    """The token is not one that this organisation accepts."""

    reason = "auth.invalid_token"
    message = "The token is not valid."


class NotSigned(InvalidToken):
    """None of the keys that were tried has signed it."""


class TokenExpired(Unauthenticated):
    """The token's time is over."""

    reason = "auth.token_expired"
    message = "The token has expired; get a fresh one."


class WrongOrganisation(Forbidden):
    """The token belongs to another organisation than the request names."""

    reason = "org_mismatch"
    message = "This token belongs to another organisation."


class Claims(msgspec.Struct, frozen=True):
    """What a verified token says."""

    subject: str
    email: str
    expires: int
    key: str
    """The key that signed it, as `Principal.key` names it."""
    role: Role = "customer"
    name: str | None = None
    picture: str | None = None
    session: int | None = None
    iat: float | None = None

    @property
    def issued(self) -> datetime | None:
        """When the token was made; None where it does not say, or names a time that no calendar has."""
        try:
            return None if self.iat is None else datetime.fromtimestamp(self.iat, UTC)
        except (OverflowError, ValueError, OSError):
            return None


_Text = Annotated[str, msgspec.Meta(max_length=2_048)]


class _Payload(msgspec.Struct, frozen=True):
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


class _Header(msgspec.Struct, frozen=True):
    """What of a header matters: nothing that names or brings a key of its own."""

    algorithm: object
    kid: str | None


_JWS = jwt.PyJWS()
_PAYLOAD = msgspec.json.Decoder(_Payload)
_STANDARD = bytes.maketrans(b"-_+/", b"+/!!")
"""From the alphabet of base64url to that of base64, in which its own two others mean nothing."""


class Unproven(msgspec.Struct, frozen=True):
    """A token as it reads; nothing of it holds before `prove`."""

    header: _Header
    payload: _Payload
    signed: bytes
    mark: bytes
    """The signature, in base64url."""

    @property
    def by_key_set(self) -> bool:
        """Whether a published key may have signed it."""
        return self.header.algorithm in ASYMMETRIC


def read(token: str, org: Organisation) -> Unproven:
    """A token that names this organisation; `WrongOrganisation` for another's, `InvalidToken` for none."""
    if len(token) > LONGEST_TOKEN:
        raise InvalidToken
    try:
        head, body, mark = token.split(".")
        unproven = Unproven(
            _header(head), _PAYLOAD.decode(_octets(body.encode())), f"{head}.{body}".encode(), mark.encode()
        )
    except (jwt.PyJWTError, msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidToken from error
    payload = unproven.payload
    named = payload.org or payload.orgId or payload.orgid
    if not named:
        raise InvalidToken("The token names no organisation.")
    if named != org.slug:
        raise WrongOrganisation
    return unproven


def prove(token: Unproven, keys: Sequence[KeyRow], published: Sequence[Published], now: float) -> Claims:
    """The claims of a token that one of the organisation's keys signed, or one that those publish; else `NotSigned`.

    Of its kin are `TokenExpired`, and `InvalidToken` where the times or the names do not hold. `now`, as a token's
    times, is in Unix seconds.
    """
    signer = _signer(token, keys, published)
    if signer is None:
        raise NotSigned
    ours = token.header.algorithm == "HS256" and token.payload.iss == ISSUER
    return _accepted(token.payload, now, signer, ours=ours)


def mint(
    org: Organisation,
    key: KeyRow,
    *,
    subject: str,
    email: str,
    now: datetime,
    seconds: int,
    **more: object,
) -> str:
    """Signs a token as the organisation's own signer; `more` are further claims."""
    issued = int(now.timestamp())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "org": org.slug, "sub": subject, "email": email}
    times = {"iat": issued, "exp": issued + seconds, "jti": secrets.token_urlsafe(12)}
    return jwt.encode(claims | times | more, _secret(key), algorithm="HS256", headers={"kid": key.kid})


@lru_cache(HEADERS)
def _header(encoded: str) -> _Header:
    """A header as PyJWT reads it; `PyJWTError` for none, `InvalidToken` for one that asks for what we do not do."""
    header = _JWS.get_unverified_header(f"{encoded}..")
    detached = header.get("b64", True) is False
    if header.get("typ", "JWT") not in ("JWT", "at+jwt") or "crit" in header or detached:
        raise InvalidToken
    return _Header(header.get("alg"), header.get("kid"))


def _octets(encoded: bytes) -> bytes:
    """What base64url stands for, with or without its padding; ValueError for any but the one spelling of it.

    The same as PyJWT decides, which asks for each character (tests/kernel/test_tokens.py compares them).
    """
    given = encoded.translate(_STANDARD)
    octets = binascii.a2b_base64(given + b"==")
    spelling = binascii.b2a_base64(octets, newline=False).rstrip(b"=")
    if given != spelling and given != spelling + b"=" * (-len(spelling) % 4):
        raise ValueError("not base64url")
    return octets


@lru_cache(SECRETS)
def _seal(secret: bytes) -> HMAC:
    """A secret's HMAC of nothing: to begin one anew takes as long as to sign a token with it."""
    return HMAC(secret, SHA256())


def _signer(token: Unproven, keys: Sequence[KeyRow], published_: Sequence[Published]) -> str | None:
    """The name of the key that signed a token: each is tried with the one algorithm that it may be used with.

    The token never chooses the key's kind.
    """
    algorithm, kid = token.header.algorithm, token.header.kid
    if algorithm == "HS256":
        for key in keys:
            if key.secret is not None and kid in (None, key.kid) and _sealed(token, key.secret):
                return key.kid
    elif algorithm in ASYMMETRIC:
        for set_, known in published_:
            named = kid is None or known.key_id is None or known.key_id == kid
            if named and known.algorithm_name == algorithm and _signed(token, known):
                return published(set_, known)
    return None


def _sealed(token: Unproven, secret: bytes) -> bool:
    """Whether a secret signed a token."""
    seal = _seal(secret).copy()
    seal.update(token.signed)
    mark = binascii.b2a_base64(seal.finalize(), newline=False)
    # Its own spelling is looked for, and that has a character of padding or none: there is no other one.
    return hmac.compare_digest(mark, token.mark.removesuffix(b"=").translate(_STANDARD) + b"=")


def _signed(token: Unproven, key: jwt.PyJWK) -> bool:
    """Whether a published key signed a token; one that is not of its algorithm's kind refuses it."""
    try:
        known = _JWS.get_algorithm_by_name(key.algorithm_name)
        return known.verify(token.signed, known.prepare_key(key.key), _octets(token.mark))
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise InvalidToken from error


def published(kid: str, key: Any) -> str:
    """The name of a published key: that of its set, and its own."""
    return f"{kid}/{key.key_id}"


def _accepted(payload: _Payload, now: float, key: str, *, ours: bool) -> Claims:
    """The claims, when the times, the audience and the names hold."""
    begun = payload.iat if payload.iat is not None else now
    if payload.exp <= now:
        raise TokenExpired
    if payload.exp > begun + LONGEST_SECONDS + SKEW_SECONDS:
        raise InvalidToken
    meant = payload.aud in (None, AUDIENCE) or (isinstance(payload.aud, list) and AUDIENCE in payload.aud)
    if begun > now + SKEW_SECONDS or not meant:
        raise InvalidToken
    if "\x00" in payload.sub or "\x00" in (payload.name or "") or "\x00" in (payload.picture or ""):
        raise InvalidToken
    try:
        email = addresses.address(payload.sub if payload.email is None else payload.email, "email")
    except Invalid as error:
        raise InvalidToken("The token names no e-mail address.") from error
    return Claims(
        subject=payload.sub,
        email=email,
        expires=int(payload.exp),
        key=key,
        role=payload.role,
        name=payload.name,
        picture=payload.picture if payload.picture and _URL.fullmatch(payload.picture) else None,
        # Other signers have sessions of their own; only ours are rows here.
        session=ids.parse(payload.sid) if ours and payload.sid is not None else None,
        iat=payload.iat,
    )


def _secret(key: KeyRow) -> bytes:
    if key.secret is None:
        raise ValueError(f"key {key.kid} cannot sign")
    return key.secret
