"""Rate limits: the exact boundary, the refill, and the bound on memory."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from plaza.entry import limits
from plaza.entry.limits import Limits, Spend
from plaza.kernel.errors import TooMany
from plaza.kernel.limits import SIGN_INS, STRANGERS, WRITES, Limit, Take, network, takes


def taken(who: str | int, each_second: float, burst: int, amount: int = 1) -> Take:
    """Tokens of somebody's bucket."""
    return Take((who,), Limit("test", 1, 1 / each_second, "A test.", burst=burst), amount)


def test_the_last_token_is_given_and_the_next_is_refused_with_the_time_until_there_is_one() -> None:
    now = [0.0]
    allow = Limits(lambda: now[0])
    for _ in range(3):
        allow.take(taken("alice", 0.5, 3))
    with pytest.raises(TooMany) as refusal:
        allow.take(taken("alice", 0.5, 3))
    assert refusal.value.headers == {"Retry-After": "2"}
    allow.take(taken("bob", 0.5, 3))
    now[0] = 1.9
    with pytest.raises(TooMany):
        allow.take(taken("alice", 0.5, 3))
    now[0] = 2.0
    allow.take(taken("alice", 0.5, 3))
    now[0] = 1_000.0
    for _ in range(3):
        allow.take(taken("alice", 0.5, 3))
    with pytest.raises(TooMany):
        allow.take(taken("alice", 0.5, 3))


def test_the_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 10)
    allow = Limits(lambda: 0.0)
    for number in range(100):
        allow.take(taken(number, 1, 1))
    assert len(allow._buckets) == 10


def test_what_several_processes_let_pass_is_no_more_than_one_would_in_the_end() -> None:
    now = [0.0]
    everywhere = [Limits(lambda: now[0]) for _ in range(3)]
    passed = 0
    for step in range(6_000):
        now[0] = step / 100
        for allow in everywhere:
            with contextlib.suppress(TooMany):
                allow.take(taken("reads", 20, 100))
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
            allow.take(taken(number, 20, 100))
    assert [(spend.key, spend.tokens) for spend in allow.spent()] == [((2,), 9), ((3,), 6)]
    assert [(spend.key, spend.tokens) for spend in allow.spent()] == [((1,), 3)]
    assert allow.spent() == []


def test_two_limits_are_taken_together_or_not_at_all() -> None:
    now = [0.0]
    allow = Limits(lambda: now[0])
    narrow, wide = taken("narrow", 0.1, 1), taken("wide", 10, 2)
    allow.take(narrow, wide)
    with pytest.raises(TooMany) as refusal:
        allow.take(wide, narrow)
    assert refusal.value.retry_after == 10, "the one that takes longest decides"
    allow.take(wide)
    with pytest.raises(TooMany):
        allow.take(wide)


def test_a_refused_take_of_many_tokens_takes_none() -> None:
    allow = Limits(lambda: 0.0)
    allow.take(taken("alice", 1, 10, 7))
    with pytest.raises(TooMany) as refusal:
        allow.take(taken("alice", 1, 10, 7))
    assert refusal.value.retry_after == 4
    allow.take(taken("alice", 1, 10, 3))


def test_what_did_not_happen_is_given_back_here_and_everywhere() -> None:
    here, there = Limits(lambda: 0.0), Limits(lambda: 0.0)
    contact = taken("alice", 0.01, 3)
    for _ in range(3):
        here.take(contact)
    there.charge(here.spent())
    here.give_back(contact, contact)
    there.charge(here.spent())
    for allow in (here, there):
        allow.take(contact)
        allow.take(contact)
        with pytest.raises(TooMany):
            allow.take(contact)


def test_a_limit_refuses_in_its_own_words() -> None:
    class Letters(TooMany):
        reason = "quota.letters"

    letters = Limit("letters", 1, 3_600, "A letter.", "account", refusal=Letters)
    allow = Limits(lambda: 0.0)
    allow.take(*takes((letters,), org=1, person=None, address="10.0.0.1", on="alice@mail.test"))
    with pytest.raises(Letters):
        allow.take(*takes((letters,), org=1, person=7, address="10.0.0.2", on="alice@mail.test"))
    allow.take(*takes((letters,), org=1, person=None, address="10.0.0.1", on="bob@mail.test"))
    allow.take(*takes((letters,), org=2, person=None, address="10.0.0.1", on="alice@mail.test"))
    assert "alice" not in repr(allow.spent()), "no address of anybody goes to other processes"


def test_whose_bucket_it_is_follows_from_the_scope() -> None:
    whole = Limit("whole", 1, 1, "Everything.", "organisation")
    asked = (WRITES, SIGN_INS, STRANGERS, whole)
    keys = [take.key for take in takes(asked, org=3, person=9, address="::ffff:10.0.0.1")]
    assert keys == [("writes", 3, 9), ("sign_ins", 3, "10.0.0.1"), ("strangers", None, "10.0.0.1"), ("whole", 3)]
    nobody = takes(asked, org=3, person=None, address="10.0.0.1")
    assert [take.limit.name for take in nobody] == ["sign_ins", "strangers", "whole"]


def test_off_is_off() -> None:
    allow = Limits(lambda: 0.0, on=False)
    for _ in range(1_000):
        allow.take(taken("alice", 0.001, 1))


def test_an_ipv6_network_counts_as_one_address() -> None:
    assert network("2001:db8:1:2:3::1") == network("2001:db8:1:2:ffff::9")
    assert network("10.0.0.1") != network("10.0.0.2")
    assert network("2001:db8::1") == network("2001:db8::2") == network("2001:db8:0:0:ffff::") == "2001:db8::"
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
    assert network("fe80::1%eth0") == "fe80::"
    assert network("::ffff:10.0.0.1") == network("10.0.0.1") != network("::ffff:10.0.0.2")
