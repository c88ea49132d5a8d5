"""Key sets: the public keys that a signer publishes at an address (JWKS, RFC 7517)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx2
import jwt
import structlog

log = structlog.get_logger("plaza.jwks")
FRESH_SECONDS = 300.0
"""How long a key set is used; a key taken out of it is refused after so long at the latest."""
RETRY_SECONDS = 10.0
"""How long a failure is remembered, so that a dead signer is not asked on every request."""
LARGEST = 1 << 18


class KeySets:
    """Fetches key sets and remembers them; an address that cannot be reached keeps its last keys."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(timeout=5, follow_redirects=False)
        self._known: dict[str, tuple[float, Sequence[jwt.PyJWK]]] = {}

    async def fetch(self, url: str) -> Sequence[jwt.PyJWK]:
        """The keys published at `url`; none when it gives no key set."""
        until, keys = self._known.get(url, (float("-inf"), ()))
        if time.monotonic() < until:
            return keys
        try:
            answer = await self._client.get(url)
            answer.raise_for_status()
            if len(answer.content) > LARGEST:
                raise ValueError("the key set is too large")
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys
            self._known[url] = (time.monotonic() + FRESH_SECONDS, keys)
        except (httpx2.HTTPError, jwt.PyJWTError, ValueError) as error:
            log.warning("jwks.failed", error=type(error).__name__)
            self._known[url] = (time.monotonic() + RETRY_SECONDS, keys)
        return keys

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()
