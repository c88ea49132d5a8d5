"""Many Socket.IO clients in one thread over plain epoll: the load of `bench live`, which must cost less than a server.

What a broadcast looks like on the wire is learned from the first one. From then on bytes that are whole broadcasts are
only counted; a few seats read the time of sending that each carries. Whatever else comes is taken apart frame by frame.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence

from bench.client import CONNECTED, EVENT, REFUSED, Refused, frame

CONNECTING_AT_ONCE = 32
TIMED = 50
"""Seats that read the times, evenly among all."""
_PATIENCE = 15.0
_AT_ONCE = 512
_BUFFER = 1 << 18
_WIDE = {126: 2, 127: 8}
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
    """One socket."""

    __slots__ = ("enter", "receive", "rest", "timed", "upgraded", "wire")

    def __init__(self, port: int, token: str, org: str) -> None:
        self.wire = socket.create_connection(("127.0.0.1", port))
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.receive = self.wire.recv_into
        self.enter = frame(CONNECTED + json.dumps({"token": token, "orgId": org}, separators=(",", ":")).encode())
        self.rest = b""
        self.upgraded = False
        self.timed = False
        self.wire.sendall(_GREETING)
        self.wire.setblocking(False)


class Audience:
    """The sockets of one side, shared out over its ports; the first of them speaks."""

    def __init__(self, ports: Sequence[int], org: str) -> None:
        self._ports = ports
        self._org = org
        self._poll = select.epoll()
        self._seats: dict[int, Seat] = {}
        self._buffer = bytearray(_BUFFER)
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

    def admit(self, tokens: Iterable[str], at_once: int = CONNECTING_AT_ONCE) -> float:
        """Connects one more socket for each token; the seconds it took. Raises `Refused`."""
        began = progress = time.perf_counter()
        waiting, outside = deque(tokens), 0
        while waiting or self._outside:
            while waiting and self._outside < at_once:
                self._knock(waiting.popleft())
            self.read(0.1)
            now = time.perf_counter()
            if self._outside != outside:
                outside, progress = self._outside, now
            elif now - progress > _PATIENCE:
                raise Refused(f"{self._outside} sockets were not let in for {_PATIENCE:g} s")
        taken = time.perf_counter() - began
        step = max(1, len(self) // TIMED)
        for number, seat in enumerate(self._seats.values()):
            seat.timed = number % step == 0
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

    def read(self, wait: float) -> int:
        """Takes what has come, waiting so many seconds for the first bytes at most: from how many sockets.

        Raises `Refused` where a server closed one.
        """
        seats, buffer, head, size = self._seats, self._buffer, self._head, self._frame
        heard = 0
        ready = self._poll.poll(wait, _AT_ONCE)
        for number, _ in ready:
            seat = seats[number]
            got = seat.receive(buffer)
            if not got:
                raise Refused("the server closed a socket")
            if got % size or seat.rest or not buffer.startswith(head):
                self._walk(seat, seat.rest + buffer[:got])
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

    def _knock(self, token: str) -> None:
        port = self._ports[len(self._seats) % len(self._ports)]
        seat = Seat(port, token, self._org)
        number = seat.wire.fileno()
        self._seats[number] = seat
        self._poll.register(number, select.EPOLLIN)
        self._outside += 1

    # Frame by frame.

    def _walk(self, seat: Seat, data: bytes) -> None:
        at, end = 0, len(data)
        if not seat.upgraded:
            at = self._greeted(seat, data)
        while seat.upgraded and end - at >= 2:
            size, start = data[at + 1], at + 2
            if wide := _WIDE.get(size, 0):
                start += wide
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            if end < start + size:
                break
            self._take(seat, data[at], data[start : start + size])
            at = start + size
        seat.rest = bytes(data[at:])

    def _greeted(self, seat: Seat, data: bytes) -> int:
        head, found, _ = data.partition(b"\r\n\r\n")
        if found and not head.startswith(b"HTTP/1.1 101"):
            raise Refused(data.decode(errors="replace")[:500])
        seat.upgraded = bool(found)
        return len(head) + 4 if found else 0

    def _take(self, seat: Seat, first: int, payload: bytes) -> None:
        if first != 0x81:
            raise Refused(f"the server sent {bytes((first,))!r} {bytes(payload)!r}")
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
            raise Refused(bytes(payload).decode())

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
