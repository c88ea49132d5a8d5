"""`plaza serve`: the server, with its private PostgreSQL where nobody names another."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import click
import msgspec
import uvloop

from plaza import __version__, process
from plaza.adapters.redis_address import check as check_bus
from plaza.cli.common import say, settings
from plaza.kernel.errors import Refusal
from plaza.settings import Settings
from plaza.store.durability import check_durability
from plaza.store.embedded import PrivatePostgres
from plaza.store.migrate import MigrationError, migrate
from plaza.store.serving_lock import ServingLock
from plaza.store.trouble import Trouble
from plaza.supervisor import Supervisor, stop_serving

OLDEST = 15
"""The oldest PostgreSQL that Plaza runs on."""


@click.command()
@click.option("--host", metavar="HOST", help="The address to listen on (127.0.0.1).")
@click.option("--port", type=int, metavar="PORT", help="The port to listen on (8000; 0: any free one).")
@click.option("--data-dir", metavar="DIR", help="The data folder (./plaza-data).")
@click.option("--database-url", metavar="URL", help="A PostgreSQL of your own instead of the private one.")
@click.option("--workers", type=int, metavar="N", help="Processes (1); with more, sockets are WebSocket only.")
@click.option("--trusted-proxies", metavar="LIST", help="Addresses and networks of the proxies before it (none).")
def serve(**flags: object) -> None:
    """Run the server until Ctrl-C."""
    chosen = settings(**flags)
    try:
        uvloop.run(_serve(chosen))
    except (Refusal, Trouble, MigrationError, OSError, asyncpg.PostgresError) as error:
        raise click.ClickException(str(error)) from error


async def _serve(chosen: Settings) -> None:
    say(f"Plaza {__version__}   data {chosen.data_dir if chosen.database_url is None else 'in your PostgreSQL'}")
    listener = listen(chosen.host, chosen.port)
    if chosen.bus_url is not None:
        begun = time.monotonic()
        there = await check_bus(chosen.bus_url)
        _row("bus", "reached" if there else "away", time.monotonic() - begun, "" if there else "found when it is back")
    async with _database(chosen) as url, ServingLock(url, stop_serving) as lock:
        done = await migrate(url)
        found = f"findings of upgrades: {done.findings}; plaza doctor lists them" if done.findings else ""
        _row("schema", f"{done.applied} applied" if done.applied else "up to date", done.seconds, found)
        port = listener.getsockname()[1]
        chosen = msgspec.structs.replace(chosen, port=port)

        outbox_key = secrets.token_urlsafe(24)

        def ready() -> None:
            _welcome(chosen, outbox_key)

        if chosen.workers > 1:
            await Supervisor(chosen, url, listener, outbox_key).run(ready)
        else:
            await process.serve(chosen, url, listener, ready, outbox_key=outbox_key)
        lock.check()
    say("Stopped.")


@contextlib.asynccontextmanager
async def _database(chosen: Settings) -> AsyncIterator[str]:
    """The store's URL, once it is known to keep its word."""
    if chosen.database_url is not None:
        await _check(chosen.database_url)
        yield chosen.database_url
        return
    private = PrivatePostgres(Path(chosen.data_dir), chosen.postgres)
    started = await private.start()
    _row(f"PostgreSQL {started.version}", started.how, started.seconds, "private socket")
    watching = asyncio.create_task(private.watch())
    try:
        yield started.url
    finally:
        watching.cancel()
        await private.stop()


async def _check(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await check_durability(connection)
        version = str(await connection.fetchval("show server_version")).split()[0]
        if connection.get_server_version().major < OLDEST:
            raise Trouble(f"PostgreSQL {version} is too old: Plaza needs {OLDEST} or newer.")
        _row(f"PostgreSQL {version}", "reached", 0.0, "yours")
    finally:
        await connection.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Trouble(f"Port {port} on {host} cannot be had: {error.strerror}. Choose another with --port.") from error
    listener.listen(process.BACKLOG)
    listener.setblocking(False)
    return listener


def _row(what: str, how: str, seconds: float, more: str = "") -> None:
    say(f"  {what + ' ':.<22} {how:<11} {seconds:4.1f} s   {more}".rstrip())


def _welcome(chosen: Settings, outbox_key: str) -> None:
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    base = f"http://{host}:{chosen.port}"
    say(f"\n  API        {base}/docs        OpenAPI 3.1 at /openapi.json")
    say(f"  Sockets    {base}/community-chat" + ("   WebSocket only" if chosen.workers > 1 else ""))
    if chosen.outbox:
        say(f"  Outbox     {base}/outbox?key={outbox_key}")
        say("             e-mails stay there until PLAZA_SMTP_URL is set; the key is good until the server stops")
    say("\n  Token      plaza token alice@demo.test --org demo          Stop: Ctrl-C")
    sys.stderr.flush()
