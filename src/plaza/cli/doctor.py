"""`plaza doctor`: lists what an operator should mend, each finding in one line with what to do."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import click

from plaza.catalogue import CHECKS
from plaza.cli.common import database, run, say, settings, stored
from plaza.kernel.checks import Finding
from plaza.kernel.clock import system_clock
from plaza.settings import LOOPBACK, Settings
from plaza.store import durability
from plaza.store.migrate import MigrationError, pending
from plaza.store.migration_steps import RESOLVE, UNRESOLVED
from plaza.store.outbox import PARKED
from plaza.store.postgres import Postgres
from plaza.store.trouble import Trouble


@click.command()
@click.option("--resolve", type=int, metavar="NUMBER", help="Mark a finding of an upgrade as dealt with.")
@stored
def doctor(resolve: int | None, **flags: object) -> None:
    """List what should be mended; exit 0: nothing was found, 1: something was."""
    chosen = settings(**flags)
    if resolve is not None:
        run(_resolve(chosen, resolve))
        return
    found = run(_examine(chosen))
    for finding in found:
        click.echo(f"{finding.what} {finding.remedy}")
    if found:
        click.get_current_context().exit(1)
    say("Nothing was found.")


async def _examine(chosen: Settings) -> list[Finding]:
    """Everything that any check finds; nothing is changed."""
    found = _mail(chosen)
    async with database(chosen) as url:
        found += await _durability(url)
        schema = await _schema(url)
        return found + (schema or await _rows(url))


def _mail(chosen: Settings) -> list[Finding]:
    """Letters that would be sent and cannot be of use."""
    if chosen.smtp_url is None:
        return []
    found = []
    if urlsplit(chosen.site).hostname in LOOPBACK:
        found.append(
            Finding(f"Links in mail lead to {chosen.site}, which only this computer reaches.", "Set public_url.")
        )
    if chosen.mail_from.rstrip("> ").endswith("@localhost"):
        found.append(Finding(f"Mail is sent as {chosen.mail_from}, which other servers refuse.", "Set mail_from."))
    return found


async def _durability(url: str) -> list[Finding]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        sentence = await durability.unsafe_settings(connection)
    finally:
        await connection.close()
    return [] if sentence is None else [Finding(sentence, durability.REMEDY)]


async def _schema(url: str) -> list[Finding]:
    """A schema that is not this version's; then no statement of this version can be relied on."""
    unchecked = "Nothing that is stored was checked."
    try:
        applied, known = await pending(url)
    except MigrationError as error:
        return [Finding(f"The schema is not of this version: {error}.", unchecked)]
    if applied == known:
        return []
    return [Finding(f"{applied} of {known} migrations are applied.", f"Run plaza db migrate. {unchecked}")]


async def _rows(url: str) -> list[Finding]:
    pool = Postgres(url, size=2, seconds=None)
    await pool.open()
    try:
        return [finding for check in (UNRESOLVED, PARKED, *CHECKS) for finding in await pool.all(check)]
    finally:
        await pool.close()


async def _resolve(chosen: Settings, number: int) -> None:
    async with database(chosen) as url:
        pool = Postgres(url, size=2, seconds=None)
        await pool.open()
        try:
            if await pool.maybe(RESOLVE, id=number, now=system_clock()) is None:
                raise Trouble(f"There is no unresolved finding {number}.")
        finally:
            await pool.close()
    say(f"Finding {number} is resolved.")
