"""A throttle lets each key through once in a while, and keeps a bounded number of them."""

from __future__ import annotations

from plaza.kernel.throttle import Throttle


def test_a_key_passes_once_in_its_seconds_and_others_beside_it() -> None:
    now = 1_000.0
    seldom = Throttle(seconds=60, most=3, passed=lambda: now)
    assert [seldom.passes(key) for key in "aababc"] == [True, False, True, False, False, True]
    assert not seldom.passes("d"), "no room for another one"
    now += 60
    assert [seldom.passes(key) for key in "dad"] == [True, True, False]
