"""The servers of `bench live`: a group chat on `plaza.realtime`, on socket.io, and as a NestJS gateway; and a Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import processes
from bench.options import Options
from bench.servers import ORG, PEER, THIS, Member, NotReady, Tree, free_port, install, node, ready
from plaza.domains.organisations import tokens
from plaza.domains.organisations.queries import KeyRow
from plaza.kernel.context import Organisation, OrgSettings

PLAZA, SOCKET_IO, NEST = "Plaza", "socket.io", "NestJS"
SIDES = (PLAZA, SOCKET_IO, NEST)
_KEY = KeyRow("live", "HS256", secrets.token_bytes(32), None, "host", [], False)
_SCRIPTS = {SOCKET_IO: "live.js", NEST: "gateway.js"}
_REDIS_SECONDS = 5.0


@dataclass(frozen=True)
class Host:
    """A running side: the ports of its processes, how to find them, and the process of its broker."""

    name: str
    ports: Sequence[int]
    pids: Callable[[], list[int]]
    broker: Sequence[int] = ()

    def collect(self) -> None:
        """Has the peers collect garbage, so that what is measured next is none."""
        if self.name in _SCRIPTS:
            for pid in self.pids():
                os.kill(pid, signal.SIGUSR2)


def members(count: int, first: int = 0) -> list[Member]:
    """So many people with tokens that every side accepts."""
    org = Organisation(1, ORG, ORG, OrgSettings())
    emails = [f"person-{number:05d}@bench.test" for number in range(first, first + count)]
    now = datetime.now(UTC)
    return [
        Member(email, tokens.mint(org, _KEY, subject=email, email=email, now=now, seconds=7200)) for email in emails
    ]


@contextlib.asynccontextmanager
async def host(
    name: str,
    options: Options,
    folder: Path,
    count: int = 1,
    broker: tuple[int, int] | None = None,
    tree: Tree = THIS,
) -> AsyncIterator[Host]:
    """A side of so many processes on the servers' core; several of them hear each other through a Redis."""
    if name != PLAZA:
        install()
    env = tree.environment() | {"LIVE_SECRET": (_KEY.secret or b"").hex(), "NODE_ENV": "production"}
    if broker is not None:
        env["LIVE_REDIS"] = f"redis://127.0.0.1:{broker[0]}"
    log = folder / f"{name}.log"
    started: list[tuple[int, subprocess.Popen[bytes]]] = []
    try:
        with processes.on_cores({options.server_core}):
            for _ in range(count):
                port = free_port()
                started.append((port, processes.start([*_command(name, options, tree), str(port)], log, env)))
        for port, process in started:
            await ready(process, port, log)
        yield Host(
            name if tree is THIS else tree.name,
            [port for port, _ in started],
            lambda: [process.pid for _, process in started],
            broker[1:] if broker else (),
        )
    finally:
        for _, process in started:
            await asyncio.to_thread(processes.end, process)


def _command(name: str, options: Options, tree: Tree) -> list[str]:
    if name == PLAZA:
        return [sys.executable, str(tree.root / "bench" / "live_server.py")]
    return [node(options), "--expose-gc", str(PEER / _SCRIPTS[name])]


@contextlib.asynccontextmanager
async def redis(options: Options, folder: Path) -> AsyncIterator[tuple[int, int]]:
    """A redis-server on the servers' core that keeps nothing: its port and its process."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise NotReady("redis-server is not on this machine: install the package redis-server (or valkey)")
    port, log = free_port(), folder / "redis.log"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with processes.on_cores({options.server_core}):
        process = processes.start(command, log, os.environ)
    try:
        async with asyncio.timeout(_REDIS_SECONDS):
            while not _listens(port):
                await asyncio.sleep(0.02)
        yield port, process.pid
    finally:
        await asyncio.to_thread(processes.end, process)


def redis_version() -> str:
    """`7.0.15` of the machine's redis-server."""
    words = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split()
    return next(word.removeprefix("v=") for word in words if word.startswith("v="))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
