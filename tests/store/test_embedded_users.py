"""The private PostgreSQL for root, for ordinary users and where the kernel forbids user namespaces."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import plaza
from plaza.store.embedded import PrivatePostgres
from plaza.store.embedded_folder import Layout

pytestmark = pytest.mark.anyio
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root's own troubles: run as root")

TRY = """
import asyncio, json, os, sys
from pathlib import Path
import asyncpg
from plaza.store.embedded import PrivatePostgres
from plaza.store.trouble import Trouble

async def main():
    data = Path(sys.argv[1])
    try:
        async with PrivatePostgres(data) as started:
            connection = await asyncpg.connect(started.url)
            await connection.execute("create table if not exists note (id int)")
            await connection.execute("insert into note values (1)")
            rows = await connection.fetchval("select count(*) from note")
            await connection.close()
            status = Path(f"/proc/{started.pid}/status").read_text()
            uid = int(status.split("Uid:")[1].split()[0])
            print(json.dumps({"rows": rows, "uid": uid, "how": started.how}))
    except Trouble as trouble:
        print(json.dumps({"trouble": type(trouble).__name__, "text": str(trouble)}))

asyncio.run(main())
"""
KILLED = """
import asyncio, os, sys
from pathlib import Path
from plaza.store.embedded import PrivatePostgres

print(asyncio.run(PrivatePostgres(Path(sys.argv[1])).start()).pid, flush=True)
os.kill(os.getpid(), 9)
"""
# Only root outside can map many ids, so it waits for the child to be in its namespace and then maps them from here.
MAPS = """
import os, sys
from pathlib import Path

child = os.fork()
if child == 0:
    wait = 'read go <"$0"; exec "$@"'
    os.execvp("unshare", ["unshare", "--user", "sh", "-c", wait, *sys.argv[1:]])
while os.readlink(f"/proc/{child}/ns/user") == os.readlink("/proc/self/ns/user"):
    pass
for name in ("uid_map", "gid_map"):
    Path(f"/proc/{child}/{name}").write_text("0 0 70000")
Path(sys.argv[1]).write_text("go")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
"""
# What the interpreter of another user needs to find all that this one has.
PYTHON_PATH = os.pathsep.join({str(Path(module.__file__ or "").parents[1]) for module in (plaza, msgspec)})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="plaza-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def modes(*paths: Path) -> list[tuple[int, int, int]]:
    found = [path.stat() for path in paths]
    return [(stat.S_IMODE(each.st_mode), each.st_uid, each.st_gid) for each in found]


def attempt(prefix: list[str], data: Path, python: str = sys.executable) -> dict[str, object]:
    command = [*prefix, python, "-B", "-c", TRY, str(data)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd="/", env={**os.environ, "PYTHONPATH": PYTHON_PATH}
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@as_root
async def test_root_is_served_in_a_closed_folder_and_no_mode_or_owner_changes(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    data = closed / "data"
    data.mkdir(parents=True)
    data.chmod(0o750)
    closed.chmod(0o700)
    before = modes(data, closed, tmp_path, *tmp_path.parents)
    async with PrivatePostgres(data) as started:
        assert Path(f"/proc/{started.pid}/status").read_text().split("Uid:")[1].split()[0] == "0", "on the disk: root"
        assert os.readlink(f"/proc/{started.pid}/ns/user") != os.readlink("/proc/self/ns/user")
    assert modes(data, closed, tmp_path, *tmp_path.parents) == before
    assert {path.stat().st_uid for path in data.rglob("*")} == {0}


@as_root
def test_an_ordinary_user_is_served_directly(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    prefix = _as(nobody)
    told = attempt(prefix, data, _python_for(prefix))
    assert (told["rows"], told["uid"]) == (1, nobody.pw_uid)
    assert told == {**attempt(prefix, data, _python_for(prefix)), "rows": 1, "how": "created"}


@as_root
def test_root_serves_the_folder_of_an_ordinary_user_as_that_user_who_can_then_go_on(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    data = open_folder / "data"
    data.mkdir(0o700)
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    assert attempt([], data) == {"rows": 1, "uid": nobody.pw_uid, "how": "created"}
    assert {path.stat().st_uid for path in data.rglob("*")} == {nobody.pw_uid}
    prefix = _as(nobody)
    assert attempt(prefix, data, _python_for(prefix)) == {"rows": 2, "uid": nobody.pw_uid, "how": "started"}


def _as(user: pwd.struct_passwd) -> list[str]:
    # The shell between, because setpriv itself still looks up its command with root's rights.
    return [
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "sh",
        "-c",
        'exec "$@"',
        "sh",
    ]


def _python_for(prefix: list[str]) -> str:
    """An interpreter of our version that this user may run and that finds our packages."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        tried = subprocess.run(
            [*prefix, python, "-B", "-c", "import plaza.store.embedded"],
            env={**os.environ, "PYTHONPATH": PYTHON_PATH},
            capture_output=True,
            cwd="/",
        )
        if tried.returncode == 0:
            return python
    pytest.skip(f"no Python {version} with our packages that another user may run (this one is in {sys.executable})")


@as_root
def test_the_folder_of_somebody_else_is_refused(open_folder: Path) -> None:
    data = open_folder / "data"
    data.mkdir(0o755)
    prefix = _as(pwd.getpwnam("nobody"))
    told = attempt(prefix, data, _python_for(prefix))
    assert told["trouble"] == "WrongUser"


@pytest.fixture
def no_namespaces(tmp_path: Path) -> list[str]:
    """A prefix that runs a command as a root (of 70,000 ids) whom the kernel forbids any further user namespace."""
    go = tmp_path / "go"
    os.mkfifo(go)
    forbid = 'echo 0 >/proc/sys/user/max_user_namespaces || exit 9; exec "$@"'
    prefix = [sys.executable, "-c", MAPS, str(go), "sh", "-c", forbid, "sh"]
    refused = "unshare --user true 2>/dev/null || echo refused"
    tried = subprocess.run([*prefix, "sh", "-c", refused], capture_output=True, text=True, timeout=20)
    if tried.stdout.strip() != "refused":
        pytest.skip(f"user namespaces cannot be forbidden here: {tried.stdout} {tried.stderr}")
    return prefix


@as_root
def test_where_namespaces_are_forbidden_an_account_without_rights_serves(
    open_folder: Path, no_namespaces: list[str]
) -> None:
    before = modes(open_folder)
    data = open_folder / "data"
    accounts = [pwd.getpwnam(name).pw_uid for name in ("postgres", "nobody") if _known(name)]
    for rows in (1, 2):
        told = attempt(no_namespaces, data)
        assert (told.get("rows"), told.get("uid")) == (rows, accounts[0]), told
    assert modes(open_folder) == before
    layout = Layout(data)
    assert modes(layout.root, layout.home)[0][0:2] == (0o711, 0)
    assert modes(layout.home)[0][0:2] == (0o700, accounts[0])


def _known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@as_root
def test_where_namespaces_are_forbidden_and_no_account_reaches_the_folder_it_is_said_what_to_do(
    tmp_path: Path, open_folder: Path, no_namespaces: list[str]
) -> None:
    closed, existing = tmp_path / "home", open_folder / "data"
    closed.mkdir(mode=0o700)
    existing.mkdir(mode=0o700)
    before = modes(closed, tmp_path, existing)
    told = attempt(no_namespaces, closed / "data")
    assert told["trouble"] == "WrongUser"
    for word in ("refuses to run as root", "--data-dir", "max_user_namespaces", "PLAZA_DATABASE_URL"):
        assert word in str(told["text"])
    assert modes(closed / "data")[0][0] == 0o700
    assert attempt(no_namespaces, existing)["trouble"] == "WrongUser"
    assert modes(closed, tmp_path, existing) == before


@as_root
def test_where_namespaces_are_forbidden_too_a_killed_plaza_leaves_no_server(
    open_folder: Path, no_namespaces: list[str]
) -> None:
    command = [*no_namespaces, sys.executable, "-B", "-c", KILLED, str(open_folder / "data")]
    killed = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    assert killed.returncode == 256 - 9
    assert killed.stdout.strip().isdigit()
    deadline = time.monotonic() + 10
    # An empty command line is that of a process which is dead and not yet buried.
    left = Path(f"/proc/{killed.stdout.strip()}/cmdline")
    while left.exists() and left.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
