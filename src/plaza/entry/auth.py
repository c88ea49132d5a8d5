"""Who asks: the organisation of the header `orgid`, and the person of the token (contract, sections 3.4 and 3.5).

A token is verified once and remembered until it expires, in a bounded cache that compares `exp` on every hit; whoever
is suspended, signs out or changes the password, and whatever a retired key has signed, is forgotten at once, here and
on every other process.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from plaza.entry.circular import Forget
from plaza.kernel.clock import Clock, seconds
from plaza.kernel.context import Organisation, Principal
from plaza.kernel.errors import Forbidden, Invalid, StaffOnly, Unauthenticated
from plaza.kernel.routes import Auth

FindOrganisation = Callable[[str], Awaitable[Organisation]]
Admit = Callable[[Organisation, str], Awaitable[tuple[Principal, int]]]
"""Verifies a token and lets its person in: the principal, and when the token expires (Unix seconds)."""

MOST_TOKENS = 50_000
MOST_ORGANISATIONS = 10_000
ORGANISATION_SECONDS = 2.0
"""How long a change of an organisation's settings or keys may take to be seen."""


class OrganisationMissing(Invalid):
    """No header `orgid`."""

    reason = "org.missing"
    message = "Say which organisation in the header orgid."


class Unverified(Forbidden):
    """A built-in account whose address has not been verified yet."""

    reason = "auth.unverified"
    message = "Verify your e-mail address first."


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """A verified token."""

    org: int
    principal: Principal
    expires: int


class Authenticator:
    """Remembers organisations and tokens of this process."""

    def __init__(
        self, find: FindOrganisation, admit: Admit, clock: Clock, passed: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._admit = admit
        self._now = seconds(clock)
        self._passed = passed
        """Seconds, of a clock that nobody sets."""
        self._tokens: dict[bytes, Remembered] = {}
        self._forgotten = 0
        self._organisations: dict[str, tuple[float, Organisation]] = {}

    async def organisation(self, slug: str | None) -> Organisation:
        """The organisation called `slug`; `OrganisationMissing` without one, its own refusal for an unknown one."""
        if not slug:
            raise OrganisationMissing
        known = self.known_organisation(slug)
        if known is not None:
            return known
        before, present = self._forgotten, self._passed()
        found = await self._find(slug)
        if before == self._forgotten:
            self._organisations[slug] = (present, found)
            _shed(self._organisations, MOST_ORGANISATIONS)
        return found

    def known_organisation(self, slug: str) -> Organisation | None:
        """The organisation called `slug` where it is remembered, without asking anybody."""
        known = self._organisations.get(slug)
        if known is not None and self._passed() - known[0] < ORGANISATION_SECONDS:
            return known[1]
        return None

    async def person(self, org: Organisation, token: str | None, auth: Auth = "member") -> Principal | None:
        """The person of a bearer token, None where the route needs nobody and nobody is there.

        A token that does not hold is refused also where none is needed: its owner believes to be signed in.
        """
        if auth == "public":
            # Whatever token is sent along: an expired one must not keep anybody from getting a fresh one.
            return None
        if token is None:
            if auth == "optional" and org.settings.public_reads:
                return None
            raise Unauthenticated
        principal = (await self.remembered(org, token)).principal
        if auth != "account" and not principal.id:
            raise Unverified
        if auth == "staff" and not principal.is_staff:
            raise StaffOnly
        return principal

    async def remembered(self, org: Organisation, token: str) -> Remembered:
        """A token that holds at this moment; `Unauthenticated` or `Forbidden` when it does not."""
        key = key_of(token)
        known = self.known_token(org, key)
        if known is not None:
            return known
        before = self._forgotten
        # As it is now: whoever asks may have come in long ago, and what was taken back since is gone from it.
        principal, expires = await self._admit(await self.organisation(org.slug), token)
        if before != self._forgotten:  # somebody was forgotten meanwhile, perhaps this one: asked again next time
            return Remembered(org.id, principal, expires)
        return self.remember(org, key, principal, expires)

    def remember(self, org: Organisation, key: bytes, principal: Principal, expires: int) -> Remembered:
        """Keeps whose token it is until it expires (Unix seconds), or is taken back."""
        known = self._tokens[key] = Remembered(org.id, principal, expires)
        _shed(self._tokens, MOST_TOKENS)
        return known

    def known_token(self, org: Organisation, key: bytes) -> Remembered | None:
        """A token that is remembered and holds at this moment, without asking anybody."""
        known = self._tokens.get(key)
        if known is None or known.org != org.id or known.expires <= self._now():
            return None
        return known

    def known(self) -> Iterator[tuple[int, Principal]]:
        """(organisation, whose it is) of every remembered token."""
        return ((known.org, known.principal) for known in list(self._tokens.values()))

    def forget(self, word: Forget) -> None:
        """Drops the remembered tokens that are meant, and what is known of the organisation."""
        self._forgotten += 1
        gone = [token for token, known in self._tokens.items() if known.org == word.org and word.means(known.principal)]
        for token in gone:
            del self._tokens[token]
        for slug in [slug for slug, (_, known) in self._organisations.items() if known.id == word.org]:
            del self._organisations[slug]


def key_of(token: str) -> bytes:
    """What a token is remembered by: a tenth of its text."""
    return hashlib.sha256(token.encode()).digest()


def _shed(memory: dict[Any, Any], most: int) -> None:
    """Drops the oldest eighth of more than `most`; one by one, each would be looked for behind all that went before."""
    if len(memory) > most:
        for oldest in list(islice(memory, most // 8)):
            del memory[oldest]


def bearer(value: str | None) -> str | None:
    """The token of an `Authorization` value, or of a handshake's `token`, with or without the word Bearer."""
    if value is None:
        return None
    word, _, token = value.strip().partition(" ")
    if not token:
        return word or None
    if word.lower() != "bearer":
        raise Unauthenticated("Only bearer tokens are accepted.")
    return token.strip()
