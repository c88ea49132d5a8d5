"""The random seed of a fault test, its record, and the loop that its clients run on."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.records import Recorder


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The clients share two cores with the servers: the fast loop."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def dice() -> random.Random:
    """Chance, from a seed that is printed; PLAZA_FAULT_SEED repeats one."""
    seed = int(os.environ.get("PLAZA_FAULT_SEED") or random.randrange(1 << 32))
    print(f"PLAZA_FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """What the clients did, in a file beside the logs of the servers."""
    record = Recorder(tmp_path / "record.jsonl")
    yield record
    record.close()
