"""What the private PostgreSQL has on its disk: the cluster, made whole or not at all, with our role and database."""

import asyncio
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import asyncpg

from plaza.store import embedded_folder as folder
from plaza.store import embedded_settings as settings
from plaza.store.binaries import Binaries
from plaza.store.durability import check_durability
from plaza.store.privilege import Runner, environment
from plaza.store.trouble import Trouble

NAME = "plaza"
SUPERUSER = "postgres"
INITDB_SECONDS = 120.0


class CannotStart(Trouble):
    """PostgreSQL did not start; the text has its own last words."""


def url(sockets: Path, password: str, user: str = NAME, database: str = NAME) -> str:
    """The address for asyncpg and libpq; it has the password in it."""
    return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={quote(str(sockets), safe='')}"


def clear_partial(layout: folder.Layout) -> None:
    """Takes away what a start that was killed had half made."""
    for partial in layout.home.glob("cluster.*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


async def create_cluster(layout: folder.Layout, binaries: Binaries, runner: Runner) -> None:
    """Makes the cluster aside and renames it, so that a start that is killed leaves none instead of half of one."""
    partial = layout.home / f"cluster.{secrets.token_hex(4)}.partial"
    arguments: list[str | Path] = [
        *("-D", partial, "-U", SUPERUSER, "--pwfile", layout.password, "--auth=scram-sha-256", "--data-checksums"),
        *("--encoding=UTF8", *settings.locale(binaries.major), "--no-instructions"),
    ]
    initdb = _start([*runner.command(binaries.initdb, *arguments, parent=os.getpid())])
    try:
        said, _ = await asyncio.to_thread(initdb.communicate, timeout=INITDB_SECONDS)
    finally:
        initdb.kill()
        initdb.wait()
    if initdb.returncode != 0:
        clear_partial(layout)
        raise CannotStart(f"PostgreSQL could not make its folder. It said: {said.decode(errors='replace')[-2000:]}")
    _include_settings(partial)
    partial.rename(layout.cluster)
    folder.sync_folder(layout.home)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (found by find_binaries, without a shell)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment(),
        start_new_session=True,
    )


def _include_settings(cluster: Path) -> None:
    with open(cluster / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"include_if_exists '{settings.INCLUDED}'\n")
        conf.flush()
        os.fsync(conf.fileno())


async def ensure_database(sockets: Path, password: str, *, fresh: bool) -> None:
    """Makes the role and the database where a first start did not come so far, then checks what the server promises."""
    if fresh:
        await _create_database(sockets, password)
    try:
        connection = await asyncpg.connect(url(sockets, password))
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError):
        await _create_database(sockets, password)
        connection = await asyncpg.connect(url(sockets, password))
    try:
        await check_durability(connection)
    finally:
        await connection.close()


async def _create_database(sockets: Path, password: str) -> None:
    # The role of Plaza is no superuser: who finds a hole in a statement must not read files through it.
    try:
        connection = await asyncpg.connect(url(sockets, password, SUPERUSER, "postgres"))
    except asyncpg.InvalidPasswordError as error:
        raise CannotStart(
            "The password file of the data folder is not the one that its database was made with: put that one back."
        ) from error
    try:
        if not await connection.fetchval("select true from pg_catalog.pg_roles where rolname = $1", NAME):
            # The password is of an alphabet without quotes; the statement takes no parameters.
            await connection.execute(f"create role {NAME} login createdb password '{password}'")
        if not await connection.fetchval("select true from pg_catalog.pg_database where datname = $1", NAME):
            await connection.execute(f"create database {NAME} owner {NAME}")
    finally:
        await connection.close()
