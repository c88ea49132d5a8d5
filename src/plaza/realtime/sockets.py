"""What an application meets: its namespaces, their sockets, and the frames it sends."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from plaza.realtime import socketio
from plaza.realtime.rfc6455 import text_frame

if TYPE_CHECKING:
    from plaza.realtime.client import Client
    from plaza.realtime.outbox import Outlet
    from plaza.realtime.rooms import Rooms


class Namespace(Protocol):
    """What the application does in one namespace; the calls of one client never overlap."""

    def connect(self, socket: Socket, auth: dict[str, Any] | None) -> Awaitable[None] | None:
        """A client asks to come in; the socket may enter rooms and emit, raising Refused or NotNow keeps it out.

        What is returned is waited for (an `async def` will do); None, where nothing is, costs no task.
        """
        ...

    async def event(self, socket: Socket, event: str, args: list[Any]) -> Sequence[object] | None:
        """An event of the client; what is returned are the acknowledgement's arguments if it asked for one.

        Arguments that hold half of a surrogate pair, or a number out of range, come as the single one `UNREADABLE`.
        """
        ...

    def disconnected(self, socket: Socket, reason: str) -> None:
        """The socket is gone, see `endings`; called once for each that `connect` let in."""
        ...


class Frame:
    """An event encoded once, for any number of sockets; `body`, its JSON, may travel to other processes."""

    __slots__ = ("_namespace", "_wire", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._namespace: str | None = None
        self._wire = b""

    def wire(self, namespace: str) -> bytes:
        """The WebSocket frame of this event in a namespace, made once."""
        if self._namespace != namespace:
            self._wire = text_frame(socketio.encode(socketio.EVENT, namespace, self.body))
            self._namespace = namespace
        return self._wire


class Threshold(msgspec.Struct, eq=False):
    """Where the frames of a socket wait until its client has been told that it is in."""

    _most: int
    _most_bytes: int
    queue: list[bytes] = []
    _bytes: int = 0
    blocked: bool = True
    urgent: bool = False
    overflowed: bool = False

    def hold(self, frame: bytes, volatile: bool) -> None:
        """Keep a frame within the limits, a volatile one within half of them."""
        share = 2 if volatile else 1
        if len(self.queue) * share < self._most and (self._bytes + len(frame)) * share <= self._most_bytes:
            self.queue.append(frame)
            self._bytes += len(frame)
        elif not volatile:
            self.overflowed = True

    def flush(self) -> None:
        """Nothing goes out yet."""


class Socket:
    """One client in one namespace; `data` is the application's own."""

    __slots__ = ("_client", "_joined", "_rooms", "asked", "data", "gone", "id", "namespace", "outlet")

    def __init__(self, client: Client, namespace: str, id_: str, rooms: Rooms, outlet: Outlet) -> None:
        self.id = id_
        self.namespace = namespace
        self.data: Any = None
        self.asked = False
        """During `event`: whether the client asked for an acknowledgement."""
        self.gone: str | None = None
        """The reason for which it is over, None while it is not."""
        self.outlet = outlet
        self._client = client
        self._rooms = rooms
        self._joined: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The client's address."""
        return self._client.session.address

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of its handshake's headers that `Options.headers` names, in lower case."""
        return self._client.session.headers

    @property
    def rooms(self) -> AbstractSet[str]:
        """The rooms it is in; a few."""
        return frozenset(self._joined)

    def enter(self, room: str) -> None:
        """Receive what is sent to a room; a socket that is gone enters none."""
        if self.gone is None and room not in self._joined:
            self._joined = (*self._joined, room)
            self._rooms.enter(self, room)

    def leave(self, room: str) -> None:
        """Receive it no longer."""
        if room in self._joined:
            self._joined = tuple(name for name in self._joined if name != room)
            self._rooms.leave(self, room)

    def emit(self, event: str, *args: object, volatile: bool = False) -> None:
        """Send one event; a volatile one is dropped when the client reads slowly."""
        self.send(Frame(socketio.event_body(event, args)), volatile=volatile)

    def send(self, frame: Frame, *, volatile: bool = False) -> None:
        """Send an event that is encoded already; a socket that is gone gets nothing."""
        if self.gone is None:
            self._client.session.engine.outbox.one(self.outlet, frame.wire(self.namespace), volatile)

    async def drain(self) -> None:
        """Wait until the client has taken what was sent; for who sends one client more than its queue holds."""
        await self._client.session.drain()

    async def stream(self, frames: Iterable[Frame]) -> None:
        """Send many events, each part of them when the client has taken the one before; until it has taken all.

        What waits of them does not count against the client's queue: that is for what is sent meanwhile.
        """
        if self.gone is None:
            await self._client.session.stream([frame.wire(self.namespace) for frame in frames])

    def disconnect(self, reason: str, *, again: bool = False) -> None:
        """Part from the client, what it sent is heard no more; with again the official clients come back by themselves.

        The reason is in the WebSocket close frame (code 4000) when this was the client's only namespace.
        """
        self._client.dismiss(self, reason, again=again)

    def close(self, reason: str) -> None:
        """Out of all rooms, nothing more to send; for the server, an application disconnects."""
        self.gone = reason
        self._rooms.drop(self, self._joined)
        self._joined = ()


class Place(msgspec.Struct, frozen=True):
    """A namespace as the server keeps it."""

    name: str
    handler: Namespace
    rooms: Rooms
