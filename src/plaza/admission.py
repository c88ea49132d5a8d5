"""Admission: who a token lets in, composed of organisations, people and built-in accounts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from functools import partial

import structlog

from plaza.adapters.jwks import KeySets
from plaza.domains import accounts
from plaza.domains.organisations import service as organisations
from plaza.domains.organisations import tokens
from plaza.domains.organisations.queries import KeyRow
from plaza.domains.organisations.service import Entered
from plaza.domains.organisations.tokens import Claims, Unproven
from plaza.domains.people import AddressTaken, SignerUnknown
from plaza.domains.people import queries as people_queries
from plaza.domains.people import service as people
from plaza.kernel.clock import Clock
from plaza.kernel.context import Organisation, Principal
from plaza.kernel.errors import Refusal
from plaza.kernel.throttle import Throttle
from plaza.kernel.together import Together
from plaza.store.postgres import Postgres

log = structlog.get_logger("plaza.admission")
REFUSAL_SECONDS = 60.0
"""Between two log lines that say the same of one signer."""
OfOrg = tuple[int, int]
"""(organisation, person or session)."""


class Admission:
    """Speaks to the store for the entry, which knows no domain."""

    def __init__(self, store: Postgres, key_sets: KeySets, clock: Clock, new_id: Callable[[], int]) -> None:
        self._store = store
        self._key_sets = key_sets
        self._clock = clock
        self._new_id = new_id
        self._known = Together(partial(people.known, store))
        self._refusals = Throttle(seconds=REFUSAL_SECONDS, most=1_000)

    async def find(self, slug: str) -> Organisation:
        """The organisation called `slug`; nobody comes into one that is suspended."""
        return await organisations.enter(self._store, slug)

    async def admit(self, org: Organisation, token: str) -> tuple[Principal, int]:
        """The principal of a token and when it expires; whoever is suspended or signed out is refused."""
        now = self._clock()
        claims = await self._verified(org, token, now.timestamp())
        if claims.session is not None:
            return await accounts.resume(self._store, org, claims, now), claims.expires
        coming = people.Arrival(
            claims.subject, claims.email, claims.name, claims.picture, claims.issued, claims.signer, claims.claims
        )
        known = await self._known.ask((org.id, coming))
        try:
            person = await people.arrive(self._store, org, coming, known, now=now, new_id=self._new_id)
        except (AddressTaken, SignerUnknown) as refusal:
            self._log_refusal(org, claims.signer, refusal)
            raise
        return Principal(person.id, person.email, claims.role, key=claims.key, signer=claims.signer), claims.expires

    def _log_refusal(self, org: Organisation, signer: str, refusal: Refusal) -> None:
        """Logs that people of a signer are kept out, for the operator: they cannot mend it themselves."""
        if self._refusals.passes((org.id, signer, refusal.reason)):
            log.warning("token.refused", org=org.id, signer=signer, reason=refusal.reason)

    async def _verified(self, org: Organisation, token: str, now: float) -> Claims:
        """By the keys that the organisation had when it was found, else by those that it has now."""
        unproven = tokens.read(token, org)
        if isinstance(org, Entered):
            with contextlib.suppress(tokens.NotSigned):
                return await self._proven(unproven, org.keys, now)
        return await self._proven(unproven, await organisations.keys(self._store, org), now)

    async def _proven(self, token: Unproven, keys: Sequence[KeyRow], now: float) -> Claims:
        """By the published keys that are at hand, where one has signed the token; else by those that are fetched."""
        if not token.by_key_set:
            return tokens.prove(token, keys, (), now)
        sets = [(key, key.jwks_url) for key in keys if key.jwks_url is not None]
        published = [(one, key) for one, url in sets for key in self._key_sets.known(url)]
        with contextlib.suppress(tokens.NotSigned):
            return tokens.prove(token, keys, published, now)
        fetched = await asyncio.gather(*(self._key_sets.find(url, token.header.kid) for _, url in sets))
        published = [(one, key) for (one, _), found in zip(sets, fetched, strict=True) for key in found]
        return tokens.prove(token, keys, published, now)

    async def closed(self, known: Collection[int]) -> Sequence[int]:
        """Those of some organisations that have been suspended."""
        return await organisations.suspended(self._store, known)

    async def suspended(self, known: Collection[tuple[int, int, str]]) -> list[OfOrg]:
        """Those of some people, each with the signer of their token, who are suspended or belong to another signer."""
        orgs, ids, signers = zip(*known, strict=True) if known else ((), (), ())
        rows = await self._store.all(people_queries.SUSPENDED, orgs=orgs, ids=ids, signers=signers)
        return [(row.org, row.person) for row in rows]

    async def moved(self, known: Collection[tuple[int, int, str | None]]) -> list[OfOrg]:
        """Those of some people, each with an address, who have another one by now."""
        orgs, ids, emails = zip(*known, strict=True) if known else ((), (), ())
        rows = await self._store.all(people_queries.MOVED, orgs=orgs, ids=ids, emails=emails)
        return [(row.org, row.person) for row in rows]

    async def retired(self, known: Collection[tuple[int, str]]) -> list[tuple[int, str]]:
        """Those of some (organisation, name of a key) that sign nothing any more, or are published no longer."""
        held = await organisations.held_keys(self._store, {org for org, _ in known})
        hold = {(key.org, key.kid) for key in held if key.jwks_url is None}
        sets = [(key, key.jwks_url) for key in held if key.jwks_url is not None]
        for (key, _), found in zip(
            sets, await asyncio.gather(*(self._key_sets.fetch(url) for _, url in sets)), strict=True
        ):
            hold |= {(key.org, tokens.key_name(key.kid, one)) for one in found}
        return sorted(set(known) - hold)

    async def over(self, known: Collection[OfOrg]) -> list[OfOrg]:
        """Those of some sessions that have ended."""
        rows = await accounts.over(self._store, known, self._clock())
        return [(row.org, row.id) for row in rows]
