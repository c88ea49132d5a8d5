"""Who may come in at once: in all, so that a storm does not pile up, and from one address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaza.realtime.deadlines import Deadlines
from plaza.realtime.handshake import TOO_MANY, UNAVAILABLE, Answer

if TYPE_CHECKING:
    from plaza.realtime.options import Options
    from plaza.realtime.session import Session

# A client sends its CONNECT one round trip after the handshake. One that does not is idle, not on its way in:
# it must not keep others out.
ROUND_TRIP = 1.0


EXPECTED, ENTERING, RESTING, INSIDE = range(4)
"""How far a session has come: its client has shaken hands and should ask a namespace to let it in, has asked, did not
or was not let in (whether it asks again is its affair), was let in once or is gone."""


class Gate:
    """Counts the sessions that were in no namespace yet, and gives all that are in none `connect_timeout` seconds."""

    def __init__(self, options: Options) -> None:
        self._most = options.max_handshakes
        self._full = UNAVAILABLE._replace(retry_after=options.retry_after)
        self._per_address = options.per_address
        self._crowded = TOO_MANY._replace(retry_after=options.retry_after)
        self._coming = 0
        """Those expected and those entering."""
        self._outside: dict[str, int] = {}
        self._patience: Deadlines[Session] = Deadlines(options.connect_timeout)

    def refusal(self, network: str) -> Answer | None:
        """What somebody is answered when as many as may be are on their way in, or outside from their network."""
        if self._coming >= self._most:
            return self._full
        return self._crowded if self._outside.get(network, 0) >= self._per_address else None

    def arrive(self, session: Session, now: float) -> None:
        """A session was opened; its stage is `EXPECTED`."""
        outside, network = self._outside, session.network
        outside[network] = outside.get(network, 0) + 1
        self._coming += 1
        self._patience.start(session, now)

    def enter(self, session: Session) -> None:
        """Its client asks a namespace to let it in."""
        if session.stage == RESTING:
            self._coming += 1
        if session.stage != INSIDE:
            session.stage = ENTERING

    def rest(self, session: Session) -> None:
        """It was not let in."""
        if session.stage < RESTING:
            session.stage = RESTING
            self._coming -= 1

    def leave(self, session: Session) -> None:
        """It is in, or gone."""
        self._patience.stop(session)
        stage, session.stage = session.stage, INSIDE
        if stage == INSIDE:
            return
        if stage != RESTING:
            self._coming -= 1
        outside, network = self._outside, session.network
        outside[network] -= 1
        if not outside[network]:
            del outside[network]

    def come_back(self, session: Session, now: float) -> None:
        """It has left its last namespace."""
        self._patience.start(session, now)

    def late(self, now: float) -> list[Session]:
        """Those that stayed outside too long; those that stayed silent for a round trip are not expected any more."""
        for session, since in self._patience.oldest():
            if since + ROUND_TRIP > now:
                break
            if session.stage == EXPECTED:
                self.rest(session)
        return [session for session, _ in self._patience.take(now)]
