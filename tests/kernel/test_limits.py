"""Rate limits: the exact boundary, the refill, and the bound on memory."""

from __future__ import annotations

import pytest

from plaza.entry import limits
from plaza.entry.limits import Limits, Rate, network
from plaza.kernel.errors import TooMany


def test_the_last_token_is_given_and_the_next_is_refused_with_the_time_until_there_is_one() -> None:
    now = [0.0]
    allow = Limits(lambda: now[0])
    rate = Rate(0.5, 3)
    for _ in range(3):
        allow.take("alice", rate)
    with pytest.raises(TooMany) as refusal:
        allow.take("alice", rate)
    assert refusal.value.headers == {"Retry-After": "2"}
    allow.take("bob", rate)
    now[0] = 1.9
    with pytest.raises(TooMany):
        allow.take("alice", rate)
    now[0] = 2.0
    allow.take("alice", rate)
    now[0] = 1_000.0
    for _ in range(3):
        allow.take("alice", rate)
    with pytest.raises(TooMany):
        allow.take("alice", rate)


def test_the_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 10)
    allow = Limits(lambda: 0.0)
    for number in range(100):
        allow.take(number, Rate(1, 1))
    assert len(allow._buckets) == 10


def test_off_is_off() -> None:
    allow = Limits(lambda: 0.0, on=False)
    for _ in range(1_000):
        allow.take("alice", Rate(0.001, 1))


def test_an_ipv6_network_counts_as_one_address() -> None:
    assert network("2001:db8:1:2:3::1") == network("2001:db8:1:2:ffff::9")
    assert network("10.0.0.1") != network("10.0.0.2")
