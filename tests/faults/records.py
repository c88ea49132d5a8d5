"""The recorder: what the clients of a fault test did, one line for the beginning and one for the end of each attempt.

An answer that did not come, or one that does not say what became of the write (503), is `unknown`, never `fail`.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["invoke", "ok", "fail", "unknown"]


class Draft(NamedTuple):
    """A message that a client means to send; `number` counts what this client sends."""

    client: str
    number: int
    thread: str
    to: str

    @property
    def key(self) -> str:
        """Its `clientId`."""
        return f"{self.client}-{self.number}"

    @property
    def content(self) -> str:
        """Its words, which tell it from every other one."""
        return f"{self.client} {self.number} of {self.thread}"

    @property
    def payload(self) -> str:
        """The hash of its words."""
        return digest(self.content)

    @property
    def body(self) -> dict[str, str]:
        """What goes over the wire."""
        return {"to": self.to, "content": self.content, "clientId": self.key}


def digest(content: str) -> str:
    """What stands for the words of a message in the record."""
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """The beginning or the end of one attempt; `said` is the status, the code or the error."""

    kind: Kind
    at: float
    client: str
    key: str
    thread: str
    payload: str
    id: str | None = None
    seq: int | None = None
    said: str = ""


class Answer(NamedTuple):
    """One HTTP answer: when it came, when it was asked for, from which port, its status and its `Retry-After`."""

    at: float
    asked: float
    port: int
    status: int
    retry_after: str | None


class Recorder:
    """Writes down every attempt as it happens, and keeps it for the checker."""

    def __init__(self, path: Path) -> None:
        self.records: list[Record] = []
        self.answers: list[Answer] = []
        self.codes: list[str] = []
        """The codes of the refusals that sockets were given."""
        self._file = path.open("ab")

    def note(self, kind: Kind, draft: Draft, *, said: str = "", id_: str | None = None, seq: int | None = None) -> None:
        """Adds a line."""
        record = Record(kind, time.monotonic(), draft.client, draft.key, draft.thread, draft.payload, id_, seq, said)
        self.records.append(record)
        self._file.write(msgspec.json.encode(record) + b"\n")

    def close(self) -> None:
        """The end of the test."""
        self._file.close()

    def statuses(self) -> set[int]:
        """The HTTP statuses that were seen."""
        return {answer.status for answer in self.answers}

    def served_after(self, moment: float) -> float:
        """How long after a moment the first request asked after it was answered well."""
        return (
            min(
                (answer.at for answer in self.answers if answer.asked >= moment and answer.status < 300),
                default=float("inf"),
            )
            - moment
        )

    def attempts(self) -> int:
        """The most attempts that one message took."""
        return max(Counter(record.key for record in self.records if record.kind == "invoke").values(), default=0)

    def doubt(self) -> float:
        """The longest time that a message was unknown before it was acknowledged; infinite for one that never was."""
        return max(_doubts(self.records), default=0.0)


def _doubts(records: Sequence[Record]) -> list[float]:
    unknown: dict[str, float] = {}
    doubts = []
    for record in records:
        if record.kind == "unknown":
            unknown.setdefault(record.key, record.at)
        elif record.kind == "ok" and record.key in unknown:
            doubts.append(record.at - unknown.pop(record.key))
    return doubts + [float("inf")] * len(unknown)
