"""Backup and restore of the database: an archive of pg_dump with a seal, restored whole or not at all.

The seal is a last line with the SHA-256 of all before it: it tells a whole backup of Plaza from a part of one or from
something else, and pg_restore does not mind it.
"""

import asyncio
import contextlib
import datetime
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import asyncpg
import msgspec

import plaza
from plaza.store.binaries import Binaries, Source, find_binaries
from plaza.store.embedded_folder import sync_folder
from plaza.store.trouble import Trouble

SEAL = b"\nPLAZA-BACKUP "
LONGEST_SEAL = 1024
SCHEMA = "public"
PLAIN = ("--no-owner", "--no-privileges")
# A migration that runs meanwhile holds its locks for seconds; whoever waits longer should say so.
LOCK_SECONDS = 30
HEAD = f"set client_min_messages = warning;\nbegin;\nset local lock_timeout = '{LOCK_SECONDS}s';\n"


class BackupFailed(Trouble):
    """No backup was made and no file is left; the text has the last words of pg_dump."""


class NotABackup(Trouble):
    """The file is no whole backup of Plaza; nothing was touched."""


class RestoreFailed(Trouble):
    """The database is as it was before; the text has the last words of psql or pg_restore."""


class Seal(msgspec.Struct, frozen=True):
    """What a backup says of itself: `bytes` and `sha256` are of the archive before the seal, `at` is UTC."""

    sha256: str
    bytes: int
    server: str
    plaza: str
    at: str

    @property
    def major(self) -> int:
        """The major version of the PostgreSQL that it was taken from."""
        return int(self.server.split(".")[0])


async def backup(url: str, file: Path, binaries: Source = "auto", *, replace: bool = False) -> Seal:
    """Writes what the database has at this moment to `file` (mode 0600), while others read and write.

    The file appears when it is whole; one that is there stays, unless `replace`. Raises `BackupFailed`.
    """
    programs, version = await _programs(url, binaries)
    at = datetime.datetime.now(datetime.UTC)
    options = ("-Fc", f"--schema={SCHEMA}", *PLAIN, f"--lock-wait-timeout={LOCK_SECONDS}s")
    try:
        with _partial(file, replace) as partial:
            arguments = [str(programs.pg_dump), *options, f"--file={partial}", f"--dbname={_without_password(url)}"]
            status, words = await _finished(await _start(url, arguments))
            if status != 0:
                raise BackupFailed(f"No backup was made. pg_dump said: {words}")
            seal = await asyncio.to_thread(_seal, partial, version, at)
            partial.rename(file)
            sync_folder(partial.parent)
    except OSError as error:
        raise BackupFailed(f"No backup was made: {error}") from error
    return seal


async def restore(url: str, file: Path, binaries: Source = "auto") -> Seal:
    """Puts the backup in the place of all that the database has, in one transaction: a failure changes nothing.

    The file is read through first. Raises `NotABackup` and `RestoreFailed`.
    """
    seal = await asyncio.to_thread(read_seal, file)
    programs, version = await _programs(url, binaries)
    if seal.major > programs.major:
        raise NotABackup(f"{file} is of PostgreSQL {seal.server}, which the older {version} cannot read.")
    await _replace_schema(url, file, programs)
    connection = await asyncpg.connect(url)
    try:
        # A restored table has no statistics, and plans without them are bad until autovacuum comes by.
        await connection.execute("analyze")
    finally:
        await connection.close()
    return seal


def read_seal(file: Path) -> Seal:
    """What the backup says of itself, after reading all of it; raises `NotABackup`."""
    try:
        with open(file, "rb") as content:
            size = content.seek(0, os.SEEK_END)
            tail_at = max(0, size - LONGEST_SEAL)
            content.seek(tail_at)
            head, found, line = content.read().rpartition(SEAL)
            if not found or not line.endswith(b"\n"):
                raise NotABackup(
                    f"{file} is no backup of Plaza, or only the first part of one: its last line is missing."
                )
            seal = msgspec.json.decode(line, type=Seal)
            if tail_at + len(head) != seal.bytes or _digest(file, seal.bytes) != seal.sha256:
                raise NotABackup(
                    f"{file} was damaged after it was made: its bytes are not those that it was sealed with."
                )
    except (OSError, msgspec.MsgspecError) as error:
        raise NotABackup(f"{file} cannot be read as a backup: {error}") from error
    return seal


async def _programs(url: str, source: Source) -> tuple[Binaries, str]:
    """The programs of the server's own major version, and that version ("18.4")."""
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError) as error:
        raise Trouble(f"The database does not answer: {error}") from error
    try:
        version = (await connection.fetchval("show server_version")).split()[0]
    finally:
        await connection.close()
    return await asyncio.to_thread(find_binaries, source, major=int(version.split(".")[0])), version


@contextlib.contextmanager
def _partial(file: Path, replace: bool) -> Iterator[Path]:
    """A file beside the real one that only we may read; gone afterwards unless it was renamed."""
    if file.exists() and not replace:
        raise BackupFailed(f"{file} is there already: name another file, or allow it to be replaced.")
    partial = file.absolute().with_name(f".{file.name}.{secrets.token_hex(4)}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _seal(archive: Path, server: str, at: datetime.datetime) -> Seal:
    size = archive.stat().st_size
    seal = Seal(_digest(archive, size), size, server, plaza.__version__, f"{at:%Y-%m-%dT%H:%M:%SZ}")
    with open(archive, "ab") as file:
        file.write(SEAL + msgspec.json.encode(seal) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return seal


def _digest(file: Path, size: int) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while size > 0 and (block := content.read(min(size, 1024 * 1024))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


async def _replace_schema(url: str, file: Path, programs: Binaries) -> None:
    """pg_restore writes the script that psql runs; we hold the pipe and say `commit` only when all of it was written.

    Not pg_restore alone: it cannot drop, in the same transaction, the tables that the backup does not know.
    """
    psql = [str(programs.psql), "-X", "-q", "--set=ON_ERROR_STOP=1", f"--dbname={_without_password(url)}"]
    read_end, write_end = os.pipe()
    try:
        reading = await _start(url, psql, stdin=read_end)
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    async with asyncio.TaskGroup() as both:
        read = both.create_task(_finished(reading))
        wrote = both.create_task(_write_script(url, write_end, _script(programs, file)))
    (read_status, said), (wrote_status, words) = read.result(), wrote.result()
    if read_status or wrote_status:
        raise RestoreFailed(f"The database is unchanged. PostgreSQL said: {said or words}")


def _script(programs: Binaries, file: Path) -> list[str]:
    return [str(programs.pg_restore), "--file=-", *PLAIN, str(file.absolute())]


async def _write_script(url: str, pipe: int, pg_restore: list[str]) -> tuple[int, str]:
    """Without the commit, the end of the script is the end of a transaction that never was."""
    try:
        os.write(pipe, f"{HEAD}drop schema if exists {SCHEMA} cascade;\n".encode())
        status, words = await _finished(await _start(url, pg_restore, stdout=pipe))
        if status == 0:
            os.write(pipe, b"commit;\n")
    except BrokenPipeError:
        return 1, "psql went away"
    finally:
        os.close(pipe)
    return status, words


async def _start(
    url: str, arguments: list[str], *, stdin: int = asyncio.subprocess.DEVNULL, stdout: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *arguments, stdin=stdin, stdout=stdout, stderr=asyncio.subprocess.PIPE, env=_environment(url)
    )


async def _finished(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Its exit status and its last words; a cancelled wait ends the process."""
    try:
        _, words = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, words.decode(errors="replace").strip()[-2000:]


def _environment(url: str) -> dict[str, str]:
    """Ours with the password of the url, which has no place among arguments that everybody can list."""
    parts = urlsplit(url)
    password = dict(parse_qsl(parts.query)).get("password", unquote(parts.password or ""))
    return {**os.environ, "LC_ALL": "C"} | ({"PGPASSWORD": password} if password else {})


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    query = urlencode([pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "password"])
    return f"{parts.scheme}://{netloc}{parts.path}" + (f"?{query}" if query else "")
