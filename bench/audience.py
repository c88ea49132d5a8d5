"""Many Socket.IO clients in one thread over plain epoll: the load of `bench live`, which must cost less than a server.

What a broadcast looks like on the wire is learned from the first one. From then on bytes that are whole broadcasts are
only counted; a few seats read the time of sending that each carries. Whatever else comes is taken apart frame by frame.
Bytes are copied although they could be dropped unread (MSG_TRUNC): a ping among them must be answered.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence

from bench.client import CONNECTED, EVENT, REFUSED, Refused, frame, frames, greeted

CONNECTING_AT_ONCE = 48
TIMED = 50
"""Seats that read the times, evenly among all."""
GATHER_SECONDS = 0.0003
"""What may come together before somebody looks: sleeping and waking up again costs as much as reading five sockets."""
_FEW = 8
_PATIENCE = 15.0
_AT_ONCE = 512
_BUFFER = 1 << 18
_SAID = EVENT + b'["said",'
_AT = b'"at":"'
_DIGITS = 16
_UNKNOWN = 1 << 40
_PONG = frame(b"3")
_GREETING = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Seat:
    """One socket, and what it says to enter."""

    __slots__ = ("address", "enter", "receive", "rest", "timed", "upgraded", "wire")

    def __init__(self, port: int, token: str, org: str) -> None:
        self.address = ("127.0.0.1", port)
        self.wire = socket.socket()
        self.receive = self.wire.recv_into
        self.enter = frame(CONNECTED + json.dumps({"token": token, "orgId": org}, separators=(",", ":")).encode())
        self.rest = b""
        self.upgraded = False
        self.timed = False


class Audience:
    """The sockets of one side, shared out over its ports; the first of them speaks."""

    def __init__(self, ports: Sequence[int], org: str) -> None:
        self._ports = ports
        self._org = org
        self._poll = select.epoll()
        self._timed = select.epoll()
        self._seats: dict[int, Seat] = {}
        self._buffer = bytearray(_BUFFER)
        self._invited: deque[Seat] = deque()
        self._outside = 0
        self._frame = _UNKNOWN
        self._head = b""
        self._at = 0
        self.said = 0
        self.heard = 0
        """Broadcasts that arrived, one for each seat."""
        self.delays: list[int] = []
        """Microseconds between the moment a broadcast should have been sent and its arrival, at the timed seats."""

    def __len__(self) -> int:
        return len(self._seats)

    def invite(self, tokens: Iterable[str]) -> None:
        """Makes a socket and its CONNECT for each token, so that `admit` need not."""
        ports = self._ports
        for number, token in enumerate(tokens, len(self._seats)):
            self._invited.append(Seat(ports[number % len(ports)], token, self._org))

    def admit(self, at_once: int = CONNECTING_AT_ONCE) -> float:
        """Connects whoever was invited; the seconds it took. Raises `Refused`."""
        began = progress = time.perf_counter()
        outside = 0
        while self._invited or self._outside:
            while self._invited and self._outside < at_once:
                self._knock(self._invited.popleft())
            if self.read(0.1) < _FEW:
                time.sleep(GATHER_SECONDS)
            now = time.perf_counter()
            if self._outside != outside:
                outside, progress = self._outside, now
            elif now - progress > _PATIENCE:
                raise Refused(f"{self._outside} sockets were not let in for {_PATIENCE:g} s")
        taken = time.perf_counter() - began
        self._seat_the_timed()
        return taken

    def leave(self) -> None:
        """Closes every socket."""
        for seat in self._seats.values():
            seat.wire.close()  # which takes it off the poll as well
        self._seats.clear()

    def say(self, text: str, moments: Sequence[int]) -> None:
        """The first seat says something to all, once for each moment (monotonic microseconds)."""
        words = [frame(b'%b["say",{"at":"%016d","text":"%b"}]' % (EVENT, moment, text.encode())) for moment in moments]
        self.said += len(words)
        next(iter(self._seats.values())).wire.sendall(b"".join(words))

    def missing(self) -> int:
        """Deliveries that are due to those who are here and have not arrived."""
        return self.said * len(self._seats) - self.heard

    def begin(self) -> None:
        """Counts anew."""
        self.said = self.heard = 0
        self.delays.clear()

    def read(self, wait: float, at_once: int = _AT_ONCE, *, timed: bool = False) -> int:
        """Takes what has come, waiting so many seconds for the first bytes at most: from how many sockets.

        With `timed` from the timed seats alone, and only they end the wait. Raises `Refused` where a server closed one.
        """
        seats, buffer, head, size = self._seats, self._buffer, self._head, self._frame
        heard = 0
        ready = (self._timed if timed else self._poll).poll(wait, at_once)
        for number, _ in ready:
            seat = seats[number]
            got = seat.receive(buffer)
            if not got:
                raise Refused("the server closed a socket")
            if got % size or seat.rest or not buffer.startswith(head):
                self._walk(seat, seat.rest + bytes(buffer[:got]))
                continue
            heard += got // size
            if seat.timed:
                self._time(got)
        self.heard += heard
        return len(ready)

    def _time(self, got: int) -> None:
        now, at = monotonic(), self._at
        for start in range(at, got, self._frame):
            self.delays.append(now - int(self._buffer[start : start + _DIGITS]))

    def _seat_the_timed(self) -> None:
        self._timed.close()
        self._timed = select.epoll()
        step = max(1, len(self) // TIMED)
        for place, (number, seat) in enumerate(self._seats.items()):
            seat.timed = place % step == 0
            if seat.timed:
                self._timed.register(number, select.EPOLLIN)

    def _knock(self, seat: Seat) -> None:
        seat.wire.connect(seat.address)
        if not self._seats:  # who speaks
            seat.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seat.wire.send(_GREETING)
        number = seat.wire.fileno()
        self._seats[number] = seat
        self._poll.register(number, select.EPOLLIN)
        self._outside += 1

    # Frame by frame.

    def _walk(self, seat: Seat, data: bytes) -> None:
        at = 0
        if not seat.upgraded:
            at = greeted(data)
            seat.upgraded = at > 0
        if seat.upgraded:
            found, at = frames(data, at)
            for first, payload in found:
                self._take(seat, first, payload)
        seat.rest = data[at:]

    def _take(self, seat: Seat, first: int, payload: bytes) -> None:
        if first != 0x81:
            raise Refused(f"the server sent {bytes((first,))!r} {payload!r}")
        if payload.startswith(_SAID):
            self.heard += 1
            if self._frame == _UNKNOWN:
                self._learn(payload)
        elif payload == b"2":
            seat.wire.send(_PONG)
        elif payload[:1] == b"0":
            seat.wire.send(seat.enter)
        elif payload.startswith(CONNECTED):
            self._outside -= 1
        elif payload.startswith(REFUSED):
            raise Refused(payload.decode())

    def _learn(self, payload: bytes) -> None:
        wide = 0 if len(payload) < 126 else 2
        self._frame = 2 + wide + len(payload)
        length = len(payload).to_bytes(2, "big")
        self._head = bytes((0x81, 126)) + length if wide else bytes((0x81, len(payload)))
        self._head += _SAID
        self._at = 2 + wide + payload.index(_AT) + len(_AT)


def monotonic() -> int:
    """Microseconds of the clock that all delays are measured by."""
    return time.monotonic_ns() // 1000
