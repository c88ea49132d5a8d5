"""Whose subject a person is: a token means somebody of its own signer only (contract, decision 36; decisions/0021)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from plaza.domains.people import signing_queries as queries
from plaza.domains.people.signing_queries import Signed
from plaza.kernel.context import Organisation
from plaza.kernel.errors import Forbidden
from plaza.kernel.sql import Database


class SignerUnknown(Forbidden):
    """Nobody can tell which signer the person's subject is of, and more than one may sign here."""

    reason = "person.signer_unknown"
    message = "It is not known yet which signer vouches for this person; the organisation's staff must say so first."


async def settle(db: Database, org: Organisation, subject: str, email: str) -> bool:
    """Stores the signer of people of this subject or address who have none, by what the trusts tell; whether it did.

    `SignerUnknown` where that cannot be told: the operator says it by `plaza org signers`.
    """
    found = await db.all(queries.SETTLE, org=org.id, subject=subject, email=email)
    if any(row.signer is None for row in found):
        raise SignerUnknown
    return bool(found)


async def count(db: Database, org: Organisation) -> Sequence[Signed]:
    """How many people came by each signer."""
    return await db.all(queries.COUNT, org=org.id)


async def assign(db: Database, org: Organisation, former: str | None, signer: str, now: datetime) -> int:
    """Makes people of one signer, or of an unknown one, those of another; how many.

    Whoever's subject somebody else has at the new signer stays, as built-in accounts do.
    """
    return await db.one(queries.ASSIGN, org=org.id, former=former, signer=signer, origin=None, now=now)
