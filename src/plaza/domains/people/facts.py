"""What people announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class PersonSuspended(Fact):
    """Staff have suspended a person: their tokens and sockets end, on every process."""

    kind: ClassVar[str] = "person.suspended"
    person: int


class PersonReassigned(Fact):
    """A person's subject is another signer's: what the former one signed ends, on every process."""

    kind: ClassVar[str] = "person.reassigned"
    person: int


class AddressChanged(Fact):
    """A person has another address: what is remembered of their tokens is asked anew, their sockets stay."""

    kind: ClassVar[str] = "person.address_changed"
    change: int
    person: int


class PersonUnlisted(Fact):
    """A person has left the directory: for strangers they are offline from now on."""

    kind: ClassVar[str] = "person.unlisted"
    person: int
