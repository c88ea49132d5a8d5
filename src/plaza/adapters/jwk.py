"""One JSON Web Key of a set (RFC 7517, RFC 7518): which may verify tokens, and why others may not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from plaza.kernel.keys import PublicKey

ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""By kind of key and curve."""
RSA_BITS = range(2_048, 8_193)
"""A shorter one can be factored, a longer one takes too long for every token."""
LONGEST_EXPONENT = 8
"""Characters of base64url of an RSA exponent; the usual one has four."""
LONGEST_KID = 512
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")
"""What makes a key the key that it is."""


class Unusable(ValueError):  # noqa: N818 — about the key, which its reader decides on
    """A key that verifies no tokens; says why."""


def public_key(given: object) -> PublicKey:
    """The key of a member of a set; `Unusable` for one that may not verify tokens."""
    if not isinstance(given, dict):
        raise Unusable("is not an object")
    algorithm = _algorithm(given)
    try:
        key = jwt.PyJWK(given, algorithm).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError) as error:
        raise Unusable("cannot be read as a key") from error
    if isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS:
        raise Unusable(f"has {key.key_size} bits, not {RSA_BITS[0]} to {RSA_BITS[-1]}")
    name = hashlib.sha256(msgspec.json.encode([given.get(part) for part in _PUBLIC])).hexdigest()[:16]
    return PublicKey(name, given.get("kid"), algorithm, _verifier(algorithm, key))


def _algorithm(given: dict[str, Any]) -> str:
    """The one algorithm that a key may verify; what the key says of its own purpose is kept."""
    if "d" in given or "k" in given:
        raise Unusable("is secret, and published")
    if given.get("use") not in (None, "sig"):
        raise Unusable("is not for signatures (use)")
    purposes = given.get("key_ops")
    if purposes is not None and not (isinstance(purposes, list) and "verify" in purposes):
        raise Unusable("is not for verifying (key_ops)")
    kid = given.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= LONGEST_KID):
        raise Unusable("has a kid that is no text")
    kind, curve = given.get("kty"), given.get("crv")
    known = isinstance(kind, str) and (curve is None or isinstance(curve, str))
    algorithm = ALGORITHMS.get((kind, curve)) if known else None  # type: ignore[arg-type]
    if algorithm is None:
        raise Unusable("is of a kind or a curve that verifies none of RS256, ES256 and EdDSA")
    if given.get("alg") not in (None, algorithm):
        raise Unusable(f"is not for {algorithm} (alg)")
    if len(str(given.get("n", ""))) > RSA_BITS[-1] // 6 + 2 or len(str(given.get("e", ""))) > LONGEST_EXPONENT:
        raise Unusable("is too large")
    return algorithm


def _verifier(algorithm: str, key: Any) -> Callable[[bytes, bytes], bool]:
    """Whether the key made a signature; a signature that is none of its kind is not its own."""
    known = jwt.get_algorithm_by_name(algorithm)

    def verify(signed: bytes, signature: bytes) -> bool:
        try:
            return known.verify(signed, key, signature)
        except (jwt.PyJWTError, ValueError, TypeError):
            return False

    return verify
