"""The WebSocket transport: an asyncio protocol that the door, or uvicorn, hands a connection to."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import msgspec

from plaza.realtime import endings, engineio, handshake, rfc6455
from plaza.realtime.errors import Violation
from plaza.realtime.handshake import Answer, Request
from plaza.realtime.http_errors import HttpError
from plaza.realtime.rfc6455 import Reader, text_frame
from plaza.realtime.session import Session

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine

# The official clients never send WebSocket pings, other libraries one in twenty seconds.
MOST_CONTROL_FRAMES = 64  # between two pings of ours

# After these nothing more is read, not even the close frame that a well-behaved client would answer with.
OFFENCES = frozenset(
    (rfc6455.PROTOCOL_ERROR, rfc6455.UNSUPPORTED, rfc6455.INVALID_TEXT, rfc6455.POLICY, rfc6455.TOO_BIG)
)
PROBED = text_frame((engineio.PONG + engineio.PROBE).encode())


class WebSocket(asyncio.Protocol, msgspec.Struct, eq=False):
    """One connection: handshake, then the link of a session, or a probe that may become it.

    A Struct, since it is made without a call of Python's for whoever knocks.
    """

    engine: Engine
    session: Session | None = None
    _transport: asyncio.Transport = None  # type: ignore[assignment]  # until `connection_made`
    _reader: Reader | None = None
    """Only while a part of a message has come: most wait most of the time."""
    _peer: str | None = None  # the address of the client or of its proxy
    _network: str | None = None  # what `Ingress` counts it under, while it owes a head
    _flying: int = 0
    _closing: bool = False
    _deaf: bool = False

    __repr__ = object.__repr__  # not all that it leads to

    # What asyncio and uvicorn call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._closing = True
        self.engine.ingress.leave(self._transport, self._network)
        if self._reader is not None:
            self.engine.ingress.messages.stop(self._transport)
        self.engine.partings.stop(self)
        self.engine.upgrades.stop(self)
        session, self.session = self.session, None
        if session is None:
            return
        if session.link is self:
            session.end(endings.TRANSPORT_CLOSED)
        else:
            session.upgrading = False

    def data_received(self, data: bytes) -> None:
        """Bytes of frames; uvicorn brings the request here first, where it was not the door that read it."""
        self.engine.inbox.put(self, data)

    def pause_writing(self) -> None:
        """The kernel takes no more bytes."""
        if self.session is not None and self.session.link is self:
            self.session.blocked = True

    def resume_writing(self) -> None:
        """Everything taken so far is with the kernel."""
        self._flying = 0
        if self.session is not None and self.session.link is self and not self.session.ended:
            self.session.blocked = False
            self.session.flush()

    def eof_received(self) -> None:
        """The client will say nothing more: the connection closes."""

    # What the inbox calls.

    def hear(self, data: bytes) -> None:
        """The bytes' turn has come."""
        session = self.session
        if session is None:
            if self._closing:
                self._turned_away(data)
            else:
                self.begin(data)
            return
        if self._deaf:
            return
        payload = None
        if self._reader is None and not self._closing and not session.paused:
            payload = rfc6455.whole(data, self.engine.options.max_payload)
        try:
            if payload is None:
                self._read(data)
            else:
                self._text(session, payload)
        except Violation as violation:
            self._violated(violation)

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    # What the ingress calls.

    def expire(self, error: HttpError) -> None:
        """Close it for a message that trickles, if that is not our own doing."""
        if self._paused():
            self._wait_for_rest()
        elif not self._closing and self._reader is not None:
            self.engine.ingress.count(error)
            self._violated(Violation(rfc6455.POLICY, error.message))

    def received_bytes(self) -> int:
        """Bytes of a message that is not complete."""
        return 0 if self._reader is None else self._reader.size

    def flushed_bytes(self) -> int:
        """Nothing: what a client does not read is the session's matter."""
        return 0

    # What a session calls.

    def send(self, queue: list[bytes]) -> None:
        """Write all frames of the queue at once."""
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        self._flying = len(queue)
        queue.clear()
        self._transport.write(data)

    def unsent(self) -> tuple[int, int]:
        """Events of the last write that has not reached the kernel, and the bytes left of it."""
        return self._flying, self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Read no more from the client."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again, first what had come already."""
        if self._reader is not None and self.session is not None:
            self.hear(b"")
        if not self._transport.is_closing() and not self._paused():
            self._transport.resume_reading()

    def release(self) -> None:
        """Nothing waits here to be let go."""

    def close(self, frames: list[bytes], code: int, reason: str) -> None:
        """Write the last frames and a close frame, then wait `close_timeout` for the client's."""
        if frames and not self._closing:
            self.send(frames)
        self._deaf = self._deaf or code in OFFENCES
        self._part(code, reason)

    # The handshake.

    def begin(self, data: bytes) -> None:
        """Take the request for a WebSocket, which uvicorn gives whole."""
        asked = self.engine.heads.read(data)
        if asked is None:
            self._answer(handshake.BAD_REQUEST)
        else:
            self.greet(*asked)

    def greet(self, request: Request, key: bytes) -> None:
        """Answer the request for a WebSocket."""
        accept = handshake.accept_key(key)
        if request.refusal is not None:
            self._answer(request.refusal)
        elif accept is None:
            self._answer(handshake.BAD_REQUEST)
        elif "sid" in request.query:
            self._probe(request.query["sid"], accept)
        else:
            self._open(request, accept)

    def _open(self, request: Request, accept: bytes) -> None:
        engine, peer = self.engine, self._peer
        if peer is None:  # uvicorn read the request
            found = self._transport.get_extra_info("peername")
            peer = found[0] if isinstance(found, tuple) else ""
        address = handshake.address_of(engine.options, peer, request.headers)
        session = engine.open(self, address, request.kept)
        if isinstance(session, Answer):
            self._answer(session)
        else:
            self.session = session
            self._accept(accept, text_frame(engine.opening.packet(session.id)))

    def _probe(self, sid: str, accept: bytes) -> None:
        session = self.engine.find(sid)
        if session is None:
            self._answer(handshake.UNKNOWN_SID)
        elif session.upgrading or isinstance(session.link, WebSocket):
            self._accept(accept)  # as the official server does, and its clients expect
            self._part(rfc6455.NO_CODE, "")
        else:
            session.upgrading = True
            self.session = session
            self.engine.upgrades.start(self, self.engine.clock())
            self._accept(accept)

    def _accept(self, accept: bytes, first: bytes = b"") -> None:
        self._transport.set_write_buffer_limits(high=0)  # to be told as soon as the kernel takes no more bytes
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + first
        )

    def _answer(self, answer: Answer) -> None:
        retry = "" if answer.retry_after is None else f"Retry-After: {answer.retry_after}\r\n"
        head = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(answer.body)}\r\n{retry}Connection: close\r\n\r\n"
        )
        self._closing = True
        self._transport.write(head.encode() + answer.body)
        self._transport.close()

    # Frames.

    def _read(self, data: bytes) -> None:
        if self._reader is None:
            self._reader = Reader(self.engine.options.max_payload)
        reader = self._reader
        reader.feed(data)
        taken = False
        while not self._deaf and not self._paused() and (message := reader.next()) is not None:
            self._take(*message)
            taken = True
        if taken or reader.idle:
            self.engine.ingress.messages.stop(self._transport)
        if reader.idle:
            self._reader = None
        else:
            self._wait_for_rest()

    def _wait_for_rest(self) -> None:
        self.engine.ingress.messages.start(self._transport, self.engine.clock(), 0)

    def _turned_away(self, data: bytes) -> None:
        """Look for the close frame of a client that was given no session, behind whatever it sent before."""
        try:
            if not self._deaf:
                self._read(data)
        except Violation:
            self._deaf = True

    def _paused(self) -> bool:
        return self.session is not None and self.session.paused and not self._closing

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == rfc6455.CLOSE:
            self._closed_by_client(rfc6455.close_code(payload))
        elif self._closing or self.session is None:
            return
        elif opcode == rfc6455.TEXT:
            self._text(self.session, payload)
        else:
            self._control(self.session, opcode, payload)

    def _text(self, session: Session, payload: bytes) -> None:
        kind, data = engineio.decode_packet(payload)
        if session.link is self:
            session.received(kind, data)
        else:
            self._upgrade(session, kind)

    def _control(self, session: Session, opcode: int, payload: bytes) -> None:
        session.control_frames += 1
        if session.control_frames > MOST_CONTROL_FRAMES:
            raise Violation(rfc6455.POLICY, "too many control frames")
        # A pong is no event: to a client that does not read, the next ping's will do.
        if opcode == rfc6455.PING and not self._transport.get_write_buffer_size():
            self._transport.write(rfc6455.pong_frame(payload))

    def _upgrade(self, session: Session, kind: str) -> None:
        if session.ended:
            raise Violation(rfc6455.POLICY, "session is over")
        if kind == engineio.PING:
            self._transport.write(PROBED)
            session.link.release()
        elif kind == engineio.UPGRADE:
            self.engine.upgrades.stop(self)
            session.carry(self)
        else:
            raise Violation(rfc6455.PROTOCOL_ERROR, "not a probe")

    # Parting.

    def _violated(self, violation: Violation) -> None:
        if self.session is not None and self.session.link is self:
            self.session.violated(violation)
        self._deaf = True  # the reader has lost its place
        self._part(violation.code, violation.reason)

    def _closed_by_client(self, code: int) -> None:
        if not self._closing:
            self._transport.write(rfc6455.close_frame(code))
        self._closing = True
        self._transport.close()
        self.engine.part(self)  # closing waits for the last bytes to be read
        if self.session is not None and self.session.link is self:
            self.session.end(endings.TRANSPORT_CLOSED)

    def _part(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        self._transport.write(rfc6455.close_frame(code, reason))
        self.engine.part(self)
        if self.session is not None and self.session.paused:
            self._transport.resume_reading()  # the client's close frame is behind what was not read
