"""Bytes, clocks and connections: the settings that bound what comes in, as options of the server that counts them."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import NamedTuple

from plaza.entry.proxies import Proxies
from plaza.kernel.limits import network
from plaza.realtime import Options
from plaza.settings import Settings

OWN_FILES = 100
"""Descriptors of a process that are no client's: listeners, logs, the bus, key sets, mail, what the loop needs."""


class Bound(NamedTuple):
    """One row of docs/limits.md: a setting, its unit, what it bounds, and what happens beyond it."""

    setting: str
    unit: str
    what: str
    beyond: str


BOUNDS = (
    Bound(
        "head_bytes",
        "bytes",
        "All of a request that is not its body: request line, headers, trailers, the framing of chunks.",
        "431 `request.head_too_large`, closed",
    ),
    Bound("head_lines", "lines", "Headers and trailers of a request.", "431 `request.head_too_large`, closed"),
    Bound(
        "head_seconds",
        "seconds",
        "From the start of a connection, or the first byte of a later request, to the end of its head.",
        "408 `request.head_timeout`, closed; closed without an answer where nothing was sent",
    ),
    Bound(
        "body_bytes",
        "bytes",
        "The body of a request; a WebSocket message, its fragments joined.",
        "413 `request.too_large`, closed; a WebSocket with 1009",
    ),
    Bound(
        "body_seconds",
        "seconds, and one more for each 64 KiB that came",
        "A body, from the end of its head; a WebSocket message, from its first byte.",
        "408 `request.body_timeout`, closed; a WebSocket with 1008",
    ),
    Bound(
        "write_seconds",
        "seconds, and one more for each 64 KiB that was taken",
        "For a client to take a response. (A WebSocket that does not read is a `slow_consumer`, long before.)",
        "cut",
    ),
    Bound(
        "connections_per_address",
        "connections",
        "Of one network, those whose first head, or whose present head or body, is not complete; "
        "those of trusted proxies are not counted.",
        "the oldest is closed, a silent one first: 429 `connections.address` where it had sent something",
    ),
    Bound(
        "connections",
        "connections",
        "All of a process, WebSockets among them. 0: as many as its limit of open files allows.",
        "the one that has been silent longest is closed, with 503 `connections.process` if a request had begun; "
        "where none is silent, the new one",
    ),
)


def options(settings: Settings, proxies: Proxies, admit: Callable[[str], int | None]) -> Options:
    """The options of the socket server; `admit` is asked with the address before a handshake."""
    origins = settings.allowed_origins
    return Options(
        origins=None if "*" in origins else tuple(origins),
        originless=True,
        address=proxies.client_of_handshake,
        network=network,
        admit=admit,
        headers=("orgid", "authorization"),
        head_bytes=settings.head_bytes,
        head_lines=settings.head_lines,
        head_seconds=settings.head_seconds,
        body_bytes=settings.body_bytes,
        max_payload=settings.body_bytes,
        body_seconds=settings.body_seconds,
        write_seconds=settings.write_seconds,
        connections=settings.connections or most_connections(settings.pool_size),
        connections_per_address=settings.connections_per_address,
        trusted=proxies.trusts if proxies else None,
    )


def most_connections(pool_size: int) -> int:
    """Connections that the limit of open files leaves room for; half of a limit that is very low."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 0
    return max(soft - OWN_FILES - pool_size, soft // 2)


def table() -> str:
    """The table of docs/limits.md."""
    defaults = Settings()
    rows = ["| setting | variable | default | what it bounds | beyond it |", "| --- | --- | --- | --- | --- |"]
    for bound in BOUNDS:
        default = f"{getattr(defaults, bound.setting):,g} {bound.unit}"
        rows.append(
            f"| `{bound.setting}` | `PLAZA_{bound.setting.upper()}` | {default} | {bound.what} | {bound.beyond} |"
        )
    return "\n".join(rows) + "\n"
