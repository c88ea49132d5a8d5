"""What the tests of the private PostgreSQL share: whose binaries it runs, and a folder that it has served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from plaza.store.binaries import NoSuchBinaries, Source, find_binaries
from plaza.store.embedded import PrivatePostgres


@pytest.fixture(scope="module", params=["machine", "wheel"])
def source(request: pytest.FixtureRequest) -> Source:
    wanted: Source = request.param
    try:
        find_binaries(wanted)
    except NoSuchBinaries as missing:
        pytest.skip(str(missing))
    return wanted


@pytest.fixture(scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("made") / "data"
    async with PrivatePostgres(data):
        return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """A folder that has been served before: a copy, as if a backup of the disk had been put back."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"
