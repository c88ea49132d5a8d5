"""The data folder of the private PostgreSQL: where things lie, whose turn it is, the secret, the socket's place."""

import datetime
import fcntl
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from plaza.store.embedded_processes import mark
from plaza.store.privilege import Runner, WrongUser
from plaza.store.trouble import Trouble

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET = 107 if sys.platform == "linux" else 103
LEFT_OVER_SECONDS = 1.0
# A comma or a quote in the socket's folder means something else to libpq, to asyncpg and to the server's settings.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+@=~-]+")


class FolderBusy(Trouble):
    """Another process holds the data folder: `pid`, and `since` (as it wrote it, UTC)."""

    def __init__(self, folder: Path, pid: str, since: str) -> None:
        super().__init__(f"Plaza already runs on {folder}: process {pid}, since {since}.")
        self.folder, self.pid, self.since = folder, pid, since


class Layout(msgspec.Struct, frozen=True):
    """Where things lie in the data folder `root`; everything of PostgreSQL is in `home`."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "plaza.lock"

    @property
    def home(self) -> Path:
        return self.root / "postgres"

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def password(self) -> Path:
        return self.home / "password"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def sockets(self) -> Path:
        return self.home / "run"

    @property
    def pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    def major(self) -> int | None:
        """The major version of the cluster, None when there is none yet."""
        try:
            return int((self.cluster / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None


def make(folder: Path, *, parents: bool = False) -> bool:
    """Makes a folder for us alone, unless it is there; True when it was made."""
    try:
        folder.mkdir(0o700, parents=parents)
    except FileExistsError:
        return False
    return True


def take_lock(layout: Layout) -> int:
    """Takes the folder for the life of this process and returns the lock's descriptor; raises `FolderBusy`.

    A holder that was killed may have left a child which has the descriptor until it becomes another program: it is
    waited for, `LEFT_OVER_SECONDS` at most.
    """
    patient = time.monotonic() + LEFT_OVER_SECONDS
    while True:
        try:
            return _try_lock(layout)
        except FolderBusy as busy:
            if _is_alive(busy.pid) or time.monotonic() > patient:
                raise
        time.sleep(0.02)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def _try_lock(layout: Layout) -> int:
    try:
        # Not inherited by any child, so a killed Plaza cannot leave the lock with somebody else.
        lock = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except PermissionError:
        raise WrongUser(f"{layout.root} is another user's: start Plaza as that user, or choose another.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 200).decode().split()
        os.close(lock)
        pid, since = holder if len(holder) == 2 else ("unknown", "a moment ago")
        raise FolderBusy(layout.root, pid, since) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)
    _give_to_owner_of(layout.root, lock)
    return lock


def _give_to_owner_of(folder: Path, descriptor: int) -> None:
    # Root serving somebody's folder must not leave a lock there that the owner cannot open.
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def secret(layout: Layout, runner: Runner) -> str:
    """The password of the private server, made on first use; only the owner may read its file."""
    try:
        return layout.password.read_text().strip()
    except FileNotFoundError:
        write(layout.password, secrets.token_urlsafe(32) + "\n", runner)
        return layout.password.read_text().strip()


def write(path: Path, text: str, runner: Runner) -> None:
    """Writes a file of mode 0600 whole or not at all, even if the power fails."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    runner.own(fresh)
    fresh.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def socket_folder(layout: Layout, runner: Runner) -> Path:
    """A folder for the socket that only the owner may enter: in the data folder, or a short one when that is too long.

    A short one has an unguessable name, so that nobody can have put it there before us; a link to it stays in the
    data folder, so that a killed Plaza leaves one behind and not one for each time.
    """
    usual = layout.sockets
    if fits(usual):
        drop_short_socket_folder(layout)
        make(usual)
        runner.own(usual)
        return usual
    if (kept := _kept(layout, runner)) is not None:
        return kept
    drop_short_socket_folder(layout)
    shutil.rmtree(usual, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{mark(layout.home)}-", dir=_short_place(runner)))
    runner.own(fresh)
    usual.symlink_to(fresh)
    return fresh


def drop_short_socket_folder(layout: Layout) -> None:
    """Takes a short socket folder away; harmless when there is none."""
    if layout.sockets.is_symlink():
        target = layout.sockets.readlink()
        layout.sockets.unlink()
        if target.name.startswith(f"{mark(layout.home)}-"):
            shutil.rmtree(target, ignore_errors=True)


def fits(folder: Path) -> bool:
    """Whether a socket in the folder has a path that the kernel, libpq and asyncpg accept."""
    path = str(folder / SOCKET_NAME)
    return len(path) <= LONGEST_SOCKET and PLAIN_PATH.fullmatch(path) is not None


def _kept(layout: Layout, runner: Runner) -> Path | None:
    """The short folder of the last time, if nobody else has taken its place and it is not that of a copied folder."""
    try:
        target = layout.sockets.readlink()
        found = target.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == runner.owner
    return target if private and target.name.startswith(f"{mark(layout.home)}-") else None


def _short_place(runner: Runner) -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and runner.how != "account" and fits(Path(runtime) / ("x" * 40)) and Path(runtime).is_dir():
        found = Path(runtime).stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700:
            return runtime
    return "/tmp"  # noqa: S108 (only the parent of a folder of our own)
