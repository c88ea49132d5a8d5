"""The last packets of long-polling sessions that ended while no request waited for them."""

from plaza.realtime.deadlines import Deadlines
from plaza.realtime.engineio import encode_payload, fitting


class Farewells:
    """Packets by session id, kept for some seconds."""

    def __init__(self, delay: float, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._packets: dict[str, list[bytes]] = {}
        self._kept: Deadlines[str] = Deadlines(delay)

    def keep(self, sid: str, packets: list[bytes], now: float) -> None:
        """Keep an ended session's packets."""
        self._packets[sid] = packets
        self._kept.start(sid, now)

    def take(self, sid: str) -> bytes | None:
        """The next payload of an ended session, None if there is none left; the last packet comes alone.

        The official client handles a close packet before the messages in front of it.
        """
        packets = self._packets.pop(sid, None)
        if packets is None:
            return None
        count = fitting([*map(len, packets[:-1])], self._most_bytes) if len(packets) > 1 else 1
        if len(packets) > count:
            self._packets[sid] = packets[count:]
        else:
            self._kept.stop(sid)
        return encode_payload(packets[:count])

    def sweep(self, now: float) -> None:
        """Drop what nobody came for."""
        for sid, _ in self._kept.take(now):
            self._packets.pop(sid, None)
