"""HTTP connections: uvicorn's protocol, fed in small pieces, with bounds of bytes, lines and time for each request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from plaza.realtime import http_errors
from plaza.realtime.http_errors import HttpError
from plaza.realtime.parsing import ParsedConnection

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

    from plaza.realtime.ingress import Ingress

PIECE = 4_096
"""Bytes that the parser gets at once: what it makes of them is bounded before it gets more."""
BETWEEN, IN_HEAD, IN_BODY = range(3)


class ResponseWriter:
    """What a response is written to in place of the transport: counts, and closes so that the client can read it."""

    __slots__ = ("_connection", "_transport", "is_closing", "written")

    def __init__(self, connection: HttpConnection, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self.is_closing = transport.is_closing
        self.written = 0

    def write(self, data: bytes) -> None:
        """Write a part of a response."""
        self.written += len(data)
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection behind what was written."""
        self._connection.finish()


class TooManyLines(Exception):  # noqa: N818 - errors say what is wrong
    """Stops the parser."""


class HttpConnection(ParsedConnection):
    """One connection; of the request that is read it knows how far it is, and its bytes and lines beside the body."""

    def __init__(
        self,
        ingress: Ingress,
        network: str,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._ingress = ingress
        self._network = network
        self._writer: ResponseWriter
        self._stage = IN_HEAD
        self._overhead = 0
        self._lines = 0
        self._body = 0
        self._held = b""
        """What came behind requests that wait for earlier ones."""
        self._unread = 0
        """`written` at the end of the response that the client is to take in time."""
        self._over = False
        """Nothing more is read: the connection is closed or goes over to another protocol."""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take over the connection."""
        super().connection_made(transport)
        self._writer = ResponseWriter(self, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._over = True
        self._held = b""
        self._ingress.leave(self.transport, self._network)
        self._ingress.forget_http(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, or keep it while earlier requests are answered."""
        if self._over:
            return
        self._ingress.idle.pop(self.transport, None)
        if self._held or self.pipeline:
            self._held += data
            self.flow.pause_reading()
        else:
            self._feed(data)

    def pause_writing(self) -> None:
        """The client reads more slowly than is written."""
        super().pause_writing()
        self._await_reading()

    # Reading.

    def _feed(self, data: bytes) -> None:
        start, size = 0, len(data)
        while start < size:
            if self.pipeline:
                self._held = data[start:]
                self.flow.pause_reading()
                break
            piece = data[start : start + self._room()]
            start += len(piece)
            self._overhead += len(piece)
            self.parse(piece)
            if self._over or self.transport.is_closing() or self._upgraded() or self._bounded():
                return
        self._set_clock()

    def _upgraded(self) -> bool:
        """Whether the connection has become a WebSocket's."""
        self._over = self.transport.get_protocol() is not self
        if self._over:
            self._ingress.settle(self.transport, self._network)
            self._ingress.forget_http(self.transport)
        return self._over

    def _room(self) -> int:
        """Bytes that the parser may get: no head is dispatched that is over its bounds."""
        return PIECE if self._stage == IN_BODY else min(PIECE, self._ingress.options.head_bytes - self._overhead)

    def _bounded(self) -> bool:
        """Whether the request was over its bounds; then the connection is closed."""
        most = self._ingress.options.head_bytes
        if self._overhead > most or (self._overhead == most and self._stage != IN_BODY):
            self.expire(http_errors.HEAD_TOO_LARGE)
        elif self._body > self._ingress.options.body_bytes and self.cycle.response_complete:  # else it is told
            self.expire(http_errors.BODY_TOO_LARGE)
        return self._over

    def _set_clock(self) -> None:
        if self._stage == IN_BODY:
            self._ingress.owe_body(self.transport, self._network)
        elif self._stage == IN_HEAD or self._overhead:  # empty lines between requests are no request
            self._stage = IN_HEAD
            self._ingress.owe_head(self.transport, self._network)
        else:
            self._ingress.settle(self.transport, self._network)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins, or is read again."""
        self._stage = IN_HEAD
        self._lines = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head, or a trailer, of which nothing here makes use."""
        self._lines += 1
        if self._lines > self._ingress.options.head_lines:
            self.expire(http_errors.HEAD_TOO_LARGE)
            raise TooManyLines
        if self._stage == IN_HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self.upgrade_ignored():
            return
        before = self.cycle
        super().on_headers_complete()
        self._stage = IN_BODY
        if self.cycle is not before:
            self.cycle.transport = self._writer  # type: ignore[assignment]  # all of it that a response uses

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._overhead -= len(body)
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self.upgrade_ignored():
            return
        self._stage = BETWEEN
        self._overhead = self._lines = self._body = 0
        self._ingress.settle(self.transport, self._network)  # the next one has its own time
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser does not understand what came."""
        if not self._over:
            self.expire(http_errors.MALFORMED)

    # Answering.

    def on_response_complete(self) -> None:
        """A response is written: go on with what waits, or wait for the next request."""
        self._await_reading()
        if self._over:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.pipeline:
            self.flow.pause_reading()
        elif self._held:
            self.flow.pause_reading()
            self._unset_keepalive_if_required()
            self.loop.call_soon(self._go_on)
        elif self._stage == BETWEEN and self.cycle.response_complete:
            self._ingress.idle[self.transport] = None

    def _go_on(self) -> None:
        if self._over or self.pipeline:
            return
        held, self._held = self._held, b""
        self.flow.resume_reading()
        self._feed(held)

    def _await_reading(self) -> None:
        """Give the client time to take what is written so far, unless it has less time already."""
        if self._unread <= self.flushed_bytes():
            self._ingress.writes.stop(self.transport)
            self._unread = self._writer.written
            self._ingress.writes.start(self.transport, self._ingress.clock(), self.flushed_bytes())

    def received_bytes(self) -> int:
        """Bytes of the body that have come."""
        return self._body

    def flushed_bytes(self) -> int:
        """Bytes of responses that the kernel has taken."""
        return self._writer.written - self.transport.get_write_buffer_size()

    # Closing.

    def finish(self) -> None:
        """Close behind the response, when the rest of its request has come or enough of it was dropped."""
        if self._stage == BETWEEN:
            self.transport.close()
        elif not self._over:
            self._linger()

    def shutdown(self) -> None:
        """uvicorn stops."""
        if self._over:
            self.transport.abort()
        else:
            super().shutdown()

    def expire(self, error: HttpError) -> None:
        """Close it for want of time or of room, or for what it sent."""
        if error is http_errors.WRITE_TIMEOUT:
            self._expire_unread()
        elif error is http_errors.BODY_TIMEOUT and self.flow.read_paused:
            pass  # the application takes its time, not the client
        else:
            self._ingress.count(error)
            self._close(error)

    def _close(self, error: HttpError) -> None:
        """Answer where an answer is waited for, and close."""
        cycle, transport = self.cycle, self.transport
        if self._unanswered():
            transport.write(error.wire())
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        crowded = error in (http_errors.ADDRESS_FULL, http_errors.PROCESS_FULL)  # then it is to be gone at once
        if crowded or (self._stage == BETWEEN and not self._overhead):
            self._over = True
            self._ingress.settle(transport, self._network)
            transport.close()
        else:
            self._linger()

    def _unanswered(self) -> bool:
        """Whether the client waits for an answer of which nothing is written yet, and for no earlier one."""
        if self._stage == IN_BODY:
            return not (self.pipeline or self.cycle.response_started)
        begun = self._stage == IN_HEAD or self._overhead > 0
        return begun and self.answered()

    def _linger(self) -> None:
        """Close for writing, and drop what comes until the client closes or `linger_seconds` are over.

        To close at once would throw away what the client has not read yet of the answer (RFC 9112, 9.6).
        """
        self._over = True
        self._held = b""
        self.pipeline.clear()
        self._unset_keepalive_if_required()
        self._ingress.settle(self.transport, self._network)
        self._ingress.linger(self.transport)
        self.flow.resume_reading()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _expire_unread(self) -> None:
        """Cut the connection if the client did not take what it was given time for."""
        if self.flushed_bytes() < self._unread:
            self._ingress.count(http_errors.WRITE_TIMEOUT)
            self.transport.abort()
        elif self.transport.get_write_buffer_size():
            self._await_reading()
