"""The checker finds what is planted: a check that cannot fail shows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.faults.checker import Heard, Kept, judge
from tests.faults.records import Draft, Record

THREAD = "a & b"


def draft(client: str, number: int) -> Draft:
    """A message of a client."""
    return Draft(client, number, THREAD, "b")


def kept(client: str, number: int, seq: int) -> Kept:
    """The same message, read back at a place."""
    return Kept(f"id-{client}-{number}", seq, draft(client, number).content)


def attempt(kind: str, client: str, number: int, seq: int | None = None, at: float = 0.0) -> Record:
    """A line of the record."""
    made = draft(client, number)
    id_ = None if seq is None else f"id-{made.key}"
    return Record(kind, at, client, made.key, THREAD, made.payload, id_, seq)  # type: ignore[arg-type]


@dataclass
class Run:
    """A run in which nothing went wrong: two clients, four messages, one reader; a test spoils it."""

    records: list[Record] = field(
        default_factory=lambda: [
            attempt("invoke", "x", 1),
            attempt("ok", "x", 1, 1),
            attempt("invoke", "y", 1),
            attempt("unknown", "y", 1),
            attempt("invoke", "y", 1),
            attempt("ok", "y", 1, 2),
            attempt("invoke", "x", 2),
            attempt("ok", "x", 2, 3),
            attempt("invoke", "y", 2),
            attempt("fail", "y", 2),
        ]
    )
    history: list[Kept] = field(default_factory=lambda: [kept("x", 1, 1), kept("y", 1, 2), kept("x", 2, 3)])
    ids: list[str] = field(default_factory=lambda: ["id-x-1", "id-y-1", "id-x-2"])

    def violations(self) -> dict[str, list[str]]:
        """What the checker says."""
        return judge(self.records, {THREAD: self.history}, [Heard("reader", [THREAD], self.ids)]).violations


@pytest.fixture
def run() -> Run:
    """A run without a fault."""
    return Run()


def test_a_run_without_a_fault_has_no_violation_and_its_recovered_message_is_counted(run: Run) -> None:
    verdict = judge(run.records, {THREAD: run.history}, [Heard("reader", [THREAD], run.ids)])
    assert verdict.violations == {}
    assert (verdict.attempted, verdict.acked, verdict.recovered) == (4, 3, 1)


def test_a_planted_loss_is_found(run: Run) -> None:
    del run.history[2], run.ids[2]
    assert run.violations() == {"lost": ["x-2"]}


def test_an_acknowledgement_of_another_id_or_place_is_a_loss(run: Run) -> None:
    run.records[1] = attempt("ok", "x", 1, 7)
    assert run.violations() == {"lost": ["x-1"]}


def test_a_planted_duplicate_is_found(run: Run) -> None:
    run.history.append(Kept("id-again", 4, draft("x", 2).content))
    run.ids.append("id-again")
    assert run.violations() == {"duplicated": ["x-2"]}


def test_a_message_that_nobody_sent_is_unexpected(run: Run) -> None:
    run.history.append(kept("z", 1, 4))
    run.ids.append("id-z-1")
    assert run.violations() == {"unexpected": ["z-1"]}


def test_a_message_whose_words_were_changed_is_unexpected(run: Run) -> None:
    run.history[0] = run.history[0]._replace(content="x 1 of something else")
    assert run.violations() == {"unexpected": ["x-1"]}


def test_a_delivery_of_what_history_does_not_have_is_unexpected(run: Run) -> None:
    run.ids.append("id-ghost")
    assert run.violations() == {"unexpected": ["reader: id-ghost"]}


def test_a_delivery_of_the_same_message_twice_is_found(run: Run) -> None:
    run.ids.append("id-x-2")
    assert run.violations() == {"duplicated": ["reader: id-x-2"]}


def test_an_inversion_of_one_sender_is_found(run: Run) -> None:
    run.history = [kept("x", 2, 1), kept("y", 1, 2), kept("x", 1, 3)]
    run.records[1], run.records[7] = attempt("ok", "x", 1, 3), attempt("ok", "x", 2, 1)
    run.ids.reverse()
    assert run.violations()["disordered"] == [f"{THREAD}: x 1 behind 2"]


def test_an_inversion_at_a_reader_is_found(run: Run) -> None:
    run.ids[:2] = reversed(run.ids[:2])
    assert run.violations() == {"disordered": [f"reader: {THREAD} 1 behind 2"]}


@pytest.mark.parametrize("places", [(1, 2, 4), (2, 3, 4), (1, 2, 2)])
def test_a_hole_or_a_repetition_in_the_numbers_of_a_thread_is_found(run: Run, places: Sequence[int]) -> None:
    run.history = [message._replace(seq=seq) for message, seq in zip(run.history, places, strict=True)]
    assert "disordered" in run.violations()


def test_a_gap_at_a_reader_is_found_at_its_end_too(run: Run) -> None:
    del run.ids[1]
    assert run.violations() == {"gaps": [f"reader: {THREAD} 2"]}
    del run.ids[1]
    assert run.violations() == {"gaps": [f"reader: {THREAD} 2", f"reader: {THREAD} 3"]}
