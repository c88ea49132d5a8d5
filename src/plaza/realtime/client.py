"""One Socket.IO client: its sockets, and its packets handled one after another."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
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
BAD_AUTH = "Invalid auth payload"


NOWHERE: frozenset[str] = frozenset()  # one for all who have left no namespace


class Departure(NamedTuple):
    """A socket that is gone: its namespace is told when it comes to this in the client's order."""

    socket: Socket
    reason: str


Waiting = list[tuple[Packet | Departure, int]]
"""Each with the characters of its text."""


class Client:
    """The receiver of a session, with a socket in each namespace that let it in."""

    __slots__ = ("_arriving", "_connects", "_outside", "_server", "_sockets", "_waiting", "session")

    def __init__(self, server: Server, session: Session) -> None:
        self.session = session
        self._server = server
        self._sockets: tuple[Socket, ...] = ()
        """Nearly always one; a socket that is gone stays until its namespace has been told."""
        self._outside = NOWHERE
        """Namespaces that were left, or did not let it in: late packets for them are ignored."""
        self._arriving: Socket | None = None
        self._waiting: Waiting | None = None
        """What has come and was not handled yet; None while nothing is being handled, which is most of the time."""
        self._connects = 0

    # What the session calls.

    def message(self, text: str) -> None:
        """One packet of the client; may raise Violation."""
        packet, session = socketio.decode(text), self.session
        if packet.kind == socketio.CONNECT:
            self._connects += 1
            if self._connects > MOST_CONNECTS:
                raise Violation(POLICY, "too many connects")
            session.engine.gate.enter(session)
        elif packet.kind == socketio.ACK:
            return  # nothing here asks a client for one
        self._put(packet, len(text))
        if self._waiting and self._fills(1):
            session.pause()

    def closed(self, reason: str) -> None:
        """The session is over: no socket sends any more, and each departs behind the packets before it."""
        if self._arriving is not None:
            self._arriving.close(reason)
        for socket in self._sockets:
            if socket.gone is None:
                socket.close(reason)
                self._put(Departure(socket, reason))

    # What a socket calls.

    def dismiss(self, socket: Socket, reason: str, *, again: bool) -> None:
        """Part from a socket; the last one of a session ends it, and so does one that may come again."""
        if socket.gone is not None:
            return
        socket.close(reason)
        if socket is self._arriving:
            return  # whoever lets it in, or not, does the rest
        self._put(Departure(socket, reason))
        if not again:
            self.session.push(socketio.encode(socketio.DISCONNECT, socket.namespace))
        if again or not self._inside():
            self.session.end(reason)

    # One after another: at once where nothing has to be waited for, else in a task.

    def _put(self, item: Packet | Departure, weight: int = 0) -> None:
        """Let it be handled behind what waits already."""
        if self._waiting is not None:
            self._waiting.append((item, weight))
            return
        waiting: Waiting = []
        self._waiting = waiting
        rest = self._handle(item)
        if rest is None and waiting:
            rest = self._next(waiting)
        if rest is None:
            self._waiting = None
        else:
            self._server.run(self._work(waiting, rest))

    def _fills(self, parts: int) -> bool:
        """Whether what waits is such a part of what may, or more."""
        options, waiting = self.session.engine.options, self._waiting or ()
        size = sum(weight for _, weight in waiting)
        return len(waiting) * parts >= options.inbound_events or size * parts >= options.inbound_bytes

    async def _work(self, waiting: Waiting, rest: Awaitable[None] | None) -> None:
        try:
            while rest is not None:
                try:
                    await rest
                except Exception as error:
                    self._failed(error)
                rest = self._next(waiting)
        finally:
            self._waiting = None

    def _next(self, waiting: Waiting) -> Awaitable[None] | None:
        """Handle what waits until there is something to wait for; None when nothing is left."""
        while waiting:
            item, _ = waiting.pop(0)
            if self.session.paused and not (waiting and self._fills(2)):
                self.session.resume()
            rest = self._handle(item)
            if rest is not None:
                return rest
        return None

    def _handle(self, item: Packet | Departure) -> Awaitable[None] | None:
        try:
            if isinstance(item, Departure):
                self._depart(item.socket, item.reason)
            elif item.kind == socketio.CONNECT:
                return self._connect(item)
            else:
                return self._hear(item)
        except Exception as error:
            self._failed(error)
        return None

    def _hear(self, packet: Packet) -> Awaitable[None] | None:
        """What only a socket can say."""
        socket = self._in(packet.namespace)
        if socket is None:
            if packet.namespace not in self._outside:
                raise Violation(PROTOCOL_ERROR, "packet outside a namespace")
        elif socket.gone is None or socket.gone in endings.BY_CLIENT:
            if packet.kind == socketio.EVENT:
                return self._event(socket, packet)
            socket.close(endings.CLIENT_LEFT)
            self._depart(socket, endings.CLIENT_LEFT)
            if not self._inside():
                self.session.engine.unsettle(self.session)
        return None

    def _failed(self, error: Exception) -> None:
        if isinstance(error, Violation):
            self.session.violated(error)
        else:
            log.error("a handler failed", exc_info=error)

    async def _event(self, socket: Socket, packet: Packet) -> None:
        event, *args = cast("list[object]", packet.data)
        socket.asked = packet.id is not None
        answer = await self._server.places[socket.namespace].handler.event(socket, str(event), args)
        if packet.id is not None and socket.gone is None:
            self.session.push(socketio.acknowledged(socket.namespace, packet.id, answer or ()))

    def _depart(self, socket: Socket, reason: str) -> None:
        if socket in self._sockets:
            self._sockets = tuple(one for one in self._sockets if one is not socket)
            self._outside |= {socket.namespace}
            self._server.places[socket.namespace].handler.disconnected(socket, reason)

    def _in(self, namespace: str) -> Socket | None:
        for socket in self._sockets:
            if socket.namespace == namespace:
                return socket
        return None

    def _inside(self) -> bool:
        return any(socket.gone is None for socket in self._sockets)

    # Coming in.

    def _connect(self, packet: Packet) -> Awaitable[None] | None:
        name, auth, session = packet.namespace, packet.data, self.session
        if self._in(name) is not None:
            raise Violation(PROTOCOL_ERROR, "connected already")
        place = self._server.places.get(name)
        if place is None:
            self._refuse(name, "Invalid namespace")
            return None
        if auth is not None and not isinstance(auth, dict):
            self._refuse(name, BAD_AUTH, {"code": "request.invalid", "message": BAD_AUTH})
            return None
        if session.ended:
            return None
        options = session.engine.options
        threshold = Threshold(options.queue_events, options.queue_bytes)
        self._arriving = socket = Socket(self, name, session.engine.new_id(), place.rooms, threshold)
        try:
            answer = place.handler.connect(socket, auth)
        except Exception as error:
            self._keep_out(socket, error)
            return None
        if answer is not None:
            return self._wait(answer, place, socket, threshold)
        self._let_in(place, socket, threshold)
        return None

    async def _wait(self, answer: Awaitable[None], place: Place, socket: Socket, threshold: Threshold) -> None:
        try:
            await answer
        except Exception as error:
            self._keep_out(socket, error)
        else:
            self._let_in(place, socket, threshold)

    def _keep_out(self, socket: Socket, error: Exception) -> None:
        self._arriving = None
        socket.close(endings.REFUSED)
        if isinstance(error, Refused):
            self._refuse(socket.namespace, error.message, error.data)
        elif isinstance(error, NotNow):
            self.session.end(endings.NOT_NOW, text=error.reason)
        else:
            log.error("connect failed", exc_info=error)
            self.session.end(endings.NOT_NOW)

    def _let_in(self, place: Place, socket: Socket, threshold: Threshold) -> None:
        self._arriving = None
        self._sockets = (*self._sockets, socket)
        if socket.gone is not None:  # while it came in its client left, or the application changed its mind
            self._refuse(place.name, socket.gone)
            self._depart(socket, socket.gone)
            return
        session = self.session
        session.engine.gate.leave(session)
        session.push(socketio.connected(place.name, socket.id))
        place.rooms.everyone[socket] = None
        socket.outlet = session
        for frame in threshold.queue:
            session.engine.outbox.one(session, frame)
        if threshold.overflowed:
            session.end(endings.SLOW)

    def _refuse(self, namespace: str, message: str, data: object = None) -> None:
        self._outside |= {namespace}
        self.session.engine.gate.rest(self.session)
        self.session.push(socketio.refused(namespace, message, data))
