"""The switchboard: what one process says, every process that hosts somebody concerned hears and shows its sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import structlog

from plaza.entry.auth import Authenticator
from plaza.entry.catchup import CatchUp, Read
from plaza.entry.circular import (
    SERVER,
    Again,
    Emit,
    Forget,
    Head,
    Spent,
    Wake,
    Word,
    channel,
    org_room,
    person_room,
    socket_room,
    understand,
)
from plaza.entry.gateway import Gateway
from plaza.entry.hearing import Ear, Hearing
from plaza.entry.limits import Spend
from plaza.kernel.errors import Unavailable
from plaza.kernel.outbox import EVERYONE, LiveEvent
from plaza.kernel.ports import Bus
from plaza.realtime import Server

log = structlog.get_logger("plaza.switchboard")
LOOK_SECONDS = 1.0
"""How often the log is read for organisations in doubt, and while the bus is away."""
GATHER_SECONDS = 0.01
"""Doubts of so long are settled together."""
BEAT_SECONDS = 0.9
"""How often the leader says where the log's head is, so that the others know that they hear it."""
SILENCE_SECONDS = 2.5
"""After so long without a word of a leader, whatever the bus believes, the log is read."""
KEPT_SECONDS = 60.0
"""How long an organisation is heard after its last socket has left."""


class Surroundings(NamedTuple):
    """What the switchboard needs of the rest of the process: the log, the relay that may lead, and presence."""

    head: Callable[[], Awaitable[int]]
    read: Read
    leads: Callable[[], bool]
    wake: Callable[[], None]
    again: Callable[[float], None]
    """Says once more who came and went in the last so many seconds, for those who could not hear it."""
    charge: Callable[[Iterable[Spend]], None]
    """Counts what another process has let pass."""


class Switchboard:
    """Speaks and hears for one process."""

    def __init__(self, bus: Bus, authenticator: Authenticator, gateway: Gateway, around: Surroundings) -> None:
        self.head = 0
        """The newest head of the log that this process has heard of."""
        self._bus = bus
        self._authenticator = authenticator
        self._gateway = gateway
        self._around = around
        self._look = asyncio.Event()
        self._hearing = Hearing(gateway.emit, self._look.set)
        self._catch_up = CatchUp(self._hearing, around.head, around.read)
        self._deaf_since: float | None = None
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._said: dict[int, int] = {}
        self._began = 0
        self._beaten = self._heard = time.monotonic()
        bus.subscribe(self._hear, self._lost)

    # To speak: what the relay shows, as its stage.

    def begin(self, head: int) -> None:
        """This process leads now; what was committed before it, and shown by nobody, is found in the log."""
        self._said.clear()
        self._began = head
        self._say(SERVER, Head(head, begun=True))

    def show(self, event: LiveEvent, payloads: Sequence[msgspec.Raw], position: int) -> None:
        """An event of the log, for the sockets of its audience; the socket that it came from leaves it out."""
        before, self._said[event.org] = self._said.get(event.org, self._began), position
        self._say(channel(event.org), emit(event, payloads, position, before))

    def shown(self, head: int) -> None:
        """Everything up to here; the others are told now and then."""
        word, present = Head(head), time.monotonic()
        if present - self._beaten < BEAT_SECONDS:
            self._take(word)
        else:
            self._beaten = present
            self._say(SERVER, word)

    # To speak: what is of the moment.

    def tell(self, org: int, person: int, event: str, payload: object) -> None:
        """Something of the moment, for a person's sockets; nothing is kept."""
        self._say(channel(org), Emit(org, person_room(org, person), _bodies(event, payload), volatile=True))

    def tell_everyone(self, org: int, event: str, payload: object, but: Iterable[int]) -> None:
        """Something of the moment, for an organisation's sockets but those of some people."""
        left_out = [person_room(org, person) for person in but]
        self._say(channel(org), Emit(org, org_room(org), _bodies(event, payload), left_out, volatile=True))

    def forget(
        self, org: int, *, person: int | None = None, session: int | None = None, key: str | None = None
    ) -> None:
        """Takes back remembered tokens and cuts the sockets that came in with them."""
        self._say(SERVER, Forget(org, person, session, key=key))

    def ask_again(self, org: int, person: int) -> None:
        """Takes back the remembered tokens of a person about whom something has changed; their sockets go on."""
        self._say(SERVER, Forget(org, person, cut=False))

    def share(self, spends: list[Spend]) -> None:
        """What this process has let pass; nothing while the bus is away, for it would count when it is long over."""
        if spends and self._bus.hears(SERVER):
            self._bus.publish(SERVER, msgspec.json.encode(Spent(spends)))

    def announce(self) -> None:
        """There are facts in the outbox: the process that leads the relay shall know."""
        self._say(SERVER, Wake())

    def _say(self, where: str, word: Word) -> None:
        """To this process now, to the others soon."""
        self._take(word)
        self._bus.publish(where, msgspec.json.encode(word))

    # To hear.

    def _hear(self, message: bytes) -> None:
        """A message of another process; one of another version may have meant anything."""
        try:
            word = understand(message)
        except msgspec.ValidationError:
            log.warning("bus.not_understood")
            self._lost()
        else:
            self._take(word)

    def _take(self, word: Word) -> None:
        if isinstance(word, Emit):
            if word.volatile:
                self._gateway.emit(word)
            else:
                self._hearing.take(word)
        elif isinstance(word, Head):
            self._heard = time.monotonic()
            self.head = max(self.head, word.position)
            if word.begun:
                self._missed()
        elif isinstance(word, Forget):
            self._authenticator.forget(word)
            if word.cut:
                self._gateway.cut(word)
        elif isinstance(word, Again):
            self._around.again(word.seconds)
        elif isinstance(word, Spent):
            self._around.charge(word.spends)
        else:
            self._around.wake()

    def _lost(self) -> None:
        """The bus may have lost something, of which nobody knows how long ago."""
        self._deaf_since = self._deaf_since or time.monotonic() - SILENCE_SECONDS
        self._missed()

    def _missed(self) -> None:
        self._hearing.doubt(self._hearing.ears.values())

    async def attend(self, org: int) -> None:
        """Hears an organisation from now on, since somebody of it has come."""
        ear = self._hearing.ears.get(org)
        if ear is None or ear.last is None:
            if org not in self._opening:
                self._opening[org] = asyncio.create_task(self._open(org))
            await asyncio.shield(self._opening[org])

    async def _open(self, org: int) -> None:
        """First to hear, then to ask where the log ends: what comes behind that place will be heard."""
        ear = self._hearing.ears[org] = Ear()
        try:
            await self._bus.follow(channel(org))
            sound = self._sound(org)
            try:
                until = await self._around.head()
            except Unavailable:
                sound, until = False, self.head
            self._hearing.caught_up(org, ear, until, sound)
        finally:
            del self._opening[org]

    def position(self, org: int) -> int:
        """A place in the log up to which everything has been shown to those who are here."""
        ear = self._hearing.ears[org]
        return max(ear.last or 0, self.head) if ear.whole else ear.last or 0

    # To notice what was not heard.

    async def run(self) -> None:
        """Reads from the log what the bus may have lost, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._look.clear()
            ears = self._hearing.ears
            deaf = [ear for org, ear in ears.items() if ear.whole and not self._sound(org)]
            if deaf:
                log.warning("bus.deaf", organisations=len(deaf))
                self._hearing.doubt(deaf)
                self._look.clear()
            if any(not ear.whole for ear in ears.values()):
                with contextlib.suppress(Unavailable):
                    gateway = self._gateway
                    await self._catch_up.run(self._sound, gateway.people, gateway.emit, gateway.taken)
            self._mend()
            await self._rest()

    def _mend(self) -> None:
        """Asks for what the log does not keep, once the bus is heard again."""
        present = time.monotonic()
        if not self._bus.hears(SERVER):
            self._deaf_since = self._deaf_since or present - LOOK_SECONDS
        elif self._deaf_since is not None:
            self._say(SERVER, Again(present - self._deaf_since))
            self._deaf_since = None

    def _sound(self, org: int) -> bool:
        """Whether what is said of an organisation is heard here; the leader says it itself."""
        silent = time.monotonic() - self._heard > SILENCE_SECONDS
        return self._around.leads() or (not silent and self._bus.hears(channel(org)))

    async def _rest(self) -> None:
        """Hears organisations no longer whose people have gone a while ago."""
        present = time.monotonic()
        for org, ear in list(self._hearing.ears.items()):
            if self._gateway.anybody(org) or ear.last is None:
                ear.quiet_since = None
            elif ear.quiet_since is None:
                ear.quiet_since = present
            elif present - ear.quiet_since > KEPT_SECONDS:
                del self._hearing.ears[org]
                await self._bus.unfollow(channel(org))


def emit(event: LiveEvent, payloads: Sequence[msgspec.Raw], position: int, before: int = 0) -> Emit:
    """An event of the log as the sockets of its audience get it."""
    but = [socket_room(event.origin)] if event.origin else []
    bodies = [body for payload in payloads for body in _bodies(event.name, payload)]
    room = org_room(event.org) if event.audience == EVERYONE else person_room(event.org, event.audience)
    return Emit(event.org, room, bodies, but, position=position, before=before)


def _bodies(event: str, payload: object) -> list[msgspec.Raw]:
    return [msgspec.Raw(Server.encode(event, payload).body)]
