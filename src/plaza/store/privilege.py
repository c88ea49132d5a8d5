"""Who PostgreSQL runs as: it refuses root, so root hands it to a user namespace or to an account without rights."""

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from plaza.store import embedded_child

# What a program of PostgreSQL may see of our environment: no PG* that would steer it, no secret of ours.
PASSED_ON = ("PATH", "TMPDIR", "TZDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class CannotRunAsRoot(Exception):
    """No way was found to run PostgreSQL for root; the text says what was tried and what to do."""


class Runner(msgspec.Struct, frozen=True):
    """How a program of PostgreSQL is started; `owner` and `group` own its files on the disk.

    `inner` is the id that it sees of itself: in a namespace it is not root, while its files stay root's.
    """

    how: Literal["self", "namespace", "account"]
    owner: int
    group: int
    inner: int

    def command(self, program: Path, *arguments: str | Path, parent: int = 0) -> list[str]:
        """The command line; with `parent` (a pid), the program gets SIGINT when the parent's thread ends."""
        identity = (self.inner, self.inner) if self.how == "namespace" else (self.owner, self.group)
        words = (self.how, *identity, parent, program, *arguments)
        script = Path(embedded_child.__file__)
        return [sys.executable, "-I", "-S", "-B", str(script), *map(str, words)]

    def own(self, path: Path) -> None:
        """Gives a file or folder that we made to the account; nothing to do for the other ways."""
        if self.how == "account":
            os.chown(path, self.owner, self.group, follow_symlinks=False)


def runner_for(folder: Path, programs: Path) -> Runner:
    """The way to run PostgreSQL for us, with its data below `folder` and its programs in `programs`.

    A folder that is not root's is served as its owner, so that the owner can go on with it. Raises `CannotRunAsRoot`.
    """
    if os.geteuid() != 0:
        return Runner("self", os.geteuid(), os.getegid(), os.geteuid())
    owned = folder.stat()
    if owned.st_uid != 0:
        return Runner("account", owned.st_uid, owned.st_gid, owned.st_uid)
    namespace = Runner("namespace", 0, os.getegid(), _inner_id())
    refusal = _try(namespace)
    if refusal is None:
        return namespace
    return _account(folder, programs, refusal)


def environment() -> dict[str, str]:
    """The environment for a program of PostgreSQL."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}


def _inner_id() -> int:
    # initdb looks its own account up, so the id inside must have a name.
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((each.pw_uid for each in pwd.getpwall() if each.pw_uid), 65534)


def _try(runner: Runner, *command: str | Path) -> str | None:
    """Why the runner cannot start a program, or None."""
    arguments = runner.command(Path("/nowhere"))[:-1] if not command else runner.command(Path(command[0]), *command[1:])
    tried = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment())  # noqa: S603
    return None if tried.returncode == 0 else tried.stderr.strip()


def _account(folder: Path, programs: Path, refusal: str) -> Runner:
    """An account without rights that reaches both the folder and the programs."""
    test = Path("/usr/bin/test") if Path("/usr/bin/test").exists() else Path("/bin/test")
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        runner = Runner("account", entry.pw_uid, entry.pw_gid, entry.pw_uid)
        if all(_try(runner, test, "-x", path) is None for path in (folder, programs / "postgres")):
            return runner
    raise CannotRunAsRoot(
        f"PostgreSQL refuses to run as root. This kernel forbids user namespaces ({refusal}), and neither "
        f"account postgres nor nobody can reach both {folder} and {programs}. Do one of these: start Plaza as an ordinary user; "
        f"choose a --data-dir that everybody may enter (mode 0711), for example under /var/lib; allow user namespaces "
        f"(sysctl user.max_user_namespaces); or name a database of your own in PLAZA_DATABASE_URL."
    )
