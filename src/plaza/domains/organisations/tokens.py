"""Tokens: JSON Web Tokens of an organisation's signer (contract, decision 34; RFC 8725; guarantees, c.5)."""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import jwt
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from plaza.domains.organisations import signers
from plaza.domains.organisations.queries import KeyRow
from plaza.domains.organisations.signers import Role
from plaza.domains.organisations.token_parsing import (
    ASYMMETRIC,
    STANDARD,
    InvalidToken,
    Payload,
    Unproven,
    WrongOrganisation,
    base64url,
    read,
)
from plaza.kernel import addresses, ids
from plaza.kernel.context import Organisation
from plaza.kernel.errors import Forbidden, Invalid, Unauthenticated
from plaza.kernel.keys import PublicKey

__all__ = [
    "Claims",
    "InvalidToken",
    "NotSigned",
    "ReservedSubject",
    "RoleNotTrusted",
    "TokenExpired",
    "Unproven",
    "WrongOrganisation",
    "mint",
    "prove",
    "read",
]

ISSUER = "plaza"
AUDIENCE = "plaza"
SKEW_SECONDS = 60
"""How far the signer's clock may be ahead of ours."""
LONGEST_SECONDS = 31 * 24 * 3600
"""A token that lives longer than this is refused: it could never be taken back in time."""
SECRETS = 256
"""Secrets that are ready to sign with."""
Published = tuple[KeyRow, PublicKey]
"""A key set that the organisation trusts, and a key of it."""
_URL = re.compile(r"https?://\S+", re.IGNORECASE)


class NotSigned(InvalidToken):
    """None of the keys that were tried has signed it."""


class TokenExpired(Unauthenticated):
    """The token's time is over."""

    reason = "auth.token_expired"
    message = "The token has expired; get a fresh one."
    temporary = True


class ReservedSubject(Forbidden):
    """The token's subject is one that this server alone gives."""

    reason = "auth.reserved_subject"
    message = "This token's subject belongs to the built-in accounts, which no other signer may name."


class RoleNotTrusted(Forbidden):
    """The signer gives a role that its trust does not include."""

    reason = "auth.role_not_trusted"
    message = "This token's signer may not give the role that the token names."


class Claims(msgspec.Struct, frozen=True):
    """What a verified token says."""

    subject: str
    email: str
    expires: int
    key: str
    """The key that signed it, as `Principal.key` names it."""
    signer: str
    """Whose subject it is: `plaza`, `host`, or that of a key set."""
    claims: bool
    """Whether the signer may claim people who were only named by others so far."""
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


def prove(token: Unproven, keys: Sequence[KeyRow], published: Sequence[Published], now: float) -> Claims:
    """The claims of a token that one of the organisation's keys signed, or one that those publish; else `NotSigned`.

    Of its kin are `TokenExpired`, and `InvalidToken` where the times or the names do not hold. `now`, as a token's
    times, is in Unix seconds.
    """
    found = _signer(token, keys, published)
    if found is None:
        raise NotSigned
    name, key = found
    ours = token.header.algorithm == "HS256" and token.payload.iss == ISSUER
    return _accepted(token.payload, now, name, key, ours=ours)


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


@lru_cache(SECRETS)
def _seal(secret: bytes) -> HMAC:
    """A secret's HMAC of nothing: to begin one anew takes as long as to sign a token with it."""
    return HMAC(secret, SHA256())


def _signer(token: Unproven, keys: Sequence[KeyRow], published: Sequence[Published]) -> tuple[str, KeyRow] | None:
    """The key that signed a token, by its name: each is tried with the one algorithm that it may be used with.

    The token never chooses the key's kind.
    """
    algorithm, kid = token.header.algorithm, token.header.kid
    if algorithm == "HS256":
        for key in keys:
            if key.secret is not None and kid in (None, key.kid) and _sealed(token, key.secret):
                return key.kid, key
    elif algorithm in ASYMMETRIC and published:
        mark = _mark(token)
        for key, known in published:
            named = kid is None or known.kid is None or known.kid == kid
            if named and known.algorithm == algorithm and known.verify(token.signed, mark):
                return key_name(key.kid, known), key
    return None


def _sealed(token: Unproven, secret: bytes) -> bool:
    """Whether a secret signed a token."""
    seal = _seal(secret).copy()
    seal.update(token.signed)
    mark = binascii.b2a_base64(seal.finalize(), newline=False)
    # Its own spelling is looked for, and that has a character of padding or none: there is no other one.
    return hmac.compare_digest(mark, token.mark.removesuffix(b"=").translate(STANDARD) + b"=")


def _mark(token: Unproven) -> bytes:
    try:
        return base64url(token.mark)
    except ValueError as error:
        raise InvalidToken from error


def key_name(kid: str, key: PublicKey) -> str:
    """The name of a published key: that of its set, and its own."""
    return f"{kid}/{key.name}"


def _accepted(payload: Payload, now: float, name: str, key: KeyRow, *, ours: bool) -> Claims:
    """The claims, when the times, the audience, the names and the role hold."""
    _check_times(payload, now)
    if not (payload.aud in (None, AUDIENCE) or (isinstance(payload.aud, list) and AUDIENCE in payload.aud)):
        raise InvalidToken
    if "\x00" in payload.sub or "\x00" in (payload.name or "") or "\x00" in (payload.picture or ""):
        raise InvalidToken
    # Other signers have sessions of their own; only ours are rows here.
    session = ids.parse(payload.sid) if ours and payload.sid is not None else None
    if session is None and signers.reserved(payload.sub):
        raise ReservedSubject
    if not key.may_give(payload.role):
        raise RoleNotTrusted
    subject, email = _names(payload)
    return Claims(
        subject=subject,
        email=email,
        expires=int(payload.exp),
        key=name,
        signer=key.signer if session is None else signers.PLAZA,
        claims=key.may_claim,
        role=payload.role,
        name=payload.name,
        picture=payload.picture if payload.picture and _URL.fullmatch(payload.picture) else None,
        session=session,
        iat=payload.iat,
    )


def _check_times(payload: Payload, now: float) -> None:
    begun = payload.iat if payload.iat is not None else now
    if payload.exp <= now:
        raise TokenExpired
    if payload.exp > begun + LONGEST_SECONDS + SKEW_SECONDS or begun > now + SKEW_SECONDS:
        raise InvalidToken
    if payload.nbf is not None and payload.nbf > now + SKEW_SECONDS:
        raise InvalidToken("The token is not valid yet.")


def _names(payload: Payload) -> tuple[str, str]:
    """(subject, address); a subject that is an address is compared as addresses are."""
    try:
        email = addresses.address(payload.sub if payload.email is None else payload.email, "email")
    except Invalid as error:
        raise InvalidToken("The token names no e-mail address.") from error
    if "@" not in payload.sub or payload.sub == email:
        return payload.sub, email
    try:
        return addresses.address(payload.sub, "sub"), email
    except Invalid:
        return payload.sub, email


def _secret(key: KeyRow) -> bytes:
    if key.secret is None:
        raise ValueError(f"key {key.kid} cannot sign")
    return key.secret
