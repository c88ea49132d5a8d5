"""Tickets: the refresh tokens of a session and the codes of mails; the store has digests of them only.

A refresh token has two halves of 256 random bits. The first is the family's and stays, so that any token of it that
was used before is known as such; the second changes with every use. The next second half is made of the one before and
of a salt in the store: two requests with the same token, one of them perhaps a retry after a lost answer, get the same
next one, and the store alone makes none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import NamedTuple

HALF = 32
"""Bytes of each half of a refresh token, and of a salt."""
CODE_BYTES = 16
"""128 bits: nobody guesses one, so that no number of wrong tries must lock the right one out."""


class Ticket(NamedTuple):
    """A refresh token."""

    family: bytes
    secret: bytes

    def text(self) -> str:
        """As the client keeps it: 86 characters."""
        return base64.urlsafe_b64encode(self.family + self.secret).decode().rstrip("=")

    def successor(self, salt: bytes) -> Ticket:
        """The one that follows."""
        return Ticket(self.family, hmac.digest(salt, self.secret, "sha256"))


def fresh() -> Ticket:
    """The first refresh token of a session."""
    return Ticket(secrets.token_bytes(HALF), secrets.token_bytes(HALF))


def read(text: str) -> Ticket | None:
    """The refresh token in `text`; None when it has not the form of one."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return Ticket(raw[:HALF], raw[HALF:]) if len(raw) == 2 * HALF else None


def salt() -> bytes:
    """What makes a successor."""
    return secrets.token_bytes(HALF)


def code() -> str:
    """A code to be mailed: 26 lower-case letters and digits from 2 to 7."""
    return base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=").lower()


def digest(secret: bytes) -> bytes:
    """What the store keeps of a secret; the secret is random, so that this need not be slow."""
    return hashlib.sha256(secret).digest()


def code_digest(text: str) -> bytes:
    """What the store keeps of a code, however it was typed."""
    return digest("".join(text.split()).lower().encode("utf-8", "surrogatepass"))
