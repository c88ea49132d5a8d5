"""The context of one request or event: which organisation, who, when, and the store to speak to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, Protocol

import msgspec

from plaza.kernel.errors import TooMany, Unauthenticated
from plaza.kernel.limits import Buckets, Limit, Reservation, Take, takes
from plaza.kernel.sql import Database


class OrgSettings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What an organisation decides for its members (contract, section 4); every default is safe to run."""

    dm_policy: Literal["everyone", "connections"] = "everyone"
    public_reads: bool = True
    """Whether what is public may be read without a token."""
    mask_emails: bool = False
    """Whether readers without a token see ids in place of addresses (contract, decision 15)."""


class Organisation(msgspec.Struct, frozen=True):
    """A tenant: `id` is the number in every key of the store, `slug` the name in the header `orgid`."""

    id: int
    slug: str
    name: str
    settings: OrgSettings


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who acts: a person of the organisation, with what their token says and stands on."""

    id: int
    email: str | None
    role: Literal["customer", "staff", "admin"] = "customer"
    """As the token's signer gave it."""
    session: int | None = None
    key: str = ""
    """The key that signed the token: our name for it, with the signer's own behind a slash where it publishes keys."""
    signer: str = ""
    """Whose subject the person is: a token of another signer never means them."""

    @property
    def is_staff(self) -> bool:
        """Whether the token's signer says that they work for the organisation."""
        return self.role != "customer"


class Teller(Protocol):
    """Says something to the sockets of a person at once, on every process; nothing is kept."""

    def __call__(self, org: int, person: int, event: str, payload: object) -> None: ...


class Forgetter(Protocol):
    """Takes back the remembered tokens of a person or a session, and cuts their sockets, on every process."""

    def __call__(self, org: int, *, person: int | None = None, session: int | None = None) -> None: ...


class Slot(Protocol):
    """A place among the requests that may be in the store at once."""

    def left(self) -> AbstractAsyncContextManager[None]:
        """Gives the place to others while it is entered; waits for one at the end."""


@dataclass(slots=True)
class Context:
    """What every use case takes first."""

    org: Organisation
    person: Principal | None
    db: Database
    now: datetime
    new_id: Callable[[], int]
    teller: Teller
    forgetter: Forgetter
    buckets: Buckets
    request_id: str = ""
    origin: str | None = None
    """The socket that this came from, so that its own echo can leave it out."""
    address: str = ""
    """The network address of the client, for limits; never stored."""
    if_match: str | None = None
    """The header `If-Match` of a write: the version that the client means to change."""
    slot: Slot | None = None
    """The slot that the request has; a use case that waits for anything but the store leaves it meanwhile."""

    _effects: list[Callable[[], None]] | None = None
    """What is to be done after the commit of the transaction that is open; None outside of one."""

    def tell(self, org: int, person: int, event: str, payload: object) -> None:
        """Sends something of the moment to a person's sockets, after the commit."""
        self.after_commit(partial(self.teller, org, person, event, payload))

    def forget(self, org: int, *, person: int | None = None, session: int | None = None) -> None:
        """Takes back remembered tokens and cuts their sockets, after the commit."""
        self.after_commit(partial(self.forgetter, org, person=person, session=session))

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Runs what leaves the process once what was written is committed: at once outside of a transaction.

        Never runs it when the transaction is taken back.
        """
        if self._effects is None:
            effect()
        else:
            self._effects.append(effect)

    def spend(self, *limits: Limit, amount: int = 1, on: int | str | None = None) -> None:
        """Takes so many tokens of every limit, or none: the limit's refusal (429), with the seconds to wait.

        `on` names whose bucket it is where the limit's scope is `account`: an id, or an address.
        """
        self.buckets.take(*self._takes(limits, amount=amount, on=on))

    def _takes(self, limits: Iterable[Limit], *, amount: int = 1, on: int | str | None = None) -> list[Take]:
        who = None if self.person is None else self.person.id or self.person.session
        return takes(limits, org=self.org.id, person=who, address=self.address, on=on, amount=amount)

    @asynccontextmanager
    async def transaction(self, opening: AbstractAsyncContextManager[Database] | None = None) -> AsyncIterator[None]:
        """Keeps what is written inside together, or takes it back when an exception leaves it.

        `opening` is a transaction to use instead of a plain one. What leaves the process runs after the commit.
        """
        outer, outer_effects = self.db, self._effects
        effects = self._effects = []
        try:
            async with opening or outer.transaction() as self.db:
                yield
        finally:
            self.db, self._effects = outer, outer_effects
        for effect in effects:
            self.after_commit(effect)

    @contextmanager
    def reserve(self, limit: Limit) -> Iterator[Reservation]:
        """Takes a token for what may happen inside, and gives it back unless it is kept; never refuses by itself."""
        reservation = Reservation()
        try:
            self.spend(limit)
        except TooMany as refusal:
            reservation.refusal = refusal
        try:
            yield reservation
        finally:
            if reservation.granted and not reservation.kept:
                self.buckets.give_back(*self._takes((limit,)))

    def means(self, version: int) -> bool:
        """Whether `If-Match` names the version: `3`, `"3"`, several of them, or `*` for any."""
        named = [tag.strip().removeprefix("W/").strip('"') for tag in (self.if_match or "*").split(",")]
        return "*" in named or str(version) in named

    @property
    def me(self) -> Principal:
        """The person who acts; `Unauthenticated` where nobody is signed in."""
        if self.person is None:
            raise Unauthenticated
        return self.person

    @property
    def viewer(self) -> dict[str, Any]:
        """What a statement binds that reads for whoever acts."""
        return {"org": self.org.id, "me": self.me.id}

    @property
    def writer(self) -> dict[str, Any]:
        """What a statement binds that writes for whoever acts, and announces it."""
        return {"org": self.org.id, "me": self.me.id, "origin": self.origin, "now": self.now}
