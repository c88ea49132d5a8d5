"""Bounds of what comes in before anything reads it: deadlines, and connections of an address and of the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol, cast

from plaza.realtime import http_errors
from plaza.realtime.deadlines import Allowances, Deadlines
from plaza.realtime.http_errors import HttpError

if TYPE_CHECKING:
    from plaza.realtime.options import Options

log = logging.getLogger("plaza.realtime")
CLOSED_AT_ONCE = 500
"""Late connections that are closed in one sweep; each takes some microseconds."""
PROMPT_SECONDS = 1.0
"""A head that takes no longer is one that comes: its connection is closed for want of room behind idle ones only."""
LOG_SECONDS = 10.0


class Bounded(Protocol):
    """The protocol of a connection that may be closed for want of time or of room."""

    def expire(self, error: HttpError) -> None:
        """Close it, with the answer where the client waits for one."""
        ...

    def received_bytes(self) -> int:
        """Bytes of the present body or message that have come."""
        ...

    def flushed_bytes(self) -> int:
        """Bytes of responses that the kernel has taken."""
        ...


class Ingress:
    """The connections of a process that owe something, by their transports; swept by the engine's timer.

    A connection owes from its start until its first head is complete, and again while a head or a body is incomplete.
    """

    def __init__(self, options: Options, clock: Callable[[], float]) -> None:
        self.options = options
        self.clock = clock
        self.connections = 0
        """All that are open, WebSockets among them."""
        self.closed: dict[str, int] = dict.fromkeys((error.reason for error in http_errors.ALL), 0)
        """How many were closed for each reason."""
        self.heads: Deadlines[asyncio.Transport] = Deadlines(options.head_seconds)
        self.bodies: Allowances[asyncio.Transport] = Allowances(options.body_seconds)
        self.writes: Allowances[asyncio.Transport] = Allowances(options.write_seconds)
        self.messages: Allowances[asyncio.Transport] = Allowances(options.body_seconds)
        self.lingering: Deadlines[asyncio.Transport] = Deadlines(options.linger_seconds)
        self.idle: dict[asyncio.Transport, None] = {}
        """Between two requests, the longest idle first."""
        self._owing: dict[str, dict[asyncio.Transport, None]] = {}
        """By network, the oldest first."""
        self._logged: dict[str, int] = dict(self.closed)
        self._log_due = 0.0

    # A connection comes and goes.

    def arrive(self, transport: asyncio.Transport, address: str) -> str | None:
        """Count a new connection, which owes a head; its network ("" for one that is not counted by it).

        None where the process has no room for it.
        """
        options = self.options
        self.connections += 1
        if 0 < options.connections < self.connections and not self._make_room():
            self.count(http_errors.PROCESS_FULL)
            return None
        if options.trusted is not None and options.trusted(address):
            network = ""
        else:
            network = address if options.network is None else options.network(address)
        self.heads.start(transport, self.clock())
        self._count_in(transport, network)
        return network

    def leave(self, transport: asyncio.Transport, network: str | None) -> None:
        """Its connection is lost; it owes nothing where it has no network."""
        self.connections -= 1
        if network is not None:
            self.settle(transport, network)

    def forget_http(self, transport: asyncio.Transport) -> None:
        """It is none of HTTP any more: no response of it is to be read."""
        self.writes.stop(transport)
        self.lingering.stop(transport)
        self.idle.pop(transport, None)

    # What it owes.

    def owe_head(self, transport: asyncio.Transport, network: str) -> None:
        """A head is expected, whole in `head_seconds`; one that is expected already gets no more time."""
        if self.heads.due(transport) is None:
            self.heads.start(transport, self.clock())
            self._count_in(transport, network)

    def owe_body(self, transport: asyncio.Transport, network: str) -> None:
        """The rest of a body is expected; what has come earns a second for each 64 KiB."""
        self.heads.stop(transport)
        self.bodies.start(transport, self.clock(), 0)
        self._count_in(transport, network)

    def settle(self, transport: asyncio.Transport, network: str) -> None:
        """It owes nothing any more."""
        if self.heads.stop(transport) or self.bodies.stop(transport):
            owing = self._owing.get(network)
            if owing is not None:
                owing.pop(transport, None)
                if not owing:
                    del self._owing[network]

    def linger(self, transport: asyncio.Transport) -> None:
        """It is closed for writing; what still comes is dropped for `linger_seconds`, so that the answer is read."""
        self.lingering.start(transport, self.clock())

    def count(self, error: HttpError) -> None:
        """Count a connection that is closed for this reason."""
        self.closed[error.reason] += 1

    # Time and room.

    def sweep(self, now: float) -> None:
        """Close what is late."""
        for transport, _ in self.heads.take(now, CLOSED_AT_ONCE):
            self.heads.start(transport, now)  # so that it is settled like any other
            _protocol(transport).expire(http_errors.HEAD_TIMEOUT)
        for transport in self.bodies.take(now, lambda one: _protocol(one).received_bytes()):
            self.bodies.start(transport, now, 0)
            _protocol(transport).expire(http_errors.BODY_TIMEOUT)
        for transport in self.messages.take(now, lambda one: _protocol(one).received_bytes()):
            _protocol(transport).expire(http_errors.MESSAGE_TIMEOUT)
        for transport in self.writes.take(now, lambda one: _protocol(one).flushed_bytes()):
            _protocol(transport).expire(http_errors.WRITE_TIMEOUT)
        for transport, _ in self.lingering.take(now, CLOSED_AT_ONCE):
            transport.abort()
        if now >= self._log_due and self.closed != self._logged:
            self._log(now)

    def _log(self, now: float) -> None:
        counts = {reason: count - self._logged[reason] for reason, count in self.closed.items()}
        log.warning("connections.closed", extra={reason: count for reason, count in counts.items() if count})
        self._logged = dict(self.closed)
        self._log_due = now + LOG_SECONDS

    def _count_in(self, transport: asyncio.Transport, network: str) -> None:
        """Count what its network owes, and close one where that is too much."""
        if not network:
            return
        owing = self._owing.get(network)
        if owing is None:
            self._owing[network] = {transport: None}
            return
        owing[transport] = None
        if len(owing) > self.options.connections_per_address:
            _protocol(self._longest_silent(owing)).expire(http_errors.ADDRESS_FULL)

    def _longest_silent(self, owing: Iterable[asyncio.Transport]) -> asyncio.Transport:
        """The first whose head is not there though there was time for it, else the first: a slow body is no silence."""
        latest = self.clock() - PROMPT_SECONDS + self.heads.delay
        silent = (one for one in owing if (due := self.heads.due(one)) is not None and due <= latest)
        return next(silent, None) or next(iter(owing))

    def _make_room(self) -> bool:
        """Close the connection that has been silent longest; False where none is silent."""
        kinds: tuple[Iterable[asyncio.Transport], ...] = (
            self.lingering,
            self._silent_heads(),
            self.idle,
            self.heads,
            self.bodies,
        )
        for silent in kinds:
            oldest = next(iter(silent), None)
            if oldest is not None:
                self._close(oldest)
                return True
        return False

    def _silent_heads(self) -> Iterator[asyncio.Transport]:
        """Those whose head is not there though there was time for it: who comes in one moment does not close others."""
        latest = self.clock() - PROMPT_SECONDS
        return (transport for transport, _ in takewhile(lambda begun: begun[1] <= latest, self.heads.oldest()))

    def _close(self, transport: asyncio.Transport) -> None:
        if self.lingering.stop(transport):
            transport.abort()
        else:
            self.idle.pop(transport, None)  # it is lost a moment later, and others may come before that
            _protocol(transport).expire(http_errors.PROCESS_FULL)


def _protocol(transport: asyncio.Transport) -> Bounded:
    return cast("Bounded", transport.get_protocol())
