"""The link of a long-polling session: at most one waiting request, which takes what is queued."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plaza.realtime import endings, engineio, rfc6455

if TYPE_CHECKING:
    from plaza.realtime.engine import Engine
    from plaza.realtime.session import Session

CLOSE, NOOP = engineio.CLOSE.encode(), engineio.NOOP.encode()

# Where the server parts from a client that did nothing wrong, the client's next request still hears of it.
_BLAMELESS = (endings.GOING, endings.SLOW, endings.CONNECT_TIMEOUT, endings.NOT_NOW, "application")
_KEPT = frozenset(map(endings.close_code, _BLAMELESS))


class Polls:
    """Frames go out sixteen or `max_payload` bytes at a time, each time a request waits for them."""

    __slots__ = ("_engine", "_readable", "posting", "session", "waiting")

    session: Session

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readable: asyncio.Future[None] | None = None
        self.waiting: asyncio.Future[bytes] | None = None
        self.posting = False

    def wait(self) -> asyncio.Future[bytes]:
        """The answer to a request that has come to wait."""
        self.waiting = answer = asyncio.get_running_loop().create_future()
        self.session.blocked = False
        self.session.flush()
        if self.session.upgrading:
            self.release()
        return answer

    def send(self, queue: list[bytes]) -> None:
        """Answer the waiting request with what is queued, as much as one payload holds."""
        packets = [rfc6455.payload_of(frame) for frame in queue[: engineio.MOST_SENT]]
        count = engineio.fitting([*map(len, packets)], self._engine.options.max_payload)
        del queue[:count]
        self._answer(engineio.encode_payload(packets[:count]))

    def unsent(self) -> tuple[int, int]:
        """Nothing: what was taken is the HTTP server's."""
        return 0, 0

    def release(self) -> None:
        """Let a waiting request go with nothing."""
        self._answer(NOOP)

    def pause(self) -> None:
        """Keep the client's next request with packets waiting for its answer."""
        if self._readable is None:
            self._readable = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """Answer it."""
        readable, self._readable = self._readable, None
        if readable is not None and not readable.done():
            readable.set_result(None)

    async def readable(self) -> None:
        """Wait while the session's handlers have enough to do."""
        if self._readable is not None:
            await asyncio.shield(self._readable)

    def close(self, frames: list[bytes], code: int, reason: str) -> None:
        """Answer the waiting request with the last packets, or keep them for the next; a reason has no place here."""
        self.resume()
        if code == rfc6455.NORMAL:
            self.release()
            return
        farewells, sid = self._engine.farewells, self.session.id
        if self.waiting is not None or code in _KEPT:
            farewells.keep(sid, [*map(rfc6455.payload_of, frames), CLOSE], self._engine.clock())
        if self.waiting is not None:
            self._answer(farewells.take(sid) or CLOSE)

    def _answer(self, body: bytes) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            return
        self.session.blocked = True
        if not waiting.done():
            waiting.set_result(body)
