"""Engine.IO 4: the sessions of this process, their timers, and who may open one."""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Callable, Mapping
from typing import Protocol

from plaza.realtime import endings
from plaza.realtime.deadlines import Deadlines
from plaza.realtime.engineio import Opening
from plaza.realtime.farewells import Farewells
from plaza.realtime.gate import Gate
from plaza.realtime.handshake import TOO_MANY, UNAVAILABLE, Answer
from plaza.realtime.heads import Heads
from plaza.realtime.inbox import Inbox
from plaza.realtime.ingress import Ingress
from plaza.realtime.options import Options
from plaza.realtime.outbox import Outbox
from plaza.realtime.session import Link, Receiver, Session

DRAIN_STEP, DRAIN_PAUSE = 0.05, 0.25
"""The shortest and the longest time between two moments at which a draining server parts from some clients."""
ID_BYTES = 15
IDS_AT_ONCE = 64
"""Ids that are made of one asking of the system for randomness."""


class Parting(Protocol):
    """A link that was told to close and may not answer."""

    def abort(self) -> None:
        """Cut it."""
        ...


class Engine:
    """Sessions by id; `opened` makes the receiver of each new one."""

    def __init__(self, options: Options, clock: Callable[[], float], opened: Callable[[Session], Receiver]) -> None:
        self.options = options
        self.clock = clock
        self.refusing = True
        self.heads = Heads(options)
        self.greeting = b"GET " + options.path.rstrip("/").encode()
        """How the request for a session begins."""
        self.opening = Opening((), options.ping_interval, options.ping_timeout, options.max_payload)
        """Of a WebSocket's session."""
        self.loop: asyncio.AbstractEventLoop
        """That of `start`."""
        self.sessions: dict[str, Session] = {}
        self.outbox = Outbox(options.slice, options.queue_events)
        self.inbox = Inbox(self.outbox)
        self.gate = Gate(options)
        self.ingress = Ingress(options, clock)
        self.partings: Deadlines[Parting] = Deadlines(options.close_timeout)
        self.upgrades: Deadlines[Parting] = Deadlines(options.connect_timeout)
        self.farewells = Farewells(options.connect_timeout, options.max_payload)
        self._opened = opened
        self._shut = UNAVAILABLE._replace(retry_after=options.retry_after)
        self._ids: list[str] = []
        self._pings: Deadlines[Session] = Deadlines(options.ping_interval)
        self._pongs: Deadlines[Session] = Deadlines(options.ping_timeout)
        waits = (options.ping_interval, options.ping_timeout, options.connect_timeout, options.head_seconds)
        self._tick = min(0.1, *(seconds / 50 for seconds in waits))
        self._timer: asyncio.TimerHandle | None = None
        self._swept = clock()

    def start(self) -> None:
        """Open for clients; needs the running loop."""
        self.refusing = False
        self.loop = asyncio.get_running_loop()
        self.outbox.loop = self.loop
        self._swept = self.clock()
        self._sweep()

    def stop(self) -> None:
        """Stop the timers, cut what is still parting."""
        self.refusing = True
        for late, _ in (*self.partings.take(math.inf), *self.upgrades.take(math.inf)):
            late.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def drain(self, over: float) -> None:
        """End every session as `going_away`, in random order over so many seconds, and let the links part."""
        left = list(self.sessions.values())
        random.shuffle(left)
        steps = min(len(left), max(1, int(over / DRAIN_STEP)))
        for step in range(steps):
            for session in left[len(left) * step // steps : len(left) * (step + 1) // steps]:
                session.end(endings.GOING)
            # A handful is no stampede, and whoever stops a server with one browser at it does not wait.
            await asyncio.sleep(min(over / steps, DRAIN_PAUSE) if step < steps - 1 else 0)
        for _ in range(math.ceil(self.options.close_timeout / 0.01) + 1):
            if not self.partings:
                return
            await asyncio.sleep(0.01)

    def new_id(self) -> str:
        """The id of a session or a socket: of all processes nobody else has it, and nobody can guess it."""
        if not self._ids:
            dice = os.urandom(ID_BYTES * IDS_AT_ONCE).hex()
            self._ids = [dice[at : at + 2 * ID_BYTES] for at in range(0, len(dice), 2 * ID_BYTES)]
        return self._ids.pop()

    def open(self, link: Link, address: str, headers: Mapping[str, str]) -> Session | Answer:
        """A new session on a link, which has its open packet to write; or the answer where none may open now."""
        options = self.options
        network = address if options.network is None else options.network(address)
        answer = self._shut if self.refusing else self.gate.refusal(network)
        if answer is None and options.admit is not None:
            wait = options.admit(address)
            answer = None if wait is None else TOO_MANY._replace(retry_after=wait)
        if answer is not None:
            return answer
        session = Session(self, link, address, network, headers)
        now = self.clock()
        self.sessions[session.id] = session
        self._pings.start(session, now)
        self.gate.arrive(session, now)
        session.receiver = self._opened(session)
        return session

    def unsettle(self, session: Session) -> None:
        """Its client is outside every namespace again, for `connect_timeout` at most."""
        if not session.ended:
            self.gate.come_back(session, self.clock())

    def find(self, sid: str) -> Session | None:
        """A living session; one whose answer to a ping is overdue is ended here, not a tick later."""
        session = self.sessions.get(sid)
        if session is None:
            return None
        due = self._pongs.due(session)
        if due is not None and due <= self.clock():
            self._overdue(session)
        return None if session.ended else session

    def alive(self, session: Session) -> None:
        """Its client answered a ping."""
        if self._pongs.stop(session):
            self._pings.start(session, self.clock())

    def part(self, link: Parting) -> None:
        """Cut a link unless its client lets go within `close_timeout`."""
        if self._timer is None:
            link.abort()
        else:
            self.partings.start(link, self.clock())

    def forget(self, session: Session) -> None:
        """It is over."""
        del self.sessions[session.id]
        self._pings.stop(session)
        self._pongs.stop(session)
        self.gate.leave(session)

    def _sweep(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)
        now = self.clock()
        stalled = now - self._swept > self._tick + 1.0
        self._swept = now
        self.farewells.sweep(now)
        for session, due in self._pings.take(now):
            # A late sweep must not lengthen the client's time, nor take more than a quarter of it.
            self._pongs.start(session, max(due, now - self.options.ping_timeout / 4))
            session.ping()
        if not stalled:  # a process that was stopped has answers to read first
            for session, _ in self._pongs.take(now):
                self._overdue(session)
            self.ingress.sweep(now)
        for session in self.gate.late(now):
            session.end(endings.CONNECT_TIMEOUT)
        for late, _ in (*self.partings.take(now), *self.upgrades.take(now)):
            late.abort()

    def _overdue(self, session: Session) -> None:
        if session.paused:  # its answer may lie in what we do not read
            self._pongs.start(session, self.clock())
        else:
            session.end(endings.PING_TIMEOUT)
