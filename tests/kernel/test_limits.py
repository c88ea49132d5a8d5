"""Rate limits: the exact boundary, the refill, and the bound on memory."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from plaza.entry import limits
from plaza.entry.limits import Limits, Rate, Spend, network
from plaza.kernel.errors import TooMany


def test_the_last_token_is_given_and_the_next_is_refused_with_the_time_until_there_is_one() -> None:
    now = [0.0]
    allow = Limits(lambda: now[0])
    rate = Rate(0.5, 3)
    for _ in range(3):
        allow.take(("alice",), rate)
    with pytest.raises(TooMany) as refusal:
        allow.take(("alice",), rate)
    assert refusal.value.headers == {"Retry-After": "2"}
    allow.take(("bob",), rate)
    now[0] = 1.9
    with pytest.raises(TooMany):
        allow.take(("alice",), rate)
    now[0] = 2.0
    allow.take(("alice",), rate)
    now[0] = 1_000.0
    for _ in range(3):
        allow.take(("alice",), rate)
    with pytest.raises(TooMany):
        allow.take(("alice",), rate)


def test_the_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 10)
    allow = Limits(lambda: 0.0)
    for number in range(100):
        allow.take((number,), Rate(1, 1))
    assert len(allow._buckets) == 10


def test_what_several_processes_let_pass_is_no_more_than_one_would_in_the_end() -> None:
    now = [0.0]
    rate = Rate(20, 100)
    everywhere = [Limits(lambda: now[0]) for _ in range(3)]
    passed = 0
    for step in range(6_000):
        now[0] = step / 100
        for allow in everywhere:
            with contextlib.suppress(TooMany):
                allow.take(("reads", 1, 2), rate)
                passed += 1
        if step % 50 == 49:
            for allow in everywhere:
                said = msgspec.json.decode(msgspec.json.encode(allow.spent()), type=list[Spend])
                for other in everywhere:
                    if other is not allow:
                        other.charge(said)
    assert passed == pytest.approx(100 + 60 * 20, rel=0.1)


def test_of_those_who_ask_for_little_nothing_is_said_and_of_the_others_the_greediest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MOST_SHARED", 2)
    allow = Limits(lambda: 0.0)
    for number, count in enumerate((1, 3, 9, 6)):
        for _ in range(count):
            allow.take((number,), Rate(20, 100))
    assert [(spend.key, spend.tokens) for spend in allow.spent()] == [((2,), 9), ((3,), 6)]
    assert [(spend.key, spend.tokens) for spend in allow.spent()] == [((1,), 3)]
    assert allow.spent() == []


def test_off_is_off() -> None:
    allow = Limits(lambda: 0.0, on=False)
    for _ in range(1_000):
        allow.take(("alice",), Rate(0.001, 1))


def test_an_ipv6_network_counts_as_one_address() -> None:
    assert network("2001:db8:1:2:3::1") == network("2001:db8:1:2:ffff::9")
    assert network("10.0.0.1") != network("10.0.0.2")
    assert network("2001:db8::1") == network("2001:db8::2") == network("2001:db8:0:0:ffff::") == "2001:db8::"
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
    assert network("fe80::1%eth0") == "fe80::"
    assert network("::ffff:10.0.0.1") == network("10.0.0.1") != network("::ffff:10.0.0.2")
