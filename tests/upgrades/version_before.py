"""The version before this one, run from its own tree: the file VERSION_BEFORE names its commit.

The file moves on with each release, to the commit that the last one was made of.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COMMIT = (Path(__file__).parent / "VERSION_BEFORE").read_text(encoding="utf-8").strip()
COMMANDS = """
import json, sys
from plaza.cli.main import main
for words in json.load(sys.stdin):
    main(words, standalone_mode=False)
"""
"""Several commands in one process: a start of Python each would take longer than all of them."""


def extract(folder: Path) -> Path:
    """The source tree of the version before, out of the history of this repository."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", COMMIT, "src"], cwd=ROOT, capture_output=True, check=False
    )
    assert archive.returncode == 0, (
        f"The test runs the version before, commit {COMMIT}, and the history of this clone does not have it "
        f"({archive.stderr.decode().strip()}). Fetch the whole history: git fetch --unshallow"
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder / "src"


async def commands(tree: Path | None, database_url: str, *lines: Sequence[str]) -> str:
    """Runs commands of that version, or of this one without a tree, on a database; what they printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        COMMANDS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **({"PYTHONPATH": str(tree)} if tree else {})},
    )
    words = [[*line, "--database-url", database_url] for line in lines]
    printed, _ = await process.communicate(json.dumps(words).encode())
    assert process.returncode == 0, lines
    return printed.decode()
