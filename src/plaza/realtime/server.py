"""The Socket.IO server: namespaces, rooms, and the two ways in that the HTTP server is given."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from plaza.realtime import socketio
from plaza.realtime.client import Client
from plaza.realtime.door import Door, upgraded
from plaza.realtime.engine import Engine
from plaza.realtime.ingress import Ingress
from plaza.realtime.options import Options
from plaza.realtime.polling import Polling
from plaza.realtime.rooms import Rooms
from plaza.realtime.sockets import Frame, Namespace, Place, Socket

DEFAULTS = Options()
ACCEPTED_AT_ONCE = 4
"""Connections that are let in in one turn of the loop: libuv takes one from each socket that it listens on.

More of them cost a lone one more, since each of the other sockets is asked in vain.
"""


class Server:
    """Give both protocols to uvicorn, and to `polling` what comes under `Options.path`; not for threads."""

    def __init__(
        self,
        namespaces: Mapping[str, Namespace],
        options: Options = DEFAULTS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = Engine(options, clock, partial(Client, self))
        self.http_protocol: Any = partial(Door, self.engine)
        """The factory for `uvicorn.Config(http=…)`, which takes most WebSockets in before they cost a request."""
        self.websocket_protocol: Any = partial(upgraded, self.engine)
        """The factory for `uvicorn.Config(ws=…)`; a WebSocket to another path is answered 404."""
        self.polling = Polling(self.engine)
        """The ASGI application for every request under `Options.path`."""
        self.places = {name: Place(name, handler, Rooms()) for name, handler in namespaces.items()}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ingress(self) -> Ingress:
        """What counts the connections, and those that were closed for breaking a bound."""
        return self.engine.ingress

    @property
    def refusing(self) -> bool:
        """Whether new handshakes are answered 503: before `start` and while draining."""
        return self.engine.refusing

    def listeners(self, listener: socket.socket) -> list[socket.socket]:
        """What to listen on in place of one listening socket, so that a storm is let in by the handful.

        All its connections get the send buffer that shows a slow client in time.
        """
        if self.engine.options.kernel_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.engine.options.kernel_bytes)
        return [listener, *(listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]

    async def start(self) -> None:
        """Let clients in."""
        self.engine.start()

    def stop_accepting(self) -> None:
        """Answer new handshakes with 503 and `Retry-After`; who is in stays."""
        self.engine.refusing = True

    async def close(self, over: float = 0.0, *, patience: float = 5.0) -> None:
        """Part from everyone as `going_away`, spread over so many seconds; handlers get patience (seconds) to end."""
        self.stop_accepting()
        await self.engine.drain(over)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        self.engine.stop()

    @staticmethod
    def encode(event: str, *args: object) -> Frame:
        """An event, encoded once; raises ValueError for a name of the protocol's own."""
        return Frame(socketio.event_body(event, args))

    def emit(
        self,
        namespace: str,
        room: str | None,
        event: str,
        *args: object,
        but: Iterable[str] = (),
        volatile: bool = False,
    ) -> None:
        """Send an event to the sockets of a room (None: of the namespace) that are in none of the rooms in `but`."""
        self.send(namespace, room, (self.encode(event, *args),), but, volatile)

    def send(
        self, namespace: str, room: str | None, frames: Sequence[Frame], but: Iterable[str] = (), volatile: bool = False
    ) -> None:
        """The same with events that are encoded already, one behind the other."""
        members = self.places[namespace].rooms.members(room, but)
        if members:
            self.engine.outbox.many(members, [frame.wire(namespace) for frame in frames], volatile)

    def sockets(self, namespace: str, room: str | None = None) -> Collection[Socket]:
        """The sockets in a room, or in the namespace, at this moment."""
        return tuple(self.places[namespace].rooms.members(room))

    def count(self, namespace: str, room: str | None = None) -> int:
        """How many they are."""
        return len(self.places[namespace].rooms.members(room))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """A client's work, waited for when the server closes."""
        task = self.engine.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
