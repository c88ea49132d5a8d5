"""How an address changes: by a token that names the same subject with a new one, or by staff (decisions/0011)."""

from __future__ import annotations

from datetime import datetime

import structlog

from plaza.domains.people import address_queries as queries
from plaza.domains.people.address_queries import Moved
from plaza.domains.people.queries import PersonRow
from plaza.kernel.context import Organisation
from plaza.kernel.errors import Conflict, Forbidden
from plaza.kernel.sql import Database, Duplicate

log = structlog.get_logger("plaza.people")


class AddressTaken(Forbidden):
    """The address belongs to somebody else of the organisation."""

    reason = "person.address_taken"
    message = "This e-mail address belongs to another person of the organisation."


class AddressWaiting(Conflict):
    """Others have written to the new address before anybody used it: two people's threads cannot be made one."""

    reason = "person.address_waiting"
    message = "Others have written to this address already; it belongs to whoever signs in with it first."


async def follow(
    db: Database,
    org: Organisation,
    person: PersonRow,
    email: str,
    *,
    issued: datetime | None,
    now: datetime,
    change: int,
) -> PersonRow:
    """The person at the address that a token says; as they were, where the token is an older one or says no time.

    Where something waits at the address for its first owner, they go on under the old one: whoever writes to an
    address must not be able to lock out the person who is about to have it.
    """
    if issued is None:
        return person
    moved = await _move(
        db, org=org.id, id=change, person=person.id, held=None, email=email, issued=issued, by="token", now=now
    )
    if moved is None:
        return person
    if moved.verdict == "taken":
        raise AddressTaken
    if moved.verdict == "waiting":
        log.warning("person.address_waiting", org=org.id, person=person.id)
    return moved.person


async def readdress(db: Database, org: Organisation, old: str, new: str, *, now: datetime, change: int) -> Moved | None:
    """What becomes of a change of address by staff; None where nobody has the old one."""
    moved = await _move(db, org=org.id, id=change, person=None, held=old, email=new, issued=now, by="staff", now=now)
    if moved is not None and moved.verdict == "taken":
        raise AddressTaken
    if moved is not None and moved.verdict == "waiting":
        raise AddressWaiting
    return moved


async def _move(db: Database, **values: object) -> Moved | None:
    try:
        return await db.maybe(queries.MOVE, origin=None, **values)
    except Duplicate:
        # Somebody came to the new address at the same moment: now they are there to be found.
        return await db.maybe(queries.MOVE, origin=None, **values)
