"""`plaza counts`: the counters that stand beside what they count, held against a recount."""

from __future__ import annotations

import click

from plaza.catalogue import RECOUNTS
from plaza.cli.common import run, settings, store, stored
from plaza.kernel.counters import check
from plaza.settings import Settings


@click.group()
def counts() -> None:
    """Counters: followers, connections, badges, what is hidden of a conversation."""


@counts.command("repair")
@click.option("--dry-run", is_flag=True, help="Say what differs and change nothing.")
@stored
def repair(dry_run: bool, **flags: object) -> None:
    """Count everything again and put right what differs, while the server runs if it does."""
    run(_repair(settings(**flags), dry_run))


async def _repair(chosen: Settings, dry_run: bool) -> None:
    async with store(chosen) as db:
        found = await check(db, RECOUNTS, repair=not dry_run)
    for item in found:
        click.echo(f"{item.org:<24} {item.counter:<14} {item.owner:<20} {item.kept} -> {item.counted}")
    click.echo(f"{len(found)} counters {'differ' if dry_run else 'repaired'}")
