"""The people of a fault test: an organisation of its own, made in the store, and tokens signed as its signer would."""

from __future__ import annotations

from typing import NamedTuple

from plaza.domains.organisations import service as organisations
from plaza.domains.organisations import tokens
from plaza.domains.organisations.queries import KeyRow
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Organisation
from plaza.store.postgres import Postgres


class Person(NamedTuple):
    """Somebody with a token."""

    email: str
    org: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What their client sends."""
        return {"orgid": self.org, "authorization": f"Bearer {self.token}"}

    def thread_with(self, peer: Person) -> str:
        """The name of a conversation of two in this test."""
        return " & ".join(sorted((self.email, peer.email)))


class Community(NamedTuple):
    """An organisation that can make people."""

    org: Organisation
    key: KeyRow

    def person(self, name: str, *, seconds: int = 3600) -> Person:
        """Somebody whose token lasts so long."""
        email = f"{name}@faults.test"
        token = tokens.mint(self.org, self.key, subject=email, email=email, now=system_clock(), seconds=seconds)
        return Person(email, self.org.slug, token)

    def people(self, *names: str) -> list[Person]:
        """Several people."""
        return [self.person(name) for name in names]

    @classmethod
    async def of(cls, database_url: str, slug: str) -> Community:
        """One that is there, with the newest of its keys."""
        store = Postgres(database_url, size=2)
        await store.open()
        try:
            org = await organisations.find(store, slug)
            return cls(org, (await organisations.keys(store, org))[0])
        finally:
            await store.close()


async def community(database_url: str, slug: str = "faults") -> Community:
    """Makes the organisation in a store whose server has migrated it."""
    store = Postgres(database_url, size=2)
    await store.open()
    try:
        org = await organisations.create(store, slug, None, system_clock())
        return Community(org, (await organisations.keys(store, org))[0])
    finally:
        await store.close()
