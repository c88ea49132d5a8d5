"""Clients that read: over a socket with `sync` after every pause, or by asking for what is behind a `seq`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.faults.checker import Heard, Kept
from tests.faults.people import Person
from tests.faults.records import Recorder
from tests.faults.senders import MESSAGES, Ports, Rest, Unknown
from tests.faults.wire import Broken, KeptOut, Line

RECONNECT_SECONDS = 0.1
PAGE = 100
END_SECONDS = 10.0
"""How long the last reading looks for a node that answers."""


class Event(NamedTuple):
    """A message as an event brought it, with the event's place in the log."""

    cursor: int
    id: str


class Parting(NamedTuple):
    """One socket that the server closed: on which port, when, and whether it had said `going_away`."""

    port: int
    at: float
    word: str


class Reader:
    """A device of a person that follows their conversations with some people and forgets nothing.

    Between a connect and the end of its `sync` it holds back what arrives and puts it in the order of the cursors: what
    happens in that moment comes live, before the older events that are being replayed. Where `sync` answers `reset` it
    fetches the conversations anew.
    """

    def __init__(self, name: str, person: Person, peers: Sequence[Person], ports: Ports, recorder: Recorder) -> None:
        self.name = name
        self.person = person
        self.resets = 0
        self.replayed = 0
        self.partings: list[Parting] = []
        self.live_at: dict[str, float] = {}
        """When it heard each message that it heard as it happened, not replayed."""
        self._peers = peers
        self._ports = ports
        self._recorder = recorder
        self._ids: dict[str, None] = {}
        self._held: list[Event] | None = []
        self._cursor: int | None = None
        self._welcome = asyncio.Event()
        self._word = ""
        self._line: Line | None = None

    @property
    def port(self) -> int:
        """The server that it is at."""
        return self._ports.port

    @property
    def heard(self) -> Heard:
        """For the checker."""
        return Heard(self.name, [self.person.thread_with(peer) for peer in self._peers], list(self._ids))

    async def open(self) -> None:
        """Comes in, and takes in what it missed."""
        self._held, self._word = [], ""
        self._welcome.clear()
        self._line = await Line.open(self._ports.port, self.person, self._hear)
        async with asyncio.timeout(5):
            await self._welcome.wait()
        await self.resume()

    def _hear(self, event: str, payload: Any) -> None:
        if event == "authenticate":
            if self._cursor is None:
                self._cursor = int(payload["cursor"])
            self._welcome.set()
        elif event == "going_away":
            self._word = event
        elif event in ("newMessage", "messageSent"):
            if self._held is None:
                self.live_at.setdefault(payload["id"], time.monotonic())
            self._take(Event(int(payload["cursor"]), payload["id"]))
        elif isinstance(payload, dict) and "cursor" in payload and self._held is None:
            self._cursor = max(self._cursor or 0, int(payload["cursor"]))

    def _take(self, event: Event) -> None:
        if self._held is not None:
            self._held.append(event)
            return
        self._ids[event.id] = None
        self._cursor = max(self._cursor or 0, event.cursor)

    async def resume(self) -> None:
        """`sync` from its cursor to the end of the log."""
        assert self._line is not None
        self._held = [] if self._held is None else self._held
        cursor, more = self._cursor, True
        while more:
            answer = await self._line.ask("sync", {"since": str(cursor)})
            if not answer["success"]:
                raise Broken(answer["code"])
            if answer["reset"]:
                await self._begin_anew()
            self.replayed += answer["replayed"]
            cursor, more = int(answer["cursor"]), answer["hasMore"]
        held, self._held = sorted(self._held), None
        for event in held:
            self._take(event)
        self._cursor = max(self._cursor or 0, cursor or 0)

    async def _begin_anew(self) -> None:
        """Fetches every conversation: the log cannot tell what happened since the cursor."""
        self.resets += 1
        for peer in self._peers:
            fetched = Poller(self.name, self.person, peer, self._ports, self._recorder)
            try:
                self._ids |= dict.fromkeys(message.id for message in await fetched.all())
            except Unknown as error:
                raise Broken(str(error)) from error

    async def run(self, until: asyncio.Event, flaps: random.Random | None) -> None:
        """Reads until told, coming back whenever it is thrown out; with `flaps` it also breaks off by itself."""
        try:
            while not until.is_set():
                try:
                    if self._line is None:
                        await self.open()
                    await self._stay(until, flaps)
                except (Broken, KeptOut, TimeoutError):
                    self._ports.turn()
                    await self.drop()
                    await asyncio.sleep(RECONNECT_SECONDS)
            await self._last()
        finally:
            await self.drop()

    async def _stay(self, until: asyncio.Event, flaps: random.Random | None) -> None:
        """Until the socket is closed, the load ends, or a flapping client has had enough."""
        assert self._line is not None
        ends = [asyncio.create_task(event.wait()) for event in (until, self._line.closed)]
        _, waiting = await asyncio.wait(
            ends, timeout=flaps.uniform(0.1, 1.5) if flaps else None, return_when=asyncio.FIRST_COMPLETED
        )
        for one in waiting:
            one.cancel()
        if self._line.closed.is_set():
            self.partings.append(Parting(self._ports.port, self._line.closed_at, self._word))
            raise Broken("closed")
        if not until.is_set() and flaps is not None:
            await self.drop()
            await asyncio.sleep(flaps.uniform(0, 0.5))

    async def _last(self) -> None:
        """What it still misses when all is quiet."""
        while True:
            with contextlib.suppress(Broken, KeptOut, TimeoutError):
                if self._line is None or self._line.closed.is_set():
                    await self.drop()
                    await self.open()
                await self.resume()
                return
            await self.drop()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def drop(self) -> None:
        """Breaks off."""
        if self._line is not None:
            await self._line.cut()
            self._line = None


class Follower:
    """A socket that asks for what came after its cursor, again and again, and takes in only what `sync` brings."""

    line: Line

    def __init__(self, person: Person, threads: Sequence[str]) -> None:
        self.asked = 0
        self.late: list[str] = []
        """Messages that appeared behind a cursor that it had been given."""
        self._person = person
        self._threads = threads
        self._ids: dict[str, None] = {}
        self._cursor = 0
        self._window: list[Event] = []

    @classmethod
    async def of(cls, person: Person, threads: Sequence[str], port: int) -> Follower:
        """Opens it."""
        follower = cls(person, threads)
        follower.line = await Line.open(port, person, follower._hear)
        return follower

    @property
    def heard(self) -> Heard:
        """For the checker."""
        return Heard(f"follower of {self._person.email}", self._threads, list(self._ids))

    def _hear(self, event: str, payload: Any) -> None:
        if event in ("newMessage", "messageSent"):
            self._window.append(Event(int(payload["cursor"]), payload["id"]))

    async def run(self, until: asyncio.Event, every: float) -> None:
        """Asks until told, and a last time after that."""
        try:
            while not until.is_set():
                await self.ask()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), every)
            while await self.ask():
                pass
        finally:
            await self.line.cut()

    async def ask(self) -> bool:
        """Takes in one page; whether there are more. What comes live beside it is left to the next page."""
        self._window.clear()
        answer = await self.line.ask("sync", {"since": str(self._cursor)})
        assert answer["success"], answer
        assert not answer["reset"], answer
        self.asked += 1
        for event in sorted(self._window):
            if event.cursor <= self._cursor and event.id not in self._ids:
                self.late.append(event.id)
            elif event.cursor <= int(answer["cursor"]):
                self._ids[event.id] = None
        self._cursor = int(answer["cursor"])
        more: bool = answer["hasMore"]
        return more


class Poller:
    """A device without a socket: it asks for what is behind the last `seq` that it has, again and again."""

    def __init__(self, name: str, person: Person, peer: Person, ports: Ports, recorder: Recorder) -> None:
        self.name = name
        self.asked = 0
        self._thread = person.thread_with(peer)
        self._path = f"{MESSAGES}/thread/{quote(peer.email)}?limit={PAGE}&after="
        self._rest = Rest(person, ports, recorder)
        self._kept: list[Kept] = []

    @property
    def heard(self) -> Heard:
        """For the checker."""
        return Heard(self.name, [self._thread], [message.id for message in self._kept])

    async def run(self, until: asyncio.Event, every: float) -> None:
        """Asks until told, and a last time after that."""
        try:
            while not until.is_set():
                with contextlib.suppress(Unknown):
                    await self.ask()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), every)
        finally:
            await self.all()

    async def ask(self) -> bool:
        """Takes in one page; whether there are more."""
        after = self._kept[-1].seq if self._kept else 0
        answer = await self._rest.ask("GET", f"{self._path}{after}")
        self.asked += 1
        if answer.status_code != 200:
            raise Unknown(str(answer.status_code))
        page = answer.json()
        self._kept += [Kept(message["id"], message["seq"], message["content"]) for message in page["data"]]
        more: bool = page["hasNext"]
        return more

    async def all(self) -> list[Kept]:
        """Everything up to the end; the reading is done. A node that has just been stopped is not the last one."""
        until, more = time.monotonic() + END_SECONDS, True
        try:
            while more:
                try:
                    more = await self.ask()
                except Unknown:
                    if time.monotonic() > until:
                        raise
                    await asyncio.sleep(0.05)
        finally:
            await self._rest.close()
        return self._kept
