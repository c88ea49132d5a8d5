"""Where a client is, of a peer and what it says: pure, for peers that no test can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from plaza.entry.proxies import LONGEST_CHAIN, Proxies
from plaza.kernel.limits import network

TRUSTED = Proxies(["10.0.0.0/8", "::1", "fe80::/10"])


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::ffff:198.51.100.1", "203.0.113.7", "::ffff:198.51.100.1"),
        ("::1", "[2001:DB8::0:7]:4711", "2001:db8::7"),
        ("fe80::1%eth0", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("10.0.0.1", ",".join(["10.9.9.9"] * 500 + ["10.0.0.8"] * LONGEST_CHAIN), "10.0.0.8"),
        ("10.0.0.1", "203.0.113.7, " + "9" * 60_000, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "203.0.113.7", ""),
    ],
)
def test_the_client_is_the_first_of_the_way_who_is_not_trusted(peer: str, said: str, client: str) -> None:
    assert TRUSTED.client(peer, {"x-forwarded-for": said}) == client
    assert Proxies([]).client(peer, {"x-forwarded-for": said}) == peer


@given(some.text(max_size=80))
@settings(deadline=None, database=None)
def test_whatever_is_said_an_address_comes_of_it_that_can_be_counted(said: str) -> None:
    assert network(TRUSTED.client("10.0.0.1", {"x-forwarded-for": said}))
    before = f"{said}, 203.0.113.7"
    assert TRUSTED.client("10.0.0.1", {"x-forwarded-for": before}) == "203.0.113.7", "nothing in front of it matters"
