"""`plaza config` and `plaza openapi`: what is in force, and what is served."""

from __future__ import annotations

import click
import msgspec

from plaza.catalogue import document
from plaza.cli.common import show
from plaza.settings import SettingsError, load, origins


@click.group()
def config() -> None:
    """Settings: flag > PLAZA_* > plaza.toml > default."""


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def show_(as_json: bool) -> None:
    """Show every setting and where it came from."""
    try:
        found = origins({})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        show(found)
        return
    for item in found:
        click.echo(f"{item.name:<16} {msgspec.json.encode(item.value).decode():<40} {item.source}")


@config.command("check")
def check() -> None:
    """Say whether the settings can be used."""
    try:
        load({})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    click.echo("ok")


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    show(document())
