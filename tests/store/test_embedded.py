"""The private PostgreSQL in ordinary life: it keeps, it is closed to others, it is alone in its folder."""

import asyncio
import logging
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import pytest

from plaza.store.binaries import NoSuchBinaries, Source, find_binaries
from plaza.store.durability import NotDurable, check_durability
from plaza.store.embedded import PrivatePostgres, reached, running
from plaza.store.embedded_cluster import CannotStart
from plaza.store.embedded_folder import FolderBusy, Layout
from plaza.store.embedded_server import LOG_BYTES, trim
from plaza.store.privilege import environment, runner_for
from plaza.store.trouble import Trouble

pytestmark = pytest.mark.anyio


async def ask(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetchval(statement) for statement in statements][-1]
    finally:
        await connection.close()


def alive(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_was_stored_is_there_after_a_stop_and_a_start(tmp_path: Path, source: Source) -> None:
    private = PrivatePostgres(tmp_path / "data", source)
    first = await private.start()
    await ask(first.url, "create table note (body text)", "insert into note values ('kept')")
    await private.stop()
    assert not alive(first.pid)

    again = await private.start()
    assert await ask(again.url, "select body from note") == "kept"
    await private.stop()
    assert (first.how, again.how) == ("created", "started")
    assert again.version == first.version == find_binaries(source).version
    # Generous for a machine that runs other tests; alone it is 0.7 s and 0.1 s.
    assert first.seconds < 10
    assert again.seconds < 3


async def test_texts_are_unicode_in_the_order_of_their_code_points_and_pages_have_checksums(
    tmp_path: Path, source: Source
) -> None:
    async with PrivatePostgres(tmp_path / "data", source) as started:
        connection = await asyncpg.connect(started.url)
        assert await connection.fetchval("show server_encoding") == "UTF8"
        assert await connection.fetchval("show data_checksums") == "on"
        rows = await connection.fetch("select word from unnest(array['b', 'a', 'B', 'é', 'Z']) word order by word")
        assert [row["word"] for row in rows] == ["B", "Z", "a", "b", "é"]
        assert await connection.fetchval("select lower('É')") == "é"
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("select rolsuper from pg_roles where rolname = current_user") is False
        await connection.close()


async def test_the_server_stops_with_an_exception(data: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with PrivatePostgres(data) as started:
            raise ZeroDivisionError
    assert not alive(started.pid)


async def test_a_second_start_is_told_who_has_the_folder_and_since_when(data: Path) -> None:
    async with PrivatePostgres(data) as started:
        since = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        with pytest.raises(FolderBusy, match=rf"process {os.getpid()}, since {since}") as busy:
            await PrivatePostgres(data).start()
        assert busy.value.pid == str(os.getpid())
        assert alive(started.pid)


async def test_another_process_reaches_the_server_that_runs_and_starts_one_where_none_does(data: Path) -> None:
    assert running(data) is None
    async with reached(data) as url:
        assert running(data) == url
        async with reached(data) as second:
            assert second == url
            assert await ask(second, "select 1") == 1
        assert await ask(url, "select 1") == 1
    assert running(data) is None


async def test_no_tcp_socket_is_opened_and_none_of_ours_is_kept(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        ours.set_inheritable(True)
        async with PrivatePostgres(data) as started:
            held = {os.readlink(entry) for entry in Path(f"/proc/{started.pid}/fd").iterdir()}
            tcp = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
            listening = {f"socket:[{line.split()[9]}]" for line in tcp.splitlines() if line.split()[0] != "sl"}
            assert not held & listening
            assert not {os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)} & (held - {"/dev/null"})
            assert os.getsid(started.pid) == started.pid, "a Ctrl-C in our terminal must not reach it"


async def test_the_secret_is_private_and_really_asked_for(tmp_path: Path, source: Source) -> None:
    layout = Layout(tmp_path / "data")
    async with PrivatePostgres(layout.root, source) as started:
        password = layout.password.read_text().strip()
        assert stat.S_IMODE(layout.password.stat().st_mode) == 0o600
        for folder in (layout.root, layout.home, layout.cluster, layout.home / "run"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(started.url.replace(password, "wrong"))
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(started.url, user="postgres", password="")
        assert await ask(started.url, "select 1") == 1


async def test_the_secret_is_on_no_command_line_in_no_log_and_in_no_repr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    layout = Layout(tmp_path / "data")
    shown: set[bytes] = set()

    async def look() -> None:
        while True:
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    shown.add(entry.read_bytes())
                except OSError:
                    continue
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    async with PrivatePostgres(layout.root) as started:
        looking.cancel()
        secret = layout.password.read_text().strip()
        assert any(b"initdb" in line for line in shown)
        assert not any(secret.encode() in line for line in shown)
        assert secret not in repr(started)
        assert secret not in layout.log.read_text()
        assert secret not in caplog.text


async def test_a_database_that_may_forget_is_refused_at_start(data: Path) -> None:
    private = PrivatePostgres(data)
    started = await private.start()
    await ask(started.url, "alter database plaza set synchronous_commit = off")
    await private.stop()
    with pytest.raises(NotDurable, match="synchronous_commit is off"):
        await private.start()
    assert private.pid is None


async def test_a_server_that_may_lose_writes_is_refused_even_when_it_is_not_ours(data: Path) -> None:
    layout = Layout(data)
    private = PrivatePostgres(layout.root)
    started = await private.start()
    await check_it(started.url)
    await private.stop()

    programs = find_binaries()
    sockets = layout.home / "run"
    settings = {"listen_addresses": "", "unix_socket_directories": sockets, "fsync": "off", "full_page_writes": "off"}
    arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    runner = runner_for(layout.home, programs.directory)
    foreign = subprocess.Popen(
        runner.command(programs.postgres, "-D", layout.cluster, *arguments),
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (sockets / ".s.PGSQL.5432").exists() or "ready" not in layout.pid_file.read_text():
            assert foreign.poll() is None
            await asyncio.sleep(0.01)
        with pytest.raises(NotDurable, match="fsync is off, full_page_writes is off"):
            await check_it(started.url)
    finally:
        foreign.terminate()
        foreign.wait()


async def check_it(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await check_durability(connection)
    finally:
        await connection.close()


async def test_alter_system_cannot_turn_durability_off_or_tcp_on(data: Path) -> None:
    layout = Layout(data)
    private = PrivatePostgres(layout.root)
    await private.start()
    await private.stop()
    with open(layout.cluster / "postgresql.auto.conf", "a") as conf:
        conf.write("fsync = off\nfull_page_writes = off\nlisten_addresses = '*'\nshared_buffers = 24MB\n")
    started = await private.start()
    await check_it(started.url)
    assert await ask(started.url, "show listen_addresses") == ""
    assert await ask(started.url, "show shared_buffers") == "24MB", "taste may be overruled"
    await private.stop()


@pytest.mark.parametrize("name", ["x" * 200, "with space, comma and 'quote'"])
async def test_a_folder_whose_name_no_socket_can_have_gets_a_private_short_one(
    made: Path, tmp_path: Path, name: str
) -> None:
    data = tmp_path / name / "data"
    shutil.copytree(made, data)
    private = PrivatePostgres(data)
    started = await private.start()
    sockets = sockets_of(started.url)
    assert not sockets.is_relative_to(tmp_path)
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert running(data) == started.url
    assert await ask(started.url, "select 1") == 1
    await private.stop()
    assert not sockets.exists()


async def test_a_short_socket_folder_that_a_kill_left_is_used_again_unless_it_may_be_somebody_elses(
    made: Path, tmp_path: Path
) -> None:
    data, copy = tmp_path / ("x" * 100) / "data", tmp_path / ("x" * 100) / "copy"
    shutil.copytree(made, data)
    private = PrivatePostgres(data)
    left = sockets_of((await private.start()).url)
    await private.stop()

    left.mkdir(0o700)
    Layout(data).sockets.symlink_to(left)
    shutil.copytree(data, copy, symlinks=True)
    async with PrivatePostgres(data) as again, PrivatePostgres(copy) as other:
        assert sockets_of(again.url) == left
        assert sockets_of(other.url) != left
    assert not left.exists()

    left.mkdir()
    left.chmod(0o777)
    Layout(data).sockets.symlink_to(left)
    async with PrivatePostgres(data) as again:
        assert sockets_of(again.url) != left
        assert stat.S_IMODE(sockets_of(again.url).stat().st_mode) == 0o700


def sockets_of(url: str) -> Path:
    return Path(dict(parse_qsl(urlsplit(url).query))["host"])


async def test_the_version_that_made_the_folder_opens_it_whatever_is_first_on_the_machine(tmp_path: Path) -> None:
    async with PrivatePostgres(tmp_path / "data", "wheel") as first:
        pass
    async with PrivatePostgres(tmp_path / "data") as again:
        assert again.version == first.version


async def test_a_folder_of_a_version_that_is_not_there_says_which_one_to_install(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.cluster.mkdir(parents=True)
    (layout.cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(NoSuchBinaries, match=r"PostgreSQL 9 was looked for .* found: .*postgresql-9"):
        await PrivatePostgres(layout.root).start()


async def test_a_start_that_fails_says_why_and_gives_the_folder_back(data: Path) -> None:
    layout = Layout(data)
    private = PrivatePostgres(layout.root)
    await private.start()
    await private.stop()
    conf = layout.cluster / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(good + "max_connections = many\n")
    with pytest.raises(CannotStart, match="max_connections"):
        await private.start()
    conf.write_text(good)
    await private.start()
    await private.stop()


async def test_a_lost_password_file_is_named(data: Path) -> None:
    layout = Layout(data)
    private = PrivatePostgres(layout.root)
    await private.start()
    await private.stop()
    layout.password.unlink()
    with pytest.raises(CannotStart, match="password file"):
        await private.start()


async def test_a_place_that_cannot_be_a_folder_is_a_sentence_not_a_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(Trouble, match="is of no use: Not a directory"):
            await PrivatePostgres(place).start()


def test_the_log_is_kept_small_while_the_server_writes_on(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    with open(log, "ab", buffering=0) as server:
        server.write(b"x" * (LOG_BYTES + 1))
        trim(log)
        server.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "postgres.log.1").stat().st_size == LOG_BYTES + 1


def test_the_programs_of_the_machine_come_first_and_those_of_the_wheel_else() -> None:
    wheel = find_binaries("wheel")
    try:
        assert find_binaries() == find_binaries("machine")
    except NoSuchBinaries:
        assert find_binaries() == wheel
    assert find_binaries(major=wheel.major).major == wheel.major
    assert find_binaries(wheel.directory) == wheel
    with pytest.raises(NoSuchBinaries, match=re.escape(sys.prefix)):
        find_binaries(Path(sys.prefix))
