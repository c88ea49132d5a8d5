"""Who may see a page about the server: a client on this computer, or whoever has its secret (decision 25)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from plaza.entry.auth import bearer
from plaza.entry.http import Request
from plaza.entry.proxies import forwarded, is_loopback
from plaza.kernel.errors import Refusal

_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
PLAIN_CONNECTIONS = ("", "keep-alive")
"""Values of `Connection` that browsers and scrapers send; nginx sends `close` or `upgrade` by its usual settings."""


class Access:
    """Admits a request from this computer where `local`, and one that gives the secret where there is one."""

    def __init__(self, *, local: bool, secret: str | None, given: Callable[[Request], str | None]) -> None:
        self._local = local
        self._secret = secret
        self._given = given

    def __call__(self, request: Request) -> bool:
        return (self._local and is_local(request)) or self._has_secret(request)

    def _has_secret(self, request: Request) -> bool:
        if self._secret is None:
            return False
        try:
            given = self._given(request)
        except Refusal:
            return False
        return given is not None and hmac.compare_digest(given.encode(), self._secret.encode())


def is_local(request: Request) -> bool:
    """Whether a request comes from this computer, and shows no sign of a proxy or of another site's page.

    Anybody writes these headers, so that each can only take the right away: a proxy's peer is this computer, too.
    """
    peer = request.scope.get("client")
    return (
        peer is not None
        and is_loopback(peer[0])
        and _LOCAL_HOST.fullmatch(request.joined("host")) is not None
        and not forwarded(name for name, _ in request.headers)
        and request.header("origin") is None
        and request.header("upgrade") is None
        and request.joined("connection").strip().lower() in PLAIN_CONNECTIONS
        and request.scope.get("http_version") != "1.0"
    )


def key_of(request: Request) -> str | None:
    """The parameter `key` of a request."""
    return request.query().get("key")


def token_of(request: Request) -> str | None:
    """The bearer token of a request."""
    return bearer(request.only("authorization"))
