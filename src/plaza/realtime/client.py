"""One Socket.IO client: its sockets, and its packets handled one after another."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

from plaza.realtime import endings, socketio
from plaza.realtime.errors import NotNow, Refused, Violation
from plaza.realtime.rfc6455 import POLICY, PROTOCOL_ERROR
from plaza.realtime.session import Session
from plaza.realtime.socketio import Packet
from plaza.realtime.sockets import Place, Socket, Threshold

if TYPE_CHECKING:
    from plaza.realtime.server import Server

log = logging.getLogger("plaza.realtime")

# A page opens and leaves a namespace now and then; more than this in one session is an attack.
MOST_CONNECTS = 100


class Departure(NamedTuple):
    """A socket that is gone: its namespace is told when it comes to this in the client's order."""

    socket: Socket
    reason: str


class Client:
    """The receiver of a session; a namespace that was left stays with None, late packets for it are ignored."""

    __slots__ = ("_arriving", "_connects", "_server", "_sockets", "_waiting", "session")

    def __init__(self, server: Server, session: Session) -> None:
        self.session = session
        self._server = server
        self._sockets: dict[str, Socket | None] = {}
        self._arriving: Socket | None = None
        self._waiting: deque[Packet | Departure] | None = None
        """What has come and was not handled yet; only while there is some, since most clients wait most of the time."""
        self._connects = 0

    # What the session calls.

    def message(self, text: str) -> None:
        """One packet of the client; may raise Violation."""
        packet = socketio.decode(text)
        if packet.kind == socketio.ACK:
            return  # nothing here asks a client for one
        if packet.kind == socketio.CONNECT:
            self._connects += 1
            if self._connects > MOST_CONNECTS:
                raise Violation(POLICY, "too many connects")
            self.session.engine.gate.enter(self.session)
        if self._put(packet) >= self.session.engine.options.inbound_events:
            self.session.pause()

    def closed(self, reason: str) -> None:
        """The session is over: no socket sends any more, and each departs behind the packets before it."""
        if self._arriving is not None:
            self._arriving.close(reason)
        for socket in self._sockets.values():
            if socket is not None and socket.gone is None:
                socket.close(reason)
                self._put(Departure(socket, reason))

    # What a socket calls.

    def dismiss(self, socket: Socket, reason: str, *, again: bool) -> None:
        """Part from a socket; the last one of a session ends it, and so does one that may come again."""
        if socket.gone is not None:
            return
        socket.close(reason)
        if socket is self._arriving:
            return  # whoever awaits its connect does the rest
        self._put(Departure(socket, reason))
        if not again:
            self.session.push(socketio.encode(socketio.DISCONNECT, socket.namespace))
        if again or not self._inside():
            self.session.end(reason)

    # One after another.

    def _put(self, item: Packet | Departure) -> int:
        """Let it be handled behind what waits already; how many wait now."""
        if self._waiting is None:
            self._waiting = deque()
            self._server.run(self._work(self._waiting))
        self._waiting.append(item)
        return len(self._waiting)

    async def _work(self, waiting: deque[Packet | Departure]) -> None:
        try:
            while waiting:
                item = waiting.popleft()
                if self.session.paused and len(waiting) * 2 <= self.session.engine.options.inbound_events:
                    self.session.resume()
                await self._one(item)
        finally:
            self._waiting = None

    async def _one(self, item: Packet | Departure) -> None:
        try:
            if isinstance(item, Departure):
                await self._depart(item.socket, item.reason)
            elif item.kind == socketio.CONNECT:
                await self._connect(item)
            elif item.namespace not in self._sockets:
                raise Violation(PROTOCOL_ERROR, "packet outside a namespace")
            elif (socket := self._sockets[item.namespace]) is not None:
                await self._heard(socket, item)
        except Violation as violation:
            self.session.violated(violation)
        except Exception:
            where = item.socket.namespace if isinstance(item, Departure) else item.namespace
            log.exception("a handler of %s failed", where)

    async def _heard(self, socket: Socket, packet: Packet) -> None:
        if socket.gone is not None and socket.gone not in endings.BY_CLIENT:
            return
        if packet.kind == socketio.EVENT:
            await self._event(socket, packet)
            return
        socket.close(endings.CLIENT_LEFT)
        await self._depart(socket, endings.CLIENT_LEFT)
        if not self._inside():
            self.session.engine.unsettle(self.session)

    async def _event(self, socket: Socket, packet: Packet) -> None:
        event, *args = cast("list[object]", packet.data)
        socket.asked = packet.id is not None
        answer = await self._place(socket.namespace).handler.event(socket, str(event), args)
        if packet.id is not None and socket.gone is None:
            self.session.push(socketio.acknowledged(socket.namespace, packet.id, answer or ()))

    async def _depart(self, socket: Socket, reason: str) -> None:
        if self._sockets.get(socket.namespace) is socket:
            self._sockets[socket.namespace] = None
            await self._place(socket.namespace).handler.disconnected(socket, reason)

    # Coming in.

    async def _connect(self, packet: Packet) -> None:
        name, auth = packet.namespace, packet.data
        if self._sockets.get(name) is not None:
            raise Violation(PROTOCOL_ERROR, "connected already")
        if name not in self._server.places:
            self._refuse(name, "Invalid namespace")
            return
        if auth is not None and not isinstance(auth, dict):
            self._refuse(name, "Invalid auth payload")
            return
        if self.session.ended:
            return
        place = self._place(name)
        threshold = Threshold(self.session.engine.options.queue_events)
        self._arriving = socket = Socket(self, place.name, secrets.token_urlsafe(15), place.rooms, threshold)
        try:
            await place.handler.connect(socket, auth)
        except Exception as error:
            self._keep_out(socket, error)
        else:
            await self._let_in(socket, threshold)
        finally:
            self._arriving = None

    def _keep_out(self, socket: Socket, error: Exception) -> None:
        socket.close(endings.REFUSED)
        if isinstance(error, Refused):
            self._refuse(socket.namespace, error.message, error.data)
        elif isinstance(error, NotNow):
            self.session.end(endings.NOT_NOW)
        else:
            log.error("connect failed", exc_info=error)
            self._refuse(socket.namespace, "Internal error")

    async def _let_in(self, socket: Socket, threshold: Threshold) -> None:
        self._sockets[socket.namespace] = socket
        if socket.gone is not None:  # while it came in its client left, or the application changed its mind
            self._refuse(socket.namespace, socket.gone)
            await self._depart(socket, socket.gone)
            return
        session = self.session
        session.engine.settle(session)
        session.push(socketio.connected(socket.namespace, socket.id))
        self._place(socket.namespace).rooms.everyone[socket] = None
        socket.outlet = session
        for frame in threshold.queue:
            session.engine.outbox.one(session, frame)
        if threshold.overflowed:
            session.end(endings.SLOW)

    def _refuse(self, namespace: str, message: str, data: object = None) -> None:
        self._sockets.setdefault(namespace, None)
        self.session.engine.gate.rest(self.session)
        self.session.push(socketio.refused(namespace, message, data))

    def _inside(self) -> bool:
        return any(socket is not None and socket.gone is None for socket in self._sockets.values())

    def _place(self, namespace: str) -> Place:
        return self._server.places[namespace]
