"""Who PostgreSQL runs as: it refuses root, so root hands it to a user namespace or to an account without rights."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from plaza.store import embedded_child
from plaza.store.trouble import Trouble

# What a program of PostgreSQL may see of our environment: no PG* that would steer it, no secret of ours.
PASSED_ON = ("PATH", "TMPDIR", "TZDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
ACCOUNTS = ("postgres", "nobody")


class WrongUser(Trouble):
    """PostgreSQL cannot run for this user in this folder; the text says what was tried and what to do."""


class Runner(msgspec.Struct, frozen=True):
    """How a program of PostgreSQL is started; `owner` and `group` own its files on the disk.

    `inner` is the id that it sees of itself: in a namespace it is not root, while its files stay root's.
    """

    how: Literal["self", "namespace", "account"]
    owner: int
    group: int
    inner: int

    def command(self, *words: str | Path, parent: int = 0) -> list[str]:
        """The command line that runs `words`; none only tries the way.

        With `parent`, its pid, the program gets SIGINT when the thread that starts it ends (Linux).
        """
        identity = (self.inner, self.inner) if self.how == "namespace" else (self.owner, self.group)
        script = Path(embedded_child.__file__)
        return [sys.executable, "-I", "-S", "-B", *map(str, (script, self.how, *identity, parent, *words))]

    def own(self, path: Path) -> None:
        """Gives a file or folder that we made to the account; nothing to do for the other ways."""
        if self.how == "account":
            os.chown(path, self.owner, self.group, follow_symlinks=False)


def runner_for(folder: Path, programs: Path, *, made: bool = False) -> Runner:
    """The way to run PostgreSQL for us, with its data below `folder` and its programs in `programs`.

    A folder that is not root's is served as its owner, so that the owner can go on with it. A folder that we `made`
    just now may become one that an account can pass through. Raises `WrongUser`.
    """
    owned = folder.stat()
    if os.geteuid() != 0:
        if owned.st_uid != os.geteuid():
            raise WrongUser(f"{folder} belongs to {_name(owned.st_uid)}: start Plaza as that user, or choose another.")
        return Runner("self", os.geteuid(), os.getegid(), os.geteuid())
    if owned.st_uid != 0:
        return Runner("account", owned.st_uid, owned.st_gid, owned.st_uid)
    namespace = Runner("namespace", 0, os.getegid(), _inner_id())
    refusal = _refusal(namespace)
    if refusal is None:
        return namespace
    if made:
        folder.chmod(0o711)
    try:
        return _account(folder, programs, refusal)
    except WrongUser:
        if made:
            folder.chmod(0o700)
        raise


def environment() -> dict[str, str]:
    """The environment for a program of PostgreSQL."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _inner_id() -> int:
    # initdb looks its own account up, so the id inside must have a name.
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((each.pw_uid for each in pwd.getpwall() if each.pw_uid), 65534)


def _refusal(runner: Runner, *words: str | Path) -> str | None:
    """Why the runner cannot do this, None when it can."""
    tried = subprocess.run(  # noqa: S603 (our own script, without a shell)
        runner.command(*words), capture_output=True, text=True, check=False, env=environment(), cwd="/"
    )
    return None if tried.returncode == 0 else tried.stderr.strip()


def _account(folder: Path, programs: Path, refusal: str) -> Runner:
    """An account without rights that reaches both the folder and the programs."""
    test = shutil.which("test") or "/usr/bin/test"
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        runner = Runner("account", entry.pw_uid, entry.pw_gid, entry.pw_uid)
        if all(_refusal(runner, test, "-x", path) is None for path in (folder, programs / "postgres")):
            return runner
    raise WrongUser(
        f"PostgreSQL refuses to run as root. This kernel forbids user namespaces ({refusal}), and none of the accounts "
        f"{', '.join(ACCOUNTS)} can reach both {folder} and {programs}. Do one of these: start Plaza as an ordinary "
        f"user; choose a --data-dir that everybody may pass through (mode 0711), for example below /var/lib; allow "
        f"user namespaces (sysctl user.max_user_namespaces); or name a database of your own in PLAZA_DATABASE_URL."
    )
