"""The switchboard: what one process says, every process hears over the bus and does with its own sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from plaza.entry.auth import Authenticator
from plaza.entry.circular import Emit, Forget, Wake, org_room, person_room, say, socket_room, understand
from plaza.entry.gateway import Gateway
from plaza.kernel.outbox import LiveEvent
from plaza.kernel.ports import Bus


class Switchboard:
    """Speaks and hears for one process; `wake` tells its relay that there are facts."""

    def __init__(self, bus: Bus, authenticator: Authenticator, gateway: Gateway, wake: Callable[[], None]) -> None:
        self._bus = bus
        self._authenticator = authenticator
        self._gateway = gateway
        self._wake = wake
        bus.subscribe(self._hear)

    def deliver(self, event: LiveEvent, payload: msgspec.Raw, position: int) -> None:
        """An event of the log, for the sockets of its audience; the socket that it came from leaves it out."""
        but = [socket_room(event.origin)] if event.origin else []
        say(self._bus, Emit(person_room(event.org, event.audience), event.name, payload, but, position=position))

    def tell(self, org: int, person: int, event: str, payload: object) -> None:
        """Something of the moment, for a person's sockets; nothing is kept."""
        say(self._bus, Emit(person_room(org, person), event, _raw(payload), volatile=True))

    def tell_everyone(self, org: int, event: str, payload: object, but: Iterable[int]) -> None:
        """Something of the moment, for an organisation's sockets but those of some people."""
        left_out = [person_room(org, person) for person in but]
        say(self._bus, Emit(org_room(org), event, _raw(payload), left_out, volatile=True))

    def forget(self, org: int, *, person: int | None = None, session: int | None = None) -> None:
        """Takes back remembered tokens and cuts the sockets that came in with them."""
        say(self._bus, Forget(org, person, session))

    def ask_again(self, org: int, person: int) -> None:
        """Takes back the remembered tokens of a person about whom something has changed; their sockets go on."""
        say(self._bus, Forget(org, person, cut=False))

    def announce(self) -> None:
        """There are facts in the outbox: the process that leads the relay shall know."""
        say(self._bus, Wake())

    def _hear(self, message: bytes) -> None:
        word = understand(message)
        if isinstance(word, Emit):
            self._gateway.emit(word)
        elif isinstance(word, Forget):
            self._authenticator.forget(word.org, person=word.person, session=word.session)
            if word.cut:
                self._gateway.cut(word.org, person=word.person, session=word.session)
        else:
            self._wake()


def _raw(payload: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(payload))
