"""`plaza db`: the store's schema and its backups."""

from __future__ import annotations

from pathlib import Path

import click

from plaza.cli.common import database, run, say, settings, stored
from plaza.settings import Settings
from plaza.store import backup as backups
from plaza.store.migrate import migrate, migrate_on, migrations, pending
from plaza.store.serving_lock import exclusive


@click.group()
def db() -> None:
    """The store: its schema and its backups."""


@db.command("status")
@stored
def status(**flags: object) -> None:
    """Say which migrations have been applied."""
    run(_status(settings(**flags)))


async def _status(chosen: Settings) -> None:
    async with database(chosen) as url:
        applied, known = await pending(url)
    click.echo(f"{applied} of {known} migrations applied")


@db.command("migrate")
@stored
def migrate_(**flags: object) -> None:
    """Bring the schema up to date; safe to run twice, and twice at once."""
    run(_migrate(settings(**flags)))


async def _migrate(chosen: Settings) -> None:
    async with database(chosen) as url:
        done = await migrate(url)
    click.echo(f"{done.applied} applied, {done.total} in all")
    if done.findings:
        say(f"Findings of upgrades: {done.findings}; plaza doctor lists them.")


@db.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@stored
def backup(file: Path, **flags: object) -> None:
    """Write everything to FILE, while the server runs if it does."""
    run(_backup(settings(**flags), file))


async def _backup(chosen: Settings, file: Path) -> None:
    async with database(chosen) as url:
        await backups.backup(url, file, chosen.postgres)
    say(f"Wrote {file}.")


@db.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@stored
def restore(file: Path, **flags: object) -> None:
    """Put back what FILE holds, all of it or nothing; refused while a server runs on the store."""
    run(_restore(settings(**flags), file))


async def _restore(chosen: Settings, file: Path) -> None:
    async with database(chosen) as url, exclusive(url) as connection:
        await backups.restore(url, file, chosen.postgres)
        await migrate_on(connection, migrations())
    say(f"Restored {file}.")
