"""`plaza org trust`, `plaza org signers`: whose tokens an organisation accepts, and whose people are whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import click
import msgspec

from plaza.adapters.jwks import KeySetError, KeySets, UnreachableError
from plaza.cli.common import relayed, run, say, settings, show, store, stored
from plaza.domains.organisations import KeyRetired
from plaza.domains.organisations import service as organisations
from plaza.domains.organisations.signers import HOST, PLAZA, ROLES, Role
from plaza.domains.people import PersonReassigned, signing
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Organisation
from plaza.settings import Settings
from plaza.store.postgres import Postgres
from plaza.store.trouble import Trouble

UNKNOWN = "unknown"


class Line(msgspec.Struct, frozen=True):
    """One signer of an organisation: how many people are its own, and what its tokens may do."""

    signer: str
    people: int
    roles: Sequence[str]
    claims: bool
    trusted: bool


@click.command()
@click.argument("name")
@click.argument("jwks_url")
@click.option("--roles", default="customer", show_default=True, help="Roles that its tokens may give, with commas.")
@click.option("--claims", is_flag=True, help="Its people get what was sent to their addresses before they came.")
@stored
def trust(name: str, jwks_url: str, roles: str, claims: bool, **flags: object) -> None:
    """Accept tokens signed by the keys that an address publishes (RS256, ES256, EdDSA).

    Said again with other roles, it ends what the address signed before.
    """
    named = [role.strip() for role in roles.split(",")]
    if not set(named) <= set(ROLES):
        raise click.UsageError(f"--roles: choose from {', '.join(ROLES)}")
    run(_trust(settings(**flags), name, jwks_url, cast("list[Role]", named), claims))


async def _trust(chosen: Settings, name: str, url: str, roles: list[Role], claims: bool) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        await _examine(organisations.key_set_url(url))
        kid = await organisations.trust_key_set(db, found, url, system_clock(), roles=roles, claims=claims)
        await relayed(db, found, KeyRetired)
        click.echo(kid)


async def _examine(url: str) -> None:
    """Refuses an address that publishes no key that may verify tokens; says which keys are of no use."""
    sets = KeySets()
    try:
        found = await sets.inspect(url)
    except UnreachableError as error:
        say(f"Not checked: {error}")
        return
    except KeySetError as error:
        raise Trouble(str(error)) from error
    finally:
        await sets.close()
    if not found.keys:
        raise Trouble(" ".join(["The address publishes no key that may verify tokens.", *found.problems]))
    for problem in found.problems:
        say(f"Not used: {problem}")


@click.command()
@click.argument("name")
@click.option(
    "--assign", metavar="SIGNER", help="Whose people of an unknown signer are: host, or the address of a key set."
)
@click.option("--from", "former", metavar="SIGNER", help="With --assign: people of this signer instead.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@stored
def signers(name: str, assign: str | None, former: str | None, as_json: bool, **flags: object) -> None:
    """List who vouches for the people of an organisation, with how many; or say whose they are."""
    if former is not None and assign is None:
        raise click.UsageError("--from goes with --assign")
    run(_signers(settings(**flags), name, assign, former, as_json))


async def _signers(chosen: Settings, name: str, assign: str | None, former: str | None, as_json: bool) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        if assign is not None:
            signer = await organisations.signer_named(db, found, assign)
            held = None if former is None else await organisations.signer_named(db, found, former)
            done = await signing.assign(db, found, held, signer, system_clock())
            await relayed(db, found, PersonReassigned)
            say(f"Assigned {done} people to {assign}.")
        lines = await _listed(db, found)
    if as_json:
        show(lines)
        return
    for line in lines:
        may = ", ".join(line.roles) + ("; claims addresses" if line.claims else "")
        click.echo(f"{line.people:>8} people   {line.signer}   {may if line.trusted else 'refused'}")


async def _listed(db: Postgres, found: Organisation) -> list[Line]:
    counts = {row.signer: row.people for row in await signing.count(db, found)}
    lines = [
        Line(HOST, counts.get(HOST, 0), ROLES, claims=True, trusted=True),
        Line(PLAZA, counts.get(PLAZA, 0), ROLES[:1], claims=True, trusted=True),
    ]
    for row in await organisations.key_set_signers(db, found):
        people = counts.get(row.signer, 0)
        lines.append(Line(row.jwks_url, people, row.roles, claims=row.claims, trusted=row.trusted))
    if counts.get(None):
        lines.append(Line(UNKNOWN, counts[None], (), claims=False, trusted=False))
    return lines
