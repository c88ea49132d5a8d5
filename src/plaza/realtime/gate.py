"""Who may come in at once: in all, so that a storm does not pile up, and from one address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaza.realtime.deadlines import Deadlines

if TYPE_CHECKING:
    from plaza.realtime.session import Session

# A client sends its CONNECT one round trip after the handshake. One that does not is idle, not on its way in:
# it must not keep others out.
ROUND_TRIP = 1.0


class Gate:
    """Counts the sessions outside every namespace."""

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._expected: Deadlines[Session] = Deadlines(ROUND_TRIP)
        self._entering: set[Session] = set()
        self._arrived: set[Session] = set()
        self._outside: dict[str, int] = {}

    def full(self) -> bool:
        """Whether as many are on their way in as may be."""
        return len(self._expected) + len(self._entering) >= self._most

    def crowded(self, address: str) -> bool:
        """Whether this address has as many outside as it may."""
        return self._outside.get(address, 0) >= self._per_address

    def arrive(self, session: Session, now: float) -> None:
        """A session was opened."""
        self._arrived.add(session)
        self._expected.start(session, now)
        self._outside[session.address] = self._outside.get(session.address, 0) + 1

    def enter(self, session: Session) -> None:
        """Its client asks a namespace to let it in."""
        if session in self._arrived:
            self._expected.stop(session)
            self._entering.add(session)

    def rest(self, session: Session) -> None:
        """It was not let in: whether it asks again is its affair."""
        self._entering.discard(session)

    def leave(self, session: Session) -> None:
        """It is in, or gone."""
        if session not in self._arrived:
            return
        self._arrived.discard(session)
        self._expected.stop(session)
        self._entering.discard(session)
        self._outside[session.address] -= 1
        if not self._outside[session.address]:
            del self._outside[session.address]

    def sweep(self, now: float) -> None:
        """Do not expect those any longer that stayed silent."""
        self._expected.take(now)
