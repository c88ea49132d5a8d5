"""The private PostgreSQL when something is killed: nothing acknowledged is lost, nothing is left over."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from plaza.store import embedded_processes as processes
from plaza.store.binaries import Source
from plaza.store.embedded import PrivatePostgres
from plaza.store.embedded_folder import FolderBusy, Layout, take_lock
from plaza.store.privilege import environment, runner_for

pytestmark = pytest.mark.anyio

# Whoever is in the middle of a long computation does not hear for a while that the postmaster is dead.
BUSY = "select count(*) from generate_series(1, 1000000000)"
WRITES_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
import asyncpg
from plaza.store.embedded import PrivatePostgres

async def main():
    started = await PrivatePostgres(Path(sys.argv[1]), sys.argv[2]).start()
    connection = await asyncpg.connect(started.url)
    await connection.execute("create table if not exists note (id int primary key)")
    first = await connection.fetchval("select coalesce(max(id), 0) from note")
    for number in range(first + 1, 1_000_000):
        await connection.execute("insert into note values ($1)", number)
        print(number, flush=True)

asyncio.run(main())
"""


HOLDS_FOR_A_MOMENT = """
import os, sys, time
from pathlib import Path
from plaza.store.embedded_folder import Layout, make, take_lock

layout = Layout(Path(sys.argv[1]))
make(layout.root)
make(layout.home)
take_lock(layout)
if os.fork() == 0:  # a child that has not become another program yet
    time.sleep(0.4)
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


async def until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def servers(layout: Layout) -> list[int]:
    return processes.marked(processes.mark(layout.cluster)) if layout.cluster.exists() else []


async def test_after_a_kill_of_plaza_its_server_goes_and_every_acknowledged_row_is_there(
    tmp_path: Path, source: Source
) -> None:
    layout = Layout(tmp_path / "data")
    acked = 0
    for _ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITES_UNTIL_KILLED, layout.root, str(source)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout
        for line in writer.stdout:
            acked = int(line)
            if acked % 100 == 0:
                writer.kill()
        writer.wait()
        writer.stdout.close()

    await until(lambda: not servers(layout))
    async with PrivatePostgres(layout.root, source) as started:
        connection = await asyncpg.connect(started.url)
        count, last = await connection.fetchrow("select count(*), max(id) from note")
        await connection.close()
    # One more may be there: committed, and killed before it was said.
    assert acked >= 200
    assert count == last
    assert last in (acked, acked + 1)


async def test_a_server_that_was_left_running_is_taken_over(tmp_path: Path, source: Source) -> None:
    layout = Layout(tmp_path / "data")
    private = PrivatePostgres(layout.root, source)
    first = await private.start()
    assert private.pid
    command = Path(f"/proc/{private.pid}/cmdline").read_text().rstrip("\0").split("\0")
    await private.stop()
    runner = runner_for(layout.home, Path(command[0]).parent)
    # Without a parent to die with: what a kernel without that signal would leave.
    left = subprocess.Popen(runner.command(*command), env=environment(), stderr=subprocess.DEVNULL)
    await until(lambda: layout.pid_file.exists() and "ready" in layout.pid_file.read_text())
    connection = await asyncpg.connect(first.url)
    await connection.execute("create table note as select 1 as id")

    again = await private.start()
    assert again.how == "recovered"
    assert left.wait(timeout=5) == 0
    assert len(processes.postmasters(processes.mark(layout.cluster))) == 1
    fresh = await asyncpg.connect(again.url)
    assert await fresh.fetchval("select id from note") == 1
    await fresh.close()
    connection.terminate()
    await private.stop()


async def test_a_killed_postmaster_is_started_again_though_a_child_of_it_still_works(
    tmp_path: Path, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="plaza.store")
    private = PrivatePostgres(tmp_path / "data", source)
    started = await private.start()
    watching = asyncio.create_task(private.watch())
    connection = await asyncpg.connect(started.url)
    await connection.execute("create table note (id int)")
    busy = asyncio.create_task(connection.execute(BUSY))
    for round_ in range(1, 3):
        await ask(started.url, f"insert into note values ({round_})")
        dead = private.pid
        assert dead
        os.kill(dead, signal.SIGKILL)
        await until(lambda: caplog.text.count("PostgreSQL is back") == round_)  # noqa: B023 (awaited at once)
        assert await ask(started.url, "select count(*) from note") == round_
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await busy
    await private.stop()
    await asyncio.wait_for(watching, 5)
    assert not servers(Layout(tmp_path / "data"))


async def ask(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_only_processes_of_the_server_are_taken_for_it(data: Path) -> None:
    private = PrivatePostgres(data)
    await private.start()
    name = processes.mark(Layout(data).cluster)
    looking = subprocess.Popen(["sh", "-c", "sleep 60; true", f"cluster_name={name}", f"postgres: {name}:"])
    try:
        os.kill(private.pid or 0, signal.SIGKILL)
        await private.stop()
        async with PrivatePostgres(data) as started:
            assert started.how == "recovered"
        assert looking.poll() is None
    finally:
        looking.kill()
        looking.wait()


async def test_where_there_is_no_proc_the_processes_are_found_as_well(data: Path) -> None:
    if not shutil.which("ps"):
        pytest.skip("ps is not installed (Debian: apt install procps)")
    async with PrivatePostgres(data):
        name = processes.mark(Layout(data).cluster)
        by_ps, by_proc = (dict(found) for found in (processes.titles_by_ps(), processes.titles()))
        found = processes.marked(name)
        assert len(found) >= 4
        assert {pid: by_ps[pid].strip() for pid in found} == {pid: by_proc[pid].strip() for pid in found}


async def test_a_cancelled_watch_leaves_the_server_alone(data: Path) -> None:
    private = PrivatePostgres(data)
    started = await private.start()
    watching = asyncio.create_task(private.watch())
    await asyncio.sleep(0)
    watching.cancel()
    await asyncio.wait([watching])
    assert watching.cancelled()
    assert await ask(started.url, "select 1") == 1
    await private.stop()


async def test_a_stop_ends_the_watch_in_whatever_it_is_doing_and_no_server_comes_after(data: Path) -> None:
    for seconds in (0.0, 0.25, 0.35):
        private = PrivatePostgres(data)
        started = await private.start()
        watching = asyncio.create_task(private.watch())
        connection = await asyncpg.connect(started.url)
        busy = asyncio.create_task(connection.execute(BUSY))
        await asyncio.sleep(0.05)
        os.kill(started.pid, signal.SIGKILL)
        await asyncio.sleep(seconds)
        await private.stop()
        await asyncio.wait_for(watching, 1)
        assert not servers(Layout(data))
        assert private.pid is None
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await busy
    # The folder is free for another, whom the last watch must not disturb.
    async with PrivatePostgres(data) as other:
        await asyncio.sleep(0.3)
        assert await ask(other.url, "select 1") == 1


async def test_a_pid_that_was_given_to_somebody_else_confuses_nobody(data: Path) -> None:
    layout = Layout(data)
    async with PrivatePostgres(layout.root) as started:
        await ask(started.url, "create table note as select 1 as id")
        lines = layout.pid_file.read_text().splitlines()
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        layout.pid_file.write_text("\n".join([str(innocent.pid), *lines[1:]]) + "\n")
        async with PrivatePostgres(layout.root) as started:
            assert started.how == "recovered"
            assert await ask(started.url, "select id from note") == 1
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


async def test_a_killed_plaza_keeps_nobody_out_by_a_child_that_was_about_to_begin(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    holder = subprocess.Popen([sys.executable, "-c", HOLDS_FOR_A_MOMENT, layout.root], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout as said:
        said.readline()
        with pytest.raises(FolderBusy):
            take_lock(layout)
        holder.kill()
        holder.wait()
        os.close(take_lock(layout))


async def test_a_first_start_that_was_killed_in_the_middle_is_done_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    for seconds in (0.0, 0.05, 0.15):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITES_UNTIL_KILLED, layout.root, "auto"], stdout=subprocess.DEVNULL
        )
        await until(lambda: list(layout.home.glob("cluster.*.partial")))
        await asyncio.sleep(seconds)
        writer.kill()
        writer.wait()
        assert not layout.cluster.exists(), "the test came too late"
    (layout.home / "cluster.dead.partial" / "base").mkdir(parents=True)
    async with PrivatePostgres(layout.root) as started:
        assert started.how == "created"
        assert await ask(started.url, "select 1") == 1
        assert not list(layout.home.glob("cluster.*.partial"))


async def test_a_first_start_that_was_killed_before_the_database_was_made_is_finished(data: Path) -> None:
    private = PrivatePostgres(data)
    started = await private.start()
    superuser = await asyncpg.connect(started.url, user="postgres", database="postgres")
    await superuser.execute("drop database plaza")
    await superuser.execute("drop role plaza")
    await superuser.close()
    await private.stop()
    async with private as again:
        assert await ask(again.url, "select current_user") == "plaza"
