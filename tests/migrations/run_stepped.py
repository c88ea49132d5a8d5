"""Migrates a database by the folder `stepped`, in a process that a test may kill: `python -m … URL`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from plaza.store.migrate import migrate, migrations

FOLDER = Path(__file__).parent / "stepped"

if __name__ == "__main__":
    asyncio.run(migrate(sys.argv[1], migrations(FOLDER)))
