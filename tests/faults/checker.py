"""The checker: compares what was attempted, acknowledged, read back and delivered (Jepsen's total queue).

With A attempted, K acknowledged, R read back and D delivered to a reader: lost = K − R, unexpected = R − A,
duplicated = keys twice in R, recovered = those of R that were unknown at some time; every list of a reader is a
subsequence of the history and has all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from tests.faults.records import Record, digest


class Kept(NamedTuple):
    """A message as it was read back."""

    id: str
    seq: int
    content: str

    @property
    def client(self) -> str:
        """Who sent it."""
        return self.content.split(" ", 1)[0]

    @property
    def number(self) -> int:
        """The how-manieth of that client it is."""
        return int(self.content.split(" ", 2)[1])

    @property
    def key(self) -> str:
        """Its `clientId`."""
        return f"{self.client}-{self.number}"


class Heard(NamedTuple):
    """What a reader took in, in its order, and the threads that it followed from their beginning."""

    reader: str
    threads: Sequence[str]
    ids: Sequence[str]


History = Mapping[str, Sequence[Kept]]
"""Each thread as the API shows it, the oldest first."""


class Verdict(msgspec.Struct, frozen=True):
    """What the checker found; the lists are empty when every promise was kept."""

    attempted: int
    acked: int
    recovered: int
    lost: list[str]
    unexpected: list[str]
    duplicated: list[str]
    disordered: list[str]
    gaps: list[str]

    @property
    def violations(self) -> dict[str, list[str]]:
        """The lists that are not empty."""
        lists = ("lost", "unexpected", "duplicated", "disordered", "gaps")
        return {name: found for name in lists if (found := getattr(self, name))}

    def __str__(self) -> str:
        counts = f"{self.attempted} attempted, {self.acked} acknowledged, {self.recovered} recovered"
        return f"{counts}; violations: {self.violations or 'none'}"


def judge(records: Sequence[Record], history: History, heard: Iterable[Heard]) -> Verdict:
    """The verdict over one run."""
    attempted = {record.key: record for record in records if record.kind == "invoke"}
    acked = {record.key: record for record in records if record.kind == "ok"}
    unknown = {record.key for record in records if record.kind == "unknown"}
    kept = [message for messages in history.values() for message in messages]
    times = Counter(message.key for message in kept)
    heard = list(heard)
    known = {message.id for message in kept}
    return Verdict(
        attempted=len(attempted),
        acked=len(acked),
        recovered=sum(1 for key in times if key in unknown),
        lost=sorted(_lost(acked, kept)),
        unexpected=sorted(
            [message.key for message in kept if not _meant(attempted.get(message.key), message)]
            + [f"{one.reader}: {id_}" for one in heard for id_ in one.ids if id_ not in known]
        ),
        duplicated=sorted([key for key, count in times.items() if count > 1] + list(_twice(heard))),
        disordered=[*_disorder_of_history(history), *_disorder_of_readers(history, heard)],
        gaps=[gap for one in heard for gap in _gaps(history, one)],
    )


def _lost(acked: Mapping[str, Record], kept: Sequence[Kept]) -> Iterator[str]:
    """Acknowledged and not there, or there under another id or place than was acknowledged."""
    there = {(message.key, message.id, message.seq) for message in kept}
    for key, record in acked.items():
        if (key, record.id, record.seq) not in there:
            yield key


def _meant(attempt: Record | None, message: Kept) -> bool:
    return attempt is not None and attempt.payload == digest(message.content)


def _twice(heard: Sequence[Heard]) -> Iterator[str]:
    for one in heard:
        for id_, count in Counter(one.ids).items():
            if count > 1:
                yield f"{one.reader}: {id_}"


def _disorder_of_history(history: History) -> Iterator[str]:
    """`seq` counts from 1 without a hole, and each client's messages stand in the order in which it sent them."""
    for thread, messages in history.items():
        if [message.seq for message in messages] != list(range(1, len(messages) + 1)):
            yield f"{thread}: seq {[message.seq for message in messages]}"
        for client in sorted({message.client for message in messages}):
            numbers = [message.number for message in messages if message.client == client]
            yield from (f"{thread}: {client} {b} behind {a}" for a, b in pairwise(numbers) if b < a)


def _disorder_of_readers(history: History, heard: Sequence[Heard]) -> Iterator[str]:
    place = {message.id: (thread, message.seq) for thread, messages in history.items() for message in messages}
    for one in heard:
        last: dict[str, int] = {}
        for thread, seq in (place[id_] for id_ in one.ids if id_ in place):
            if seq < last.get(thread, 0):
                yield f"{one.reader}: {thread} {seq} behind {last[thread]}"
            last[thread] = max(seq, last.get(thread, 0))


def _gaps(history: History, one: Heard) -> Iterator[str]:
    had = set(one.ids)
    for thread in one.threads:
        for message in history[thread]:
            if message.id not in had:
                yield f"{one.reader}: {thread} {message.seq}"
