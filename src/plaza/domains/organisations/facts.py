"""What organisations announce."""

from __future__ import annotations

from typing import ClassVar

from plaza.kernel.outbox import Fact


class OrganisationCreated(Fact):
    """There is a new organisation."""

    kind: ClassVar[str] = "organisation.created"


class OrganisationSuspended(Fact):
    """Nobody of the organisation may come in any more: its tokens and sockets end, on every process."""

    kind: ClassVar[str] = "organisation.suspended"


class KeyRetired(Fact):
    """A key of the organisation signs nothing any more: its tokens and their sockets end, on every process."""

    kind: ClassVar[str] = "key.retired"
    key: str
