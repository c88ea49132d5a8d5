"""What earns badges at once, and what gives an organisation its first; heard in the relay's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plaza.domains.badges.evaluation import begin, evaluate
from plaza.kernel.outbox import Announced
from plaza.kernel.sql import Database


class Listeners:
    """The durable effects; `new_id` numbers what they write."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id

    async def organisation_created(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """The badges that a new organisation begins with."""
        await begin(db, {item.org for item in announced}, announced[-1].at, self._new_id)
        return ()

    async def followed(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Whoever is followed may have enough followers now."""
        people = {(item.org, item.fact.followed) for item in announced}
        await evaluate(db, people, announced[-1].at, self._new_id)
        return ()

    async def connected(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Both may have enough connections now."""
        people = {(item.org, person) for item in announced for person in (item.fact.requester, item.fact.target)}
        await evaluate(db, people, announced[-1].at, self._new_id)
        return ()
