"""`plaza org`, `plaza person`, `plaza token`, `plaza key`: tenants, people, and how they get in."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from plaza.cli.common import relayed, run, say, settings, show, store, stored
from plaza.domains import accounts
from plaza.domains.organisations import KeyRetired, OrganisationSuspended, tokens
from plaza.domains.organisations import service as organisations
from plaza.domains.organisations.service import NoSuchOrganisation
from plaza.domains.people import AddressChanged, PersonSuspended
from plaza.domains.people import service as people
from plaza.domains.presence import queries as presence
from plaza.kernel import addresses
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Organisation
from plaza.kernel.ids import Ids
from plaza.settings import Settings
from plaza.store.postgres import Postgres


@click.group()
def org() -> None:
    """Organisations: the tenants of this server."""


@org.command("create")
@click.argument("name")
@click.option("--title", help="Its name for people.")
@click.option("--dm-policy", type=click.Choice(["everyone", "connections"]), help="Who may write to whom.")
@stored
def create(name: str, title: str | None, dm_policy: str | None, **flags: object) -> None:
    """Make an organisation with a signing key of its own."""
    run(_create(settings(**flags), name, title, {"dmPolicy": dm_policy} if dm_policy else {}))


async def _create(chosen: Settings, name: str, title: str | None, changes: dict[str, object]) -> None:
    async with store(chosen) as db:
        made = await organisations.create(db, name, title, system_clock())
        if changes:
            made = await organisations.settle(db, made, changes)
        click.echo(made.slug)


@org.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@stored
def list_(as_json: bool, **flags: object) -> None:
    """List the organisations of this server."""
    run(_list(settings(**flags), as_json))


async def _list(chosen: Settings, as_json: bool) -> None:
    async with store(chosen) as db:
        found = await organisations.all_of_them(db)
    if as_json:
        show(found)
    else:
        for row in found:
            click.echo(f"{row.slug:<24} {row.people:>8} people   {row.name}{'   suspended' if row.suspended else ''}")


@org.command("show")
@click.argument("name")
@stored
def show_(name: str, **flags: object) -> None:
    """Show an organisation and its settings."""
    run(_change(settings(**flags), name, {}))


@org.command("set")
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="SETTING=VALUE…")
@stored
def set_(name: str, changes: tuple[str, ...], **flags: object) -> None:
    """Change settings of an organisation: dmPolicy=connections, publicReads=false, maskEmails=true."""
    run(_change(settings(**flags), name, dict(_pair(change) for change in changes)))


@org.command("suspend")
@click.argument("name")
@click.option("--lift", is_flag=True, help="Let its people in again.")
@stored
def suspend_org(name: str, lift: bool, **flags: object) -> None:
    """Suspend an organisation; when this ends, every request of its people is refused and their sockets are going."""
    run(_suspend_org(settings(**flags), name, lift))


async def _suspend_org(chosen: Settings, name: str, lift: bool) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        await organisations.suspend(db, found, system_clock(), lift=lift)
        await relayed(db, found, OrganisationSuspended)
        click.echo(found.slug)


def _pair(change: str) -> tuple[str, Any]:
    name, separator, value = change.partition("=")
    if not separator:
        raise click.UsageError(f"{change} is not SETTING=VALUE")
    return name, {"true": True, "false": False}.get(value, value)


async def _change(chosen: Settings, name: str, changes: dict[str, object]) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        if changes:
            found = await organisations.settle(db, found, changes)
    show({"org": found.slug, "name": found.name, "settings": msgspec.to_builtins(found.settings)})


@click.group()
def person() -> None:
    """People of an organisation."""


@person.command("suspend")
@click.argument("email")
@click.option("--org", "name", required=True, help="The organisation.")
@click.option("--lift", is_flag=True, help="Let the person in again.")
@stored
def suspend(email: str, name: str, lift: bool, **flags: object) -> None:
    """Suspend a person; when this ends, their requests are refused and their sockets are going."""
    run(_suspend(settings(**flags), email, name, lift))


async def _suspend(chosen: Settings, email: str, name: str, lift: bool) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        address = addresses.address(email, "email")
        person = await people.suspend(db, found, address, system_clock(), lift=lift)
        await relayed(db, found, PersonSuspended)
        click.echo(person)


@person.command("email")
@click.argument("old")
@click.argument("new")
@click.option("--org", "name", required=True, help="The organisation.")
@stored
def email_(old: str, new: str, name: str, **flags: object) -> None:
    """Change a person's address; nothing else of theirs changes."""
    run(_readdress(settings(**flags), old, new, name))


async def _readdress(chosen: Settings, old: str, new: str, name: str) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        former, address = addresses.address(old, "old"), addresses.address(new, "new")
        change = Ids(system_clock, await db.one(presence.NODE))()
        async with db.transaction() as whole:
            await accounts.readdress(whole, found, former, address)
            person = await people.readdress(whole, found, former, address, now=system_clock(), change=change)
        await relayed(db, found, AddressChanged)
        click.echo(person)


@click.command()
@click.argument("email")
@click.option("--org", "name", required=True, help="The organisation; made when there is none of this name.")
@click.option("--role", type=click.Choice(["customer", "staff", "admin"]), default="customer", show_default=True)
@click.option("--name", "called", help="What the person is called.")
@click.option("--ttl", type=click.IntRange(1, tokens.LONGEST_SECONDS), default=3600, show_default=True, help="Seconds.")
@stored
def token(email: str, name: str, role: str, called: str | None, ttl: int, **flags: object) -> None:
    """Print a token for a person, and nothing else."""
    run(_token(settings(**flags), email, name, role, called, ttl))


async def _token(chosen: Settings, email: str, name: str, role: str, called: str | None, ttl: int) -> None:
    now = system_clock()
    address = addresses.address(email, "email")
    async with store(chosen) as db:
        found = await _found_or_made(db, name)
        key = next(key for key in await organisations.keys(db, found) if key.secret is not None)
        new_id = Ids(system_clock, await db.one(presence.NODE))
        coming = people.Arrival(address, address, called)
        (known,) = await people.known(db, [(found.id, coming)])
        arrived = await people.arrive(db, found, coming, known, now=now, new_id=new_id)
        if arrived.claimed_now:
            say(f"Made {address} in {found.slug}.")
        more = {"role": role} | ({"name": called} if called else {})
        click.echo(
            tokens.mint(found, key, subject=arrived.subject or address, email=address, now=now, seconds=ttl, **more)
        )


async def _found_or_made(db: Postgres, name: str) -> Organisation:
    try:
        return await organisations.find(db, name)
    except NoSuchOrganisation:
        say(f"Made the organisation {name}.")
        return await organisations.create(db, name, None, system_clock())


@click.group()
def key() -> None:
    """The keys that sign an organisation's tokens."""


@key.command("rotate")
@click.option("--org", "name", required=True, help="The organisation.")
@stored
def rotate(name: str, **flags: object) -> None:
    """Make a new signing key and retire the others; when this ends, their tokens are refused."""
    run(_rotate(settings(**flags), name))


async def _rotate(chosen: Settings, name: str) -> None:
    async with store(chosen) as db:
        found = await organisations.find(db, name)
        kid = await organisations.rotate_key(db, found, system_clock())
        await relayed(db, found, KeyRetired)
        click.echo(kid)
