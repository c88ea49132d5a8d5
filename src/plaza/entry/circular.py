"""What the processes of a server tell each other over the bus, and what each then does with its own sockets."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from plaza.entry.limits import Spend
from plaza.kernel.context import Principal

SERVER = "server"
"""The channel that every process hears."""
ORGANISATIONS = 1_024
"""Those whose rooms' names are remembered."""


class Emit(msgspec.Struct, tag="emit", frozen=True, array_like=True):
    """Events for the sockets of a room, `but` for those in some rooms; made once, sent to every process once."""

    org: int
    room: str
    bodies: list[msgspec.Raw]
    """The JSON of each event as the sockets get it: its name, and its payload."""
    but: list[str] = []
    volatile: bool = False
    position: int = 0
    """The place in the log of what is kept, all of it of one place."""
    before: int = 0
    """The place of what was said before it of this organisation: who has not heard that has missed something."""


class Head(msgspec.Struct, tag="head", frozen=True, array_like=True):
    """The log's head, up to which everything has been said; `begun` by a new leader, who cannot know what was."""

    position: int
    begun: bool = False


class Forget(msgspec.Struct, tag="forget", frozen=True, array_like=True):
    """Tokens of a person, a session, a key or an organisation that hold no longer, or say what is not so any more."""

    org: int
    person: int | None = None
    session: int | None = None
    cut: bool = True
    """Whether the sockets that came in with them end; else they go on, and ask anew who speaks."""
    key: str | None = None
    """The name of a key, or of a published set of keys and with it all of them."""

    def means(self, principal: Principal) -> bool:
        """Whether somebody's token is one of them."""
        if self.person is not None:
            return principal.id == self.person
        if self.session is not None:
            return principal.session == self.session
        return self.key is None or self.key in (principal.key, principal.key.partition("/")[0])


class Again(msgspec.Struct, tag="again", frozen=True, array_like=True):
    """The sender heard nothing for so long: who has said things of the moment that still hold says them again."""

    seconds: float


class Spent(msgspec.Struct, tag="spent", frozen=True, array_like=True):
    """What the sender has let pass of those who ask for much; it counts against their limits everywhere."""

    spends: list[Spend]


class Wake(msgspec.Struct, tag="wake", frozen=True, array_like=True):
    """There are facts in the outbox."""


Word = Emit | Head | Forget | Again | Spent | Wake
_DECODER = msgspec.json.Decoder(Word)


def understand(message: bytes) -> Word:
    """What a message says."""
    word: Word = _DECODER.decode(message)
    return word


def channel(org: int) -> str:
    """The channel of an organisation, heard where somebody of it is connected."""
    return f"o{org}"


def person_room(org: int, person: int) -> str:
    """The room of a person's sockets; every room's name carries the organisation."""
    return f"{org}/u/{person}"


@lru_cache(ORGANISATIONS)
def org_room(org: int) -> str:
    """The room of everybody of an organisation; each of them holds the name."""
    return str(org)


def socket_room(socket_id: str) -> str:
    """The room of one socket, so that its own echo can leave it out."""
    return f"s/{socket_id}"
