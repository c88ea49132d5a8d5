"""One Engine.IO session: a client, whatever carries it, with what waits to be written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from plaza.realtime import endings, engineio
from plaza.realtime.errors import Violation
from plaza.realtime.gate import EXPECTED
from plaza.realtime.rfc6455 import PROTOCOL_ERROR, text_frame

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine

PING = text_frame(engineio.PING.encode())
STREAMED_EVENTS, STREAMED_BYTES = 64, 65_536
"""Of a stream, what is sent before the client must have taken it: a small part of what its queue holds."""


class Receiver(Protocol):
    """Who hears a session: Socket.IO, or an echo."""

    def message(self, text: str) -> None:
        """One message of the client; may raise Violation."""
        ...

    def closed(self, reason: str) -> None:
        """The session is over; called once."""
        ...


class Link(Protocol):
    """What carries a session: a WebSocket, or long-polling."""

    def send(self, queue: list[bytes]) -> None:
        """Take frames off the queue; sets the session's `blocked` when no more can be taken."""
        ...

    def unsent(self) -> tuple[int, int]:
        """Events and bytes that were taken and are not with the kernel yet."""
        ...

    def pause(self) -> None:
        """Read no more from the client."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...

    def release(self) -> None:
        """Let a client's waiting request go, another link takes over."""
        ...

    def close(self, frames: list[bytes], code: int, reason: str) -> None:
        """Write the last frames and part from the client."""
        ...


class Session:
    """A client with a session id; `blocked` says that its link takes no frames at present."""

    __slots__ = (
        "_drained",
        "_held",
        "_streamed",
        "address",
        "blocked",
        "control_frames",
        "ended",
        "engine",
        "headers",
        "id",
        "link",
        "network",
        "paused",
        "queue",
        "receiver",
        "stage",
        "upgrading",
        "urgent",
    )

    receiver: Receiver | None

    def __init__(self, engine: Engine, link: Link, address: str, network: str, headers: Mapping[str, str]) -> None:
        self.id = engine.new_id()
        self.engine = engine
        self.link = link
        self.address = address
        self.network = network
        """What the gate counts of the address."""
        self.headers = headers
        self.queue: list[bytes] = []
        self.blocked = False
        self.urgent = False
        self.paused = False
        self.ended = False
        self.upgrading = False
        self.stage = EXPECTED
        self.control_frames = 0
        self._drained: asyncio.Future[None] | None = None
        self._held: int | None = None
        """Bytes in the queue while it is blocked; None where they have not been counted."""
        self._streamed = (0, 0)
        """Events and bytes of a stream that the client may not have taken yet."""

    def push(self, packet: bytes, volatile: bool = False) -> None:
        """Queue one Engine.IO packet."""
        self.engine.outbox.one(self, text_frame(packet), volatile)

    def flush(self) -> None:
        """Write what is queued unless blocked."""
        if self.queue and not self.blocked:
            self._held = None
            self.link.send(self.queue)
        if self._drained is not None and self._empty():
            self._drained.set_result(None)
            self._drained = None

    async def drain(self) -> None:
        """Wait until nothing is queued any more and the kernel has taken all of it, or the session is over."""
        if not self._empty():
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def _empty(self) -> bool:
        return self.ended or not (self.queue or self.link.unsent()[1])

    async def stream(self, frames: Sequence[bytes]) -> None:
        """Queue frames at the client's own pace; those that wait leave the whole queue to others."""
        for part in _parts(frames):
            await self.drain()
            self._streamed = (len(part), sum(map(len, part)))
            for frame in part:
                self.engine.outbox.one(self, frame)
        await self.drain()
        self._streamed = (0, 0)

    def hold(self, frame: bytes, volatile: bool) -> None:
        """Keep a frame for a blocked link, within `queue_events` and `queue_bytes`."""
        if self.ended:
            return
        options = self.engine.options
        events, size = self.link.unsent()
        held = sum(map(len, self.queue)) if self._held is None else self._held
        streamed_events, streamed_bytes = self._streamed
        events += len(self.queue) + 1 - streamed_events
        size += held + len(frame) - streamed_bytes
        if volatile and (events * 2 > options.queue_events or size * 2 > options.queue_bytes):
            return
        if events > options.queue_events or size > options.queue_bytes:
            # Not now: who emits to a room is walking over its members.
            asyncio.get_running_loop().call_soon(self.end, endings.SLOW)
            return
        self.queue.append(frame)
        self._held = held + len(frame)

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        self.control_frames = 0
        self.engine.outbox.one(self, PING)

    def received(self, kind: str, data: str) -> None:
        """One packet of the client; may raise Violation."""
        if self.receiver is None:
            return  # the session is over
        if kind == engineio.MESSAGE:
            self.receiver.message(data)
        elif kind == engineio.PONG:
            self.engine.alive(self)
        elif kind == engineio.CLOSE:
            self.end(endings.CLIENT_LEFT)
        else:
            raise Violation(PROTOCOL_ERROR, "upgrade packet outside an upgrade")

    def pause(self) -> None:
        """Read no more from the client until `resume`."""
        self.paused = True
        self.link.pause()

    def resume(self) -> None:
        """Read from the client again."""
        self.paused = False
        self.link.resume()

    def carry(self, link: Link) -> None:
        """Go over to another link, with all that is queued."""
        self.link.release()
        self.link = link
        self.blocked = False
        self.upgrading = False
        if self.paused:
            link.pause()
        self.flush()

    def violated(self, violation: Violation) -> None:
        """Part from a client that broke a protocol."""
        self.end(endings.reason_of(violation), code=violation.code, text=violation.reason)

    def end(self, reason: str, *, code: int = 0, text: str = "") -> None:
        """End the session once: the rest is written (not to a slow client), the receiver hears the reason."""
        if self.ended:
            return
        self.ended = True
        self.engine.forget(self)
        frames = [] if reason == endings.SLOW else self.queue
        self.queue = []
        self.blocked = True
        self.link.close(frames, code or endings.close_code(reason), text or reason)
        self.flush()  # whoever waits for the queue to empty
        receiver, self.receiver = self.receiver, None  # it knows the session: without this both would be a cycle
        if receiver is not None:
            receiver.closed(reason)


def _parts(frames: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Frames in their order, as many at once as a client must take before there are more; one at least."""
    first = size = 0
    for place, frame in enumerate(frames):
        if place > first and (place - first >= STREAMED_EVENTS or size + len(frame) > STREAMED_BYTES):
            yield frames[first:place]
            first, size = place, 0
        size += len(frame)
    if frames:
        yield frames[first:]
