"""One PostgreSQL for the run, a database cloned from a template for each worker, one server in each worker."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from plaza.store.embedded import PrivatePostgres
from plaza.store.migrate import migrate
from tests.reached import missing, remember
from tests.server import SETTINGS, Running
from tests.world import World

TEMPLATE = "template_plaza"
KEY = pytest.StashKey["RunPostgres"]()


class RunPostgres:
    """The PostgreSQL of this run, with a migrated template in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="plaza-tests-"))
        self.private = PrivatePostgres(self.folder / "data")

    def start(self) -> str:
        """Starts it and gives its URL."""
        return asyncio.run(self._start())

    async def _start(self) -> str:
        url = (await self.private.start()).url
        await _speak(url, f"create database {TEMPLATE}")
        await migrate(database(url, TEMPLATE))
        return url

    def stop(self) -> None:
        """Stops it and takes its folder away."""
        asyncio.run(self.private.stop())
        shutil.rmtree(self.folder, ignore_errors=True)


def database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _speak(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def drop_database(url: str, name: str) -> None:
    """Takes a database away; an autovacuum in it cannot be told to leave, but soon does."""
    for _ in range(100):
        try:
            await _speak(url, f"drop database {name} with (force)")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectInUseError):
            await asyncio.sleep(0.1)
        else:
            return


def pytest_configure(config: pytest.Config) -> None:
    """The process that leads the run starts PostgreSQL; workers are told where it is."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        config.stash[KEY] = RunPostgres()
        config.stash[URL] = config.stash[KEY].start()


def pytest_configure_node(node: Any) -> None:
    """Tells a worker."""
    node.workerinput["postgres"] = node.config.stash[URL]
    node.workerinput["folder"] = str(node.config.stash[KEY].folder)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A whole run must have reached everything that is offered."""
    if KEY not in session.config.stash or not _whole(session.config):
        return
    left = missing(session.config.stash[KEY].folder)
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[LEFT] = left


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what no test reached."""
    for name in config.stash.get(LEFT, []):
        terminalreporter.write_line(f"no test reached: {name}", red=True)


def _whole(config: pytest.Config) -> bool:
    """Whether nothing was left out."""
    option = config.option
    return config.args == config.getini("testpaths") and not (option.keyword or option.markexpr or option.collectonly)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops PostgreSQL."""
    if KEY in config.stash:
        config.stash[KEY].stop()


URL = pytest.StashKey[str]()
LEFT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Plaza stands on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The server of the run, with an empty database."""
    given = getattr(request.config, "workerinput", None)
    return str(given["postgres"] if given is not None else request.config.stash[URL])


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of this run; it goes away with it."""
    given = getattr(request.config, "workerinput", None)
    return Path(given["folder"]) if given is not None else request.config.stash[KEY].folder


@pytest.fixture(scope="session")
def database_url(postgres_url: str, worker_id: str) -> Iterator[str]:
    """A migrated database of this worker's own."""
    name = f"plaza_{worker_id}"
    asyncio.run(_speak(postgres_url, f"create database {name} template {TEMPLATE}"))
    yield database(postgres_url, name)
    asyncio.run(drop_database(postgres_url, name))


@pytest.fixture
def fresh_database_url(postgres_url: str, worker_id: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database for one test."""
    name = f"fresh_{worker_id}_{abs(hash(request.node.nodeid)) % 10**9}"
    asyncio.run(_speak(postgres_url, f"create database {name}"))
    yield database(postgres_url, name)
    asyncio.run(drop_database(postgres_url, name))


@pytest.fixture
def own_database_url(postgres_url: str, worker_id: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database for one test: a server on it leads its own relay."""
    name = f"own_{worker_id}_{abs(hash(request.node.nodeid)) % 10**9}"
    asyncio.run(_speak(postgres_url, f"create database {name} template {TEMPLATE}"))
    yield database(postgres_url, name)
    asyncio.run(drop_database(postgres_url, name))


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str, worker_id: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database for the tests of one module that share a server of their own."""
    name = f"module_{worker_id}_{abs(hash(request.node.nodeid)) % 10**9}"
    asyncio.run(_speak(postgres_url, f"create database {name} template {TEMPLATE}"))
    yield database(postgres_url, name)
    asyncio.run(drop_database(postgres_url, name))


@pytest.fixture(scope="session")
def server(database_url: str, run_folder: Path) -> Iterator[Running]:
    """A real server on 127.0.0.1, in a thread of this worker."""
    with Running(database_url) as running:
        yield running
        remember(running, run_folder)


@pytest.fixture(scope="session")
def limited_server(postgres_url: str, worker_id: str, run_folder: Path) -> Iterator[Running]:
    """A server with rate limits, on a database of its own."""
    name = f"limited_{worker_id}"
    asyncio.run(_speak(postgres_url, f"create database {name} template {TEMPLATE}"))
    with Running(database(postgres_url, name), msgspec.structs.replace(SETTINGS, rate_limits="on")) as running:
        yield running
        remember(running, run_folder)
    asyncio.run(drop_database(postgres_url, name))


@pytest.fixture(params=["client/community", "community"])
def prefix(request: pytest.FixtureRequest) -> str:
    """Each of the two prefixes."""
    return str(request.param)


@pytest.fixture
async def world(server: Running, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Two organisations, `north` and `south`, where the same people live."""
    chosen = request.getfixturevalue("prefix") if "prefix" in request.fixturenames else "client/community"
    async with World(server, chosen) as made:
        yield made
