"""Ids: time-ordered, unique, strictly increasing whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaza.kernel.ids import HIGHEST, LOWEST, Ids, parse

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@given(st.lists(st.integers(-5_000, 5_000), max_size=200))
def test_ids_rise_though_the_clock_jumps(jumps: list[int]) -> None:
    now = [START]
    new_id = Ids(lambda: now[0], 7)
    made = []
    for jump in jumps:
        now[0] += timedelta(milliseconds=jump)
        made.append(new_id())
    assert made == sorted(set(made))
    assert all(LOWEST <= number <= HIGHEST for number in made)


def test_a_whole_millisecond_of_ids_runs_over_into_the_next() -> None:
    new_id = Ids(lambda: START, 0)
    made = [new_id() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert made == sorted(made)


def test_two_processes_never_make_the_same_id() -> None:
    first, second = Ids(lambda: START, 1), Ids(lambda: START, 2)
    assert not {first() for _ in range(5_000)} & {second() for _ in range(5_000)}


def test_ids_last_for_decades() -> None:
    late = Ids(lambda: datetime(2090, 1, 1, tzinfo=UTC), 1023)
    assert late() <= HIGHEST


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "９", "9" * 20, "9223372036854775808", " 1", "0x10"])
def test_what_is_no_id_names_nothing(text: str) -> None:
    assert parse(text) == 0
