"""The command's root."""

from __future__ import annotations

import click

from plaza import __version__
from plaza.cli.config import config, openapi
from plaza.cli.counts import counts
from plaza.cli.db import db
from plaza.cli.doctor import doctor
from plaza.cli.facts import facts
from plaza.cli.orgs import key, org, person, token
from plaza.cli.serve import serve
from plaza.cli.signers import signers, trust


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="Plaza")
def main() -> None:
    """Plaza: a customer community that a business runs itself."""


for command in (serve, org, person, token, key, db, doctor, counts, facts, config, openapi):
    main.add_command(command)
for command in (trust, signers):
    org.add_command(command)
