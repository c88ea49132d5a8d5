"""A store without room: writes are refused, reads go on, readiness is off, and all of it ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog.testing

from plaza.kernel.errors import StoreFull
from plaza.store import room as rooms
from plaza.store.embedded import PrivatePostgres
from plaza.store.migrate import migrate
from plaza.store.room import Room
from tests.reached import remember
from tests.server import SETTINGS, Running
from tests.world import PATIENCE, Person, World

MEGABYTES = 160
FULL = (503, "store.full")


async def never() -> bool:
    raise AssertionError("nobody asked PostgreSQL")


async def test_the_state_does_not_flap_around_the_mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = [50.0]
    monkeypatch.setattr(rooms, "_free", lambda _: free[0])
    room = Room(tmp_path, 5.0, never)
    states = []
    with structlog.testing.capture_logs() as logs:
        for free[0] in (5.0, 4.9, 5.1, 5.9, 4.8, 6.0, 5.2, 4.9):
            await room.look()
            states.append(room.full)
    assert states == [False, True, True, True, True, False, False, True]
    assert [line["event"] for line in logs] == ["store.full", "store.writable", "store.full"]
    with pytest.raises(StoreFull):
        room.check()


async def test_a_refusal_of_postgresql_holds_until_it_has_room_again() -> None:
    answers = [False, False, True]

    async def probe() -> bool:
        return answers.pop(0)

    room = Room(None, 5.0, probe)
    await room.look()
    assert not room.full
    room.refused()
    states = []
    for _ in range(3):
        await room.look()
        states.append(room.full)
    assert states == [True, True, False]


async def test_a_folder_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path / "none", 5.0, never)
    await room.look()
    assert not room.full


async def test_below_the_mark_nothing_is_written_and_everything_can_be_read(
    own_database_url: str, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [50.0]
    monkeypatch.setattr(rooms, "_free", lambda _: free[0])
    monkeypatch.setattr(rooms, "CHECK_SECONDS", 0.02)
    with Running(own_database_url, msgspec.structs.replace(SETTINGS, data_dir=str(tmp_path))) as server:
        async with World(server, "client/community") as world:
            await goes_without_room_and_comes_back(world, lambda: _set(free, 4.0), lambda: _set(free, 50.0))
        remember(server, run_folder)


def _set(free: list[float], percent: float) -> None:
    free[0] = percent


async def goes_without_room_and_comes_back(
    world: World, fill: Callable[[], object], clear: Callable[[], object]
) -> None:
    """What a member meets before, while and after there is no room."""
    alice, bob = await world.north.people("alice", "bob")
    elsewhere, other = await world.south.people("alice", "bob")
    socket = await alice.socket()
    first = await alice.send(bob)
    fill()
    await until(lambda: is_refused(alice, bob))
    for prefix in ("client/community", "community"):
        body = {"to": bob.email, "content": "hello"}
        assert await alice.refused("POST", f"/{prefix}/messages", body) == FULL
        keyed = {"headers": {"idempotency-key": "k"}}
        assert await alice.refused("POST", f"/{prefix}/messages", body, **keyed) == FULL
    assert await elsewhere.refused("PUT", "people/me", {"about": "x"}) == FULL
    assert await elsewhere.refused("DELETE", f"blocks/{other.email}") == FULL
    sign_up = {"email": "eve@mail.test", "password": "a long one indeed", "firstName": "E", "lastName": "E"}
    answer = await world.http.post("/profile/customer/signup", json=sign_up, headers={"orgid": world.north.slug})
    assert (answer.status_code, answer.json()["reason"]) == FULL
    assert int(answer.headers["retry-after"]) >= 1
    assert (await socket.ask("sendMessage", {"to": bob.email, "content": "hello"}))["code"] == "store.full"
    assert (await socket.ask("markRead", {"messageId": first["id"]}))["code"] == "store.full"
    assert first["id"] in [message["id"] for message in (await alice.get(f"messages/thread/{bob.email}"))["data"]]
    assert isinstance(await socket.ask("getOnlineUsers"), list)
    assert (await socket.ask("typing", {"to": bob.email}))["success"] is True
    ready = await world.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "reason": "store.full"})
    assert (await world.http.get("/healthz")).status_code == 200
    clear()
    await until(lambda: is_sent(alice, bob))
    assert (await socket.ask("sendMessage", {"to": bob.email, "content": "hello"}))["success"] is True
    assert (await world.http.get("/readyz")).status_code == 200


async def is_refused(person: Person, to: Person) -> bool:
    answer = await person.ask("POST", "messages", json={"to": to.email, "content": secrets.token_hex(4_000)})
    assert (answer.status_code, answer.json().get("reason", "")) in ((201, ""), FULL)
    return answer.status_code == 503


async def is_sent(person: Person, to: Person) -> bool:
    return not await is_refused(person, to)


async def until(true: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(4 * PATIENCE):
        while not await true():
            await asyncio.sleep(0.02)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0755", "plaza-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root alone, where the machine allows it")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def small_store(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Path, str]]:
    """A private PostgreSQL on it, migrated."""
    monkeypatch.setattr(rooms, "CHECK_SECONDS", 0.05)
    async with PrivatePostgres(small_disk / "data") as started:
        await migrate(started.url)
        yield small_disk, started.url


def ballast(disk: Path, leave: int) -> Callable[[], None]:
    """Fills a disk up to some bytes."""

    def fill() -> None:
        block = bytes(64 * 1024)
        with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while shutil.disk_usage(disk).free > leave:
                file.write(block)

    return fill


async def test_a_small_disk_below_its_mark(small_store: tuple[Path, str]) -> None:
    disk, url = small_store
    settings = msgspec.structs.replace(SETTINGS, data_dir=str(disk / "data"))
    with Running(url, settings) as server:
        async with World(server, "client/community") as world:
            fill = ballast(disk, MEGABYTES * 1024 * 1024 // 25)
            await goes_without_room_and_comes_back(world, fill, (disk / "ballast").unlink)


async def test_a_disk_that_is_full_to_the_last_byte(small_store: tuple[Path, str]) -> None:
    """Without a mark: PostgreSQL itself has no room for another page, and says so."""
    disk, url = small_store
    settings = msgspec.structs.replace(SETTINGS, data_dir=str(disk / "data"), free_space_percent=0.0)
    with Running(url, settings) as server:
        async with World(server, "client/community") as world:
            await goes_without_room_and_comes_back(world, ballast(disk, 0), (disk / "ballast").unlink)
