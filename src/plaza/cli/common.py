"""What the commands share: settings, a store to speak to, and how a failure is said."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from plaza.kernel.context import Organisation
from plaza.kernel.errors import Refusal
from plaza.kernel.outbox import Fact
from plaza.settings import Settings, SettingsError, load
from plaza.store.embedded import reached
from plaza.store.migrate import MigrationError, migrate
from plaza.store.postgres import Postgres
from plaza.store.relay import LOCK, UNHEEDED
from plaza.store.trouble import Trouble

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

RELAY_SECONDS = 3.0
"""How long a command waits for a server to relay what it did; longer than the relay sleeps."""
STORE_OPTIONS = (
    click.option("--data-dir", metavar="DIR", help="The data folder (./plaza-data)."),
    click.option("--database-url", metavar="URL", help="A PostgreSQL of your own instead of the private one."),
)


def stored(command: F) -> F:
    """Adds the options that say where the store is."""
    for option in reversed(STORE_OPTIONS):
        command = option(command)
    return command


def settings(**flags: object) -> Settings:
    """The settings in force, or the reason why there are none."""
    try:
        return load(flags)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def run(work: Awaitable[T]) -> T:
    """Runs a command's work; what is refused is one line on stderr and exit 1."""
    try:
        return asyncio.run(_whole(work))
    except (Refusal, Trouble, MigrationError, OSError) as error:
        raise click.ClickException(str(error) or type(error).__name__) from error


async def _whole(work: Awaitable[T]) -> T:
    return await work


@contextlib.asynccontextmanager
async def database(chosen: Settings) -> AsyncIterator[str]:
    """The URL of the store: the one that was named, or the private one, started for the while where it is off."""
    if chosen.database_url is not None:
        yield chosen.database_url
        return
    async with reached(Path(chosen.data_dir), chosen.postgres) as url:
        yield url


@contextlib.asynccontextmanager
async def store(chosen: Settings) -> AsyncIterator[Postgres]:
    """The store, with its schema brought up to date; whoever sits at the keyboard decides how long is too long."""
    async with database(chosen) as url:
        await migrate(url)
        pool = Postgres(url, size=2, seconds=None)
        await pool.open()
        try:
            yield pool
        finally:
            await pool.close()


async def relayed(db: Postgres, found: Organisation, fact: type[Fact]) -> None:
    """Waits until a running server has relayed the facts of an organisation, not for long: then it acts on them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RELAY_SECONDS):
            while await db.one(UNHEEDED, org=found.id, kind=fact.kind, lock=LOCK):  # noqa: ASYNC110 — no event comes
                await asyncio.sleep(0.02)


def show(value: object) -> None:
    """Prints a result as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def say(text: str) -> None:
    """Says something to the person at the keyboard."""
    click.echo(text, file=sys.stderr)
