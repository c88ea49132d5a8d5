"""What a run of the bench may be told; the defaults are those of the published figures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PostgresCore = Literal["server", "load", "free"]


@dataclass(frozen=True)
class Options:
    """Counts, times in seconds, and places."""

    rounds: int = 5
    seconds: float = 3.0
    """What is measured of a round."""
    lead: float = 1.0
    """What a round runs before it is measured."""
    warm: float = 3.0
    """What each side runs once before its first round, with the most senders."""
    senders: tuple[int, ...] = (1, 16, 64)
    starts: int = 5
    """How often a server is started for the footprint."""
    sockets: tuple[int, ...] = (100, 1_000, 5_000)
    """In the room, for live delivery; the most of them come in and stay."""
    lives: int = 3
    """How often each side is started for connects and memory."""
    idle: float = 300.0
    """For how long the idle sockets stay."""
    postgres: PostgresCore = "server"
    node: str | None = None
    """The Node that runs the peer; None for the one of the machine, as `tools/npm` chooses."""
    folder: Path | None = None
    """Where data folders are made; None for the system's folder for temporary files. Not in memory: commits would
    cost nothing."""

    against: str | None = None
    """A revision to compare this tree with, in place of the peers."""

    @property
    def middle(self) -> int:
        """Members of the room in which everything is measured: 1,000, or the most where that is no size."""
        return 1_000 if 1_000 in self.sockets else max(self.sockets)

    @property
    def server_core(self) -> int:
        """The core of the servers that are measured."""
        return min(cores())

    @property
    def load_core(self) -> int:
        """The core of the load generator; that of the servers where there is no other."""
        return max(cores())

    @property
    def postgres_cores(self) -> set[int]:
        """The cores of every PostgreSQL."""
        return {"server": {self.server_core}, "load": {self.load_core}, "free": set(cores())}[self.postgres]


_CORES = frozenset(os.sched_getaffinity(0))


def cores() -> frozenset[int]:
    """The cores that this process was given when it started."""
    return _CORES
