"""Who is in which room of one namespace.

Members are the keys of a dict, which takes a third of a set's memory; most rooms have one, and that is a tuple.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plaza.realtime.sockets import Socket


class Rooms:
    """The sockets of a namespace and of each of its rooms; an empty room does not exist."""

    def __init__(self) -> None:
        self.everyone: dict[Socket, None] = {}
        self._rooms: dict[str, tuple[Socket] | dict[Socket, None]] = {}

    def enter(self, socket: Socket, room: str) -> None:
        """Put a socket into a room."""
        members = self._rooms.get(room)
        if members is None:
            self._rooms[room] = (socket,)
        elif isinstance(members, dict):
            members[socket] = None
        else:
            self._rooms[room] = dict.fromkeys((*members, socket))

    def leave(self, socket: Socket, room: str) -> None:
        """Take a socket out of a room it is in."""
        members = self._rooms[room]
        if len(members) == 1:
            del self._rooms[room]
        else:
            del members[socket]

    def drop(self, socket: Socket, rooms: Iterable[str]) -> None:
        """Take a socket out of the namespace."""
        self.everyone.pop(socket, None)
        for room in rooms:
            self.leave(socket, room)

    def members(self, room: str | None, but: Iterable[str] = ()) -> Collection[Socket]:
        """The sockets in a room (None: in the namespace) that are in none of the rooms in `but`."""
        members = self.everyone if room is None else self._rooms.get(room, ())
        others = [self._rooms[name] for name in but if name in self._rooms]
        return set(members).difference(*others) if others else members
