"""Use cases of organisations; the command speaks them, members never do."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from plaza.domains.organisations import queries
from plaza.domains.organisations.queries import HeldKey, KeyRow, OrgRow, SignerRow, Summary
from plaza.domains.organisations.signers import HOST, Role
from plaza.kernel.context import Organisation, OrgSettings
from plaza.kernel.errors import Conflict, Forbidden, Invalid, Missing
from plaza.kernel.sql import Database, Statement

Row = TypeVar("Row", bound=OrgRow)
SECRET_BYTES = 32
"""Random bytes of a signing key: as many as HS256 has bits of strength."""
DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 1_000
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_UNPRINTABLE = re.compile(r"[\s\x00-\x20\x7f]")


class Entered(Organisation, frozen=True):
    """An organisation as whoever comes in finds it: with the keys that may verify its tokens."""

    keys: Sequence[KeyRow]


class NoSuchOrganisation(Missing):
    """Nobody is called that here."""

    reason = "org.not_found"
    message = "There is no such organisation."


class NoSuchSigner(Missing):
    """The organisation has never trusted a signer of this name."""

    reason = "signer.not_found"
    message = "There is no such signer: name host, or the address of a key set that the organisation trusts."


class OrganisationExists(Conflict):
    """The name is taken."""

    reason = "org.exists"
    message = "An organisation of this name exists."


class OrganisationSuspended(Forbidden):
    """Nobody of the organisation comes in at present."""

    reason = "org.suspended"
    message = "This organisation is suspended."


async def create(db: Database, slug: str, name: str | None, now: datetime) -> Organisation:
    """Makes an organisation with a signing key of its own."""
    if _SLUG.fullmatch(slug) is None:
        raise Invalid.field("org", "must be lower-case letters, digits, - and _, at most 63")
    row = await db.maybe(queries.CREATE, slug=slug, name=name or slug, settings={}, now=now)
    if row is None:
        raise OrganisationExists
    await _add_secret(db, row.id, now)
    return organisation(row)


async def find(db: Database, slug: str) -> Organisation:
    """The organisation of a name, also a suspended one."""
    return organisation(await _row(db, queries.FIND, slug))


async def enter(db: Database, slug: str) -> Entered:
    """The organisation that the header `orgid` names, unless it is suspended."""
    row = await _row(db, queries.ENTER, slug)
    if row.suspended:
        raise OrganisationSuspended
    found = organisation(row)
    return Entered(found.id, found.slug, found.name, found.settings, [KeyRow(*key) for key in row.keys])


async def _row(db: Database, statement: Statement[Row], slug: str) -> Row:
    if _SLUG.fullmatch(slug) is None:
        raise NoSuchOrganisation
    row = await db.maybe(statement, slug=slug)
    if row is None:
        raise NoSuchOrganisation
    return row


async def suspend(db: Database, org: Organisation, now: datetime, *, lift: bool = False) -> None:
    """Lets nobody of an organisation in, or lets them in again; what is so already stays so."""
    if lift:
        await db.maybe(queries.LIFT, org=org.id)
    else:
        await db.maybe(queries.SUSPEND, org=org.id, now=now)


async def suspended(db: Database, orgs: Collection[int]) -> Sequence[int]:
    """Those of several organisations that are suspended."""
    return await db.all(queries.SUSPENDED, orgs=sorted(orgs))


async def keys(db: Database, org: Organisation) -> Sequence[KeyRow]:
    """The keys that may verify its tokens, the newest first."""
    return await db.all(queries.KEYS, org=org.id)


async def held_keys(db: Database, orgs: Collection[int]) -> Sequence[HeldKey]:
    """The keys of several organisations that are not retired."""
    return await db.all(queries.HELD_KEYS, orgs=sorted(orgs))


async def settle(db: Database, org: Organisation, changes: Mapping[str, object]) -> Organisation:
    """Changes settings, named as on the wire (`dmPolicy`); an unknown name or value is `Invalid`."""
    try:
        msgspec.convert(msgspec.to_builtins(org.settings) | dict(changes), OrgSettings)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error
    return organisation(await db.one(queries.SET, org=org.id, changes=dict(changes)))


async def rotate_key(db: Database, org: Organisation, now: datetime) -> str:
    """Makes a new signing key and retires the others: tokens signed with them are refused from now on."""
    kid = await _add_secret(db, org.id, now)
    await db.all(queries.RETIRE_KEYS, org=org.id, keep=kid, origin=None, now=now)
    return kid


async def trust_key_set(
    db: Database,
    org: Organisation,
    url: str,
    now: datetime,
    *,
    roles: Sequence[Role] = ("customer",),
    claims: bool = False,
) -> str:
    """Accepts tokens signed by the keys that `url` publishes (JWKS); the signing key of our own stays.

    They may give these roles, and with `claims` claim people who were only named by others so far.
    """
    return await db.one(
        queries.TRUST,
        org=org.id,
        kid=f"jwks-{secrets.token_hex(4)}",
        jwks_url=key_set_url(url),
        roles=sorted(set(roles)),
        claims=claims,
        origin=None,
        now=now,
    )


def key_set_url(url: str) -> str:
    """An address of a key set as it is stored and compared: one spelling for one address."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise Invalid.field("url", "is not an address") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not parts.hostname:
        raise Invalid.field("url", "must be http or https")
    if parts.username is not None or parts.password is not None or _UNPRINTABLE.search(url.strip()):
        raise Invalid.field("url", "must not hold a name, a password or white space")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    whole = urlunsplit((scheme, place, parts.path or "/", parts.query, ""))
    if len(whole) > LONGEST_URL:
        raise Invalid.field("url", f"is longer than {LONGEST_URL} characters")
    return whole


async def key_set_signers(db: Database, org: Organisation) -> Sequence[SignerRow]:
    """The key sets that an organisation trusts, and those that it did once."""
    return await db.all(queries.SIGNERS, org=org.id)


async def signer_named(db: Database, org: Organisation, name: str) -> str:
    """The signer of a name: `host`, or the address of a key set that the organisation trusts or did once."""
    if name == HOST:
        return HOST
    for row in await key_set_signers(db, org):
        if name in (row.signer, row.jwks_url) or ("//" in name and key_set_url(name) == row.jwks_url):
            return row.signer
    raise NoSuchSigner


async def all_of_them(db: Database) -> Sequence[Summary]:
    """Every organisation of this server."""
    return await db.all(queries.LIST)


def organisation(row: OrgRow) -> Organisation:
    """The organisation of a row."""
    return Organisation(row.id, row.slug, row.name, msgspec.convert(row.settings, OrgSettings))


async def _add_secret(db: Database, org: int, now: datetime) -> str:
    return await db.one(
        queries.ADD_KEY,
        org=org,
        kid=secrets.token_hex(4),
        secret=secrets.token_bytes(SECRET_BYTES),
        now=now,
    )
