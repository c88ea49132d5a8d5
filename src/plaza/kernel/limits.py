"""Limits: how much of something one subject may do in a time; declared with the route, event or use case they bound.

A limit is a token bucket: `amount` tokens come in `seconds`, and at most `burst` of them wait. Which bucket a request
takes from follows from the limit's scope. `entry/limits.py` keeps the buckets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal, NamedTuple, Protocol

from plaza.kernel.errors import TooMany

Scope = Literal["person", "account", "token", "network", "organisation", "server"]
"""Who shares a bucket: a person (or the session of an account without one); what a use case names (`on=`), such as an
account; whoever presents a token; the clients of one network address in an organisation; all of an organisation; one
network address, in whichever organisation.
"""
Key = tuple[str | int | None, ...]
MAPPED = bytes(10) + b"\xff\xff"
"""How the IPv6 form of an IPv4 address begins (RFC 4291, 2.5.5.2): that of a peer where the server listens on `::`."""


class Limit(NamedTuple):
    """A bucket of `burst` tokens (`amount` where it is not given) that gains `amount` of them in `seconds`."""

    name: str
    """Stable and unique, `domain.things`; buckets and the documentation go by it."""
    amount: int
    seconds: float
    about: str
    """What costs a token, as the documentation says it."""
    scope: Scope = "person"
    burst: int | None = None
    refusal: type[TooMany] = TooMany
    shared: bool = True
    """Whether all processes have one bucket; not where to publish each use would cost more than what it bounds."""
    by_use_case: bool = False
    """The use case takes the tokens (`ctx.spend`) for what it does; otherwise the entry takes one for each request."""
    of_bytes: bool = False
    """The entry takes as many tokens as the body of a request, or the payload of an event, has bytes."""
    setting: str | None = None
    """The setting that decides the amount."""

    @property
    def capacity(self) -> int:
        """Tokens of a full bucket."""
        return self.amount if self.burst is None else self.burst

    @property
    def each_second(self) -> float:
        """Tokens that a bucket gains in a second."""
        return self.amount / self.seconds


class Take(NamedTuple):
    """Tokens of one bucket."""

    key: Key
    limit: Limit
    amount: int = 1


class Reservation:
    """A token taken for what may happen; `refusal` is set where there was none."""

    refusal: TooMany | None = None
    kept = False

    @property
    def granted(self) -> bool:
        """Whether it may happen."""
        return self.refusal is None

    def keep(self) -> None:
        """It happened."""
        self.kept = True


class Buckets(Protocol):
    """The token buckets of this process."""

    on: bool
    """Whether anything is limited at all."""

    def take(self, *takes: Take) -> None:
        """Takes all of them, or none: the refusal of the limit that takes longest to fill again."""

    def give_back(self, *takes: Take) -> None:
        """Puts tokens back that were taken for what then did not happen."""


class TooManyApproaches(TooMany):
    """The caller has followed, or asked for a connection, as often as one may in an hour."""

    reason = "quota.approaches"
    message = "You have followed or asked many people for a connection; wait before you go on."


READS = Limit("reads", 20, 1, "Every reading request.", burst=100)
WRITES = Limit("writes", 10, 1, "Every writing request.", burst=40)
EVENTS = Limit("events", 20, 1, "Every event that a socket emits.", burst=60)
SIGN_INS = Limit(
    "sign_ins",
    12,
    60,
    "Every request with a password or a code, and every writing one without a token.",
    "network",
    burst=20,
)
STRANGERS = Limit(
    "strangers", 20, 1, "Every request and every handshake, before it is known who asks.", "server", burst=200
)
CONNECTS = Limit("connects", 30, 60, "A socket that comes in; each process counts for itself.", shared=False)
EXPIRED_TOKENS = Limit(
    "expired_tokens",
    1,
    60,
    "A socket that comes with an expired token; without a token of the limit it is refused for good.",
    "token",
    burst=10,
)
APPROACHES = Limit(
    "approaches",
    60,
    3_600,
    "A new follow or a new request for a connection; both together.",
    refusal=TooManyApproaches,
    by_use_case=True,
)


class TooManyBytes(TooMany):
    """The caller has written as many bytes as a person may in a day."""

    reason = "quota.person_bytes"
    message = "You have written as much as one person may in a day; wait before you write more."


class OrganisationFull(TooMany):
    """The organisation has written as many bytes as it may in a day."""

    reason = "quota.organisation_bytes"
    message = "This organisation has written as much as it may in a day; wait before you write more."


PERSON_BYTES = Limit(
    "bytes.person",
    100_000_000,
    86_400,
    "Bytes of the bodies of writing requests and the payloads of writing events, without white space between values.",
    refusal=TooManyBytes,
    of_bytes=True,
    setting="person_bytes_a_day",
)
ORGANISATION_BYTES = Limit(
    "bytes.organisation",
    10_000_000_000,
    86_400,
    "The same bytes, of everybody.",
    "organisation",
    refusal=OrganisationFull,
    of_bytes=True,
    setting="organisation_bytes_a_day",
)
BYTES = (PERSON_BYTES, ORGANISATION_BYTES)


def takes(
    limits: Iterable[Limit], *, org: int, person: int | None, address: str, on: int | str | None = None, amount: int = 1
) -> list[Take]:
    """What a request takes from the buckets of its limits; those of persons pass over a request of nobody."""
    return [
        Take((limit.name, org, person), limit, amount)
        if limit.scope == "person"
        else Take(_key(limit, org, address, on), limit, amount)
        for limit in limits
        if limit.scope != "person" or person is not None
    ]


def _key(limit: Limit, org: int, address: str, on: int | str | None) -> Key:
    if limit.scope == "account":
        if on is None:
            raise TypeError(f"{limit.name}: say whose bucket it is (`on=`)")
        return (limit.name, org, on if isinstance(on, int) else _digest(on))
    if limit.scope == "organisation":
        return (limit.name, org)
    return (limit.name, None if limit.scope == "server" else org, network(address))


def _digest(text: str) -> int:
    """A text as a number: keys are sent to other processes, where addresses of people have no business."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, also one mapped into IPv6, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    packed = inet_pton(AF_INET6, address.partition("%")[0])
    if packed.startswith(MAPPED):
        return inet_ntop(AF_INET, packed[len(MAPPED) :])
    return inet_ntop(AF_INET6, packed[:8] + bytes(8))
