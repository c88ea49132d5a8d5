"""Key sets: the public keys that a signer publishes at an address (JWKS, RFC 7517).

The address is the operator's, its answers may be anything: they are bounded in bytes, keys and seconds, and whatever is
wrong with them is no error of ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from plaza.adapters.jwk import Unusable, public_key
from plaza.kernel.keys import PublicKey

log = structlog.get_logger("plaza.jwks")
FRESH_SECONDS = 300.0
"""How long a key set is used; a key taken out of it is refused after so long at the latest."""
RETRY_SECONDS = 10.0
"""How long a failure is remembered, and between two fetches for a key that is not in the set."""
FETCH_SECONDS = 5.0
"""For one fetch, from the connection to the last byte."""
LARGEST = 1 << 18
"""Bytes of a key set."""
MOST_KEYS = 100
"""A token that names no key is tried with each."""
_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}


class KeySetError(Exception):
    """An address gives no key set; says why."""


class UnreachableError(KeySetError):
    """An address does not answer at present, or not in time."""


class KeySet(NamedTuple):
    """What an address publishes: the keys that may verify tokens, and what is wrong with the others."""

    keys: Sequence[PublicKey]
    problems: Sequence[str]


class _Held:
    """A key set as it was fetched last, and when it is to be fetched again."""

    def __init__(self) -> None:
        self.keys: Sequence[PublicKey] = ()
        self.fetched = float("-inf")
        self.until = float("-inf")
        self.failed = False
        self.refetched = float("-inf")
        self.fetching: asyncio.Task[None] | None = None

    def has(self, kid: str | None) -> bool:
        return any(key.kid == kid for key in self.keys)


class KeySets:
    """Fetches key sets and keeps them; an address that cannot be reached keeps its last keys.

    Each address is fetched once at a time, whoever asks for it.
    """

    def __init__(self) -> None:
        # Not through a proxy of the environment, nor where a redirect leads: to the address that the operator named.
        self._client = httpx2.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=False, trust_env=False)
        self._held: dict[str, _Held] = {}

    def known(self, url: str) -> Sequence[PublicKey]:
        """The keys of `url` as they were fetched last, while they are fresh; nothing is waited for."""
        held = self._held.get(url)
        return held.keys if held is not None and time.monotonic() < held.until else ()

    async def fetch(self, url: str) -> Sequence[PublicKey]:
        """The keys published at `url`; none when it gives no key set."""
        held = self._held.setdefault(url, _Held())
        if time.monotonic() >= held.until:
            # One that failed the last time and has old keys is tried again behind them.
            await self._refetch(url, held, wait=not (held.failed and held.keys))
        return held.keys

    async def find(self, url: str, kid: str | None) -> Sequence[PublicKey]:
        """As `fetch`, once more where the set has no key `kid`: a signer may have a new one."""
        present = time.monotonic()
        await self.fetch(url)
        held = self._held[url]
        missing = not held.has(kid) and not held.failed and held.fetched < present
        if missing and (held.fetching is not None or present >= held.refetched + RETRY_SECONDS):
            held.refetched = present
            await self._refetch(url, held, wait=True)
        return held.keys

    async def _refetch(self, url: str, held: _Held, *, wait: bool) -> None:
        if held.fetching is None:
            held.fetching = asyncio.create_task(self._update(url, held))
        if wait:
            await asyncio.shield(held.fetching)

    async def _update(self, url: str, held: _Held) -> None:
        held.fetched = time.monotonic()
        try:
            found = await self.inspect(url)
            if found.problems:
                log.warning("jwks.keys_unusable", host=urlsplit(url).hostname, keys=len(found.problems))
            held.keys, held.failed = found.keys, False
        except KeySetError as error:
            log.warning("jwks.failed", host=urlsplit(url).hostname, error=str(error))
            held.failed = True
        except Exception:
            # Of an answer that nobody has thought of: the requests that wait for it are not to blame.
            log.exception("jwks.failed", host=urlsplit(url).hostname)
            held.failed = True
        finally:
            held.until = time.monotonic() + (RETRY_SECONDS if held.failed else FRESH_SECONDS)
            held.fetching = None

    async def inspect(self, url: str) -> KeySet:
        """What `url` publishes at this moment; `KeySetError` where that is no key set."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                body = await self._download(url)
        except TimeoutError as error:
            raise UnreachableError(f"The address did not answer in full within {FETCH_SECONDS:g} seconds.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise UnreachableError(f"The address cannot be fetched ({type(error).__name__}).") from error
        # A hundred keys take some milliseconds, which are not the event loop's.
        return await asyncio.to_thread(parse, body)

    async def _download(self, url: str) -> bytes:
        async with self._client.stream("GET", url, headers=_HEADERS) as answer:
            if answer.status_code != 200:
                raise KeySetError(f"The address answers with status {answer.status_code}.")
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise KeySetError("The answer is compressed, which was not asked for.")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > LARGEST:
                    raise KeySetError(f"The answer is larger than {LARGEST} bytes.")
            return bytes(body)

    async def close(self) -> None:
        """Closes the connections."""
        under_way = [held.fetching for held in self._held.values() if held.fetching is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._client.aclose()


def parse(body: bytes) -> KeySet:
    """The keys of a set; one that is of no use does not spoil the others."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise KeySetError("The answer is not JSON.") from error
    members = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(members, list):
        raise KeySetError("The answer is not a key set: an object with a list of keys.")
    if len(members) > MOST_KEYS:
        raise KeySetError(f"The key set has {len(members)} keys, more than {MOST_KEYS}.")
    keys, problems = [], []
    for place, member in enumerate(members, 1):
        try:
            keys.append(public_key(member))
        except Unusable as error:
            named = member.get("kid") if isinstance(member, dict) else None
            problems.append(f"Key {str(named)[:100] if named else place} {error}.")
    return KeySet(keys, problems)
