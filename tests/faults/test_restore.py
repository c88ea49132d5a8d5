"""A restore beside a running server is refused in words, and nobody notices it (A6)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import asyncpg

from plaza.store.backup import backup
from plaza.store.migration_steps import Batch
from plaza.store.serving_lock import exclusive
from tests.faults.length import length
from tests.faults.people import Person, community
from tests.faults.servers import Served, serving
from tests.faults.wire import Line

SECONDS = 60.0


async def plaza(*words: str, folder: Path) -> tuple[int, str]:
    """Runs the command; its exit status and its words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "plaza",
        *words,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def delivered(served: Served, sender: Person, reader: Person) -> None:
    """Sends a message over one socket and waits until it has come in at another one."""
    came = asyncio.Event()
    listening = await Line.open(served.port, reader, lambda event, _: came.set() if event == "newMessage" else None)
    writing = await Line.open(served.port, sender, lambda _event, _payload: None)
    answer = await writing.ask("sendMessage", {"to": reader.email, "content": "Still here"})
    assert answer["success"], answer
    await asyncio.wait_for(came.wait(), SECONDS)
    await listening.close()
    await writing.close()


async def test_a_restore_beside_a_running_server_is_refused_and_events_go_on(tmp_path: Path) -> None:
    file = tmp_path / "plaza.backup"
    served = Served(tmp_path / "plaza")
    async with serving(served):
        anna, bert = (await community(served.database_url)).people("anna", "bert")
        assert await plaza("db", "backup", str(file), *served.store_options, folder=tmp_path) == (0, f"Wrote {file}.\n")
        await delivered(served, anna, bert)
        status, words = await plaza("db", "restore", str(file), *served.store_options, folder=tmp_path)
        assert status == 1
        assert f"in use by plaza serve (process {served.pid} on" in words
        assert "Stop every server on it first; nothing was changed." in words
        await delivered(served, anna, bert)
        served.tell(signal.SIGTERM)
        assert await served.ended(SECONDS) == 0
        assert (await plaza("db", "restore", str(file), *served.store_options, folder=tmp_path))[0] == 0
        await served.start()
        await delivered(served, anna, bert)
        assert served.broken() == []


async def test_a_restore_into_a_database_that_another_node_serves_is_refused_whoever_leads(
    tmp_path: Path, own_database_url: str
) -> None:
    file = tmp_path / "plaza.backup"
    file.write_text("The store is asked for before the file is read.")
    one = Served(tmp_path / "one", database_url=own_database_url)
    two = Served(tmp_path / "two", database_url=own_database_url, workers=2)
    async with serving(one, two):
        status, words = await plaza("db", "restore", str(file), *one.store_options, folder=tmp_path)
        assert (status, words.count("plaza serve (process")) == (1, 4), "a node, a parent and its two children"
        os.kill(one.pid, signal.SIGKILL)
        await one.ended(SECONDS)
        status, words = await plaza("db", "restore", str(file), *one.store_options, folder=tmp_path)
        assert (status, f"(process {two.pid} on" in words) == (1, True)


async def test_a_server_that_starts_while_a_restore_is_at_work_is_refused(
    tmp_path: Path, own_database_url: str
) -> None:
    served = Served(tmp_path / "plaza", database_url=own_database_url)
    async with exclusive(own_database_url):
        served.launch()
        assert await served.ended(SECONDS) == 1
    assert "The store is being restored by plaza db restore (process" in served.log
    assert "Traceback" not in served.log
    async with serving(served):
        pass


async def test_a_restore_and_a_start_at_once_are_one_behind_the_other(
    tmp_path: Path, own_database_url: str, dice: random.Random
) -> None:
    file = tmp_path / "plaza.backup"
    served = Served(tmp_path / "plaza", database_url=own_database_url)
    people = (await community(own_database_url)).people("anna", "bert")
    await backup(own_database_url, file)
    try:
        for _ in range(length(1, 20)):
            restoring = asyncio.create_task(plaza("db", "restore", str(file), *served.store_options, folder=tmp_path))
            await asyncio.sleep(dice.uniform(0, 1.5))
            served.launch()
            status, words = await restoring
            assert status == 0 or "in use by plaza serve" in words, words
            if await started(served):
                await delivered(served, *people)
                served.tell(signal.SIGTERM)
                assert await served.ended(20) == 0
            else:
                assert "being restored by plaza db restore" in served.log
        assert served.broken() == []
    finally:
        await served.stop()


async def started(served: Served) -> bool:
    """Whether it serves, or has ended in words."""
    try:
        await served.ready()
    except AssertionError:
        return False
    return True


async def test_a_migration_by_hand_beside_a_running_server_does_nothing_or_says_that_it_is_too_old(
    tmp_path: Path, own_database_url: str
) -> None:
    served = Served(tmp_path / "plaza", database_url=own_database_url)
    connection = await asyncpg.connect(own_database_url)
    await Batch(connection).report("member.name_taken", "Two are called Anna.", "Rename one.")
    async with serving(served):
        assert "findings of upgrades: 1; plaza doctor lists them" in served.log
        people = (await community(own_database_url)).people("anna", "bert")
        status, words = await plaza("db", "migrate", *served.store_options, folder=tmp_path)
        assert (status, words) == (0, "Findings of upgrades: 1; plaza doctor lists them.\n")
        await delivered(served, *people)
        await connection.execute("insert into migration select max(number) + 1, 'newer.sql', 'x' from migration")
        await connection.close()
        status, words = await plaza("db", "migrate", *served.store_options, folder=tmp_path)
        assert (status, "use the newer version" in words) == (1, True)
        await delivered(served, *people)
