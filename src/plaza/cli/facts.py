"""`plaza facts`: what the relay could not deliver in any try, listed and put back."""

from __future__ import annotations

import click

from plaza.cli.common import run, settings, show, store, stored
from plaza.kernel.clock import system_clock
from plaza.settings import Settings
from plaza.store.outbox import FAILED, RETRY


@click.group()
def facts() -> None:
    """Facts: what happened, and could not be delivered in any try."""


@facts.command("failed")
@stored
def failed(**flags: object) -> None:
    """List the facts that failed in every try, the oldest first, with their errors."""
    run(_failed(settings(**flags)))


async def _failed(chosen: Settings) -> None:
    async with store(chosen) as db:
        show(await db.all(FAILED))


@facts.command("retry")
@click.argument("ids", nargs=-1, type=click.IntRange(1, (1 << 63) - 1), metavar="[ID]…")
@click.option("--all", "every", is_flag=True, help="All of them.")
@stored
def retry(ids: tuple[int, ...], every: bool, **flags: object) -> None:
    """Have failed facts delivered again, those with these ids or all; what they say arrives late."""
    if every == bool(ids):
        raise click.UsageError("Name the ids of facts, or --all.")
    run(_retry(settings(**flags), ids, every))


async def _retry(chosen: Settings, ids: tuple[int, ...], every: bool) -> None:
    async with store(chosen) as db:
        back = await db.all(RETRY, ids=list(ids), every=every, now=system_clock())
    missing = sorted(set(ids) - set(back))
    click.echo(f"{len(back)} put back")
    if missing:
        raise click.ClickException(f"There is no failed fact {', '.join(map(str, missing))}.")
