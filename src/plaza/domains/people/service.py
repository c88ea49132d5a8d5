"""Use cases of people: how they come in, how others name them before they do, and how staff end it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from plaza.domains.organisations.signers import HOST
from plaza.domains.people import addressing, queries, signing
from plaza.domains.people.addressing import AddressTaken
from plaza.domains.people.finding import entry
from plaza.domains.people.queries import KnownRow, PersonRow
from plaza.kernel import addresses
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context, Organisation
from plaza.kernel.errors import Forbidden, Missing
from plaza.kernel.sql import Database, Duplicate


class NoSuchPerson(Missing):
    """No person of this organisation, or one whom the caller may not see."""

    reason = "person.not_found"
    message = "There is no such person."


class Suspended(Forbidden):
    """Staff have suspended this person."""

    reason = "person.suspended"
    message = "This account is suspended."


class Verdict(Protocol):
    """What became of a step towards somebody: `nobody` where there is no such person for the caller."""

    @property
    def verdict(self) -> str: ...


V = TypeVar("V", bound=Verdict)


class Arrival(NamedTuple):
    """Who a verified token says is coming, when it was issued, where it says so, and what its signer may."""

    subject: str
    email: str
    name: str | None = None
    picture: str | None = None
    issued: datetime | None = None
    signer: str = HOST
    claims: bool = True
    """Whether the signer may claim somebody who was only named by others so far."""


Coming = tuple[int, Arrival]
"""(organisation, whom its token says is coming)."""


async def known(db: Database, coming: Sequence[Coming]) -> Sequence[KnownRow | None]:
    """Whom each of several verified tokens means, None for somebody who comes for the first time."""
    found: list[KnownRow | None] = [None] * len(coming)
    for row in await db.all(
        queries.KNOWN,
        orgs=[org for org, _ in coming],
        signers=[one.signer for _, one in coming],
        subjects=[one.subject for _, one in coming],
        addresses=[one.subject if "@" in one.subject else None for _, one in coming],
        issued=[one.issued for _, one in coming],
    ):
        found[row.place] = row
    return found


async def arrive(
    db: Database,
    org: Organisation,
    coming: Arrival,
    known: KnownRow | None,
    *,
    now: datetime,
    new_id: Callable[[], int],
) -> PersonRow:
    """The person of a verified token, made just in time; an unclaimed person of the address is claimed by it.

    A token with another address than the person's changes it, when it was issued after the one that said the other.
    """
    if known is not None and known.signer is None:
        known = (await _settled(db, org, coming))[0]
    person: PersonRow | None = known
    if known is None:
        person = await _provision(db, org, coming, id=new_id(), now=now)
    elif known.email != coming.email and known.status == "active" and not known.formerly:
        person = await addressing.follow(db, org, known, coming.email, issued=coming.issued, now=now, change=new_id())
    if person is None:
        raise AddressTaken
    if person.status != "active":
        raise Suspended
    return person


async def _provision(db: Database, org: Organisation, coming: Arrival, **values: object) -> PersonRow | None:
    """The person of a subject that nobody has yet; None where the address is not theirs to have."""
    values |= _newcomer(org, coming)
    person = await _arrived(db, values)
    if person is None:
        # Either the subject came at this moment under another address, or somebody has the address: perhaps the same
        # one, in a row of the version before.
        person, settled = await _settled(db, org, coming)
        if person is None and settled:
            person = await _arrived(db, values)
    return person


async def _arrived(db: Database, values: dict[str, Any]) -> PersonRow | None:
    try:
        return await db.maybe(queries.ARRIVE, **values)
    except Duplicate:
        return None


async def _settled(db: Database, org: Organisation, coming: Arrival) -> tuple[KnownRow | None, bool]:
    """Whom a token means after the signers of rows in its way were settled, and whether there were any."""
    settled = await signing.settle(db, org, coming.subject, coming.email)
    (found,) = await known(db, [(org.id, coming)])
    return found, settled


def _newcomer(org: Organisation, coming: Arrival) -> dict[str, Any]:
    # A host that has no name for somebody often sends the address, which is not shown where addresses are masked.
    name = (coming.name or "").strip()
    first, _, last = ("" if addresses.is_address(name) else name).partition(" ")
    names = {"first_name": first[:100], "last_name": last.strip()[:100]}
    listed = entry(org.id, names.values())
    return {
        "org": org.id,
        "email": coming.email,
        "signer": coming.signer,
        "claims": coming.claims,
        "subject": coming.subject,
        "image": coming.picture,
        "issued": coming.issued,
        "words": listed.words,
        "keys": listed.keys,
        **names,
    }


async def invite(ctx: Context, email: str) -> int:
    """The id of the person at an address, made unclaimed when nobody has used it yet (contract, decision 16)."""
    return await ctx.db.one(queries.INVITE, org=ctx.org.id, id=ctx.new_id(), email=email, now=ctx.now)


def naming(ctx: Context, ref: PersonRef, field: str) -> dict[str, Any]:
    """What `fragments.named` binds for a reference in `field`."""
    email, person = addresses.split(ref, field)
    return {"email": email, "person": person, "staff": ctx.me.is_staff}


async def meet(ctx: Context, ref: PersonRef, field: str, step: Callable[..., Awaitable[V]]) -> V:
    """What comes of a step towards whom `ref` names; its statement binds `fragments.met`.

    An address at which the caller sees nobody is invited, whether somebody uses it or not: neither the answer nor its
    time tells which.
    """
    names = naming(ctx, ref, field)
    staff = names.pop("staff")
    done = await step(**names, met=None)
    if done.verdict == "nobody":
        async with ctx.transaction():  # whoever may not take the step has made nobody
            known = await ctx.db.one(queries.MEET, **ctx.viewer, **names, staff=staff, id=ctx.new_id(), now=ctx.now)
            done = await step(email=None, person=None, met=known)
    return done


async def suspend(db: Database, org: Organisation, email: str, now: datetime, *, lift: bool = False) -> int:
    """Suspends a person, or lifts the suspension; their id."""
    status = "active" if lift else "suspended"
    person = await db.maybe(queries.SUSPEND, org=org.id, email=email, status=status, origin=None, now=now)
    if person is None:
        raise NoSuchPerson
    return person


async def readdress(db: Database, org: Organisation, old: str, new: str, *, now: datetime, change: int) -> int:
    """Staff give a person another address, and nothing else; their id."""
    moved = await addressing.readdress(db, org, old, new, now=now, change=change)
    if moved is None:
        raise NoSuchPerson
    return moved.person.id
