"""Settings: one frozen struct from flags, `PLAZA_*` variables, `plaza.toml` and safe defaults, in that order."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that only this computer reaches; pages for developing are served nowhere else."""

LAST_PORT = 65_535
LETTERS_PER_NETWORK, LETTERS_PER_ORGANISATION = 60, 1_000
PERSON_BYTES_A_DAY, ORGANISATION_BYTES_A_DAY = 100_000_000, 10_000_000_000
DEFAULT_PORTS = {"http": "80", "https": "443"}
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:*\[\]]+)(?::(?P<port>\d{1,5}))?/?"
)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may decide; every default is safe to run."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=LAST_PORT)] = 8000
    data_dir: str = "./plaza-data"
    database_url: str | None = None
    """A PostgreSQL of your own (15 or newer); without one Plaza runs a private one in `data_dir`."""
    postgres: Literal["auto", "machine", "wheel"] = "auto"
    """Whose binaries the private PostgreSQL runs: found on the machine, else those of the wheel."""
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    bus_url: Annotated[str, Meta(pattern="^(redis|rediss|unix)://")] | None = None
    """A Redis or Valkey between several nodes: redis://user:password@host:port/number, rediss://…; else PostgreSQL."""
    pool_size: Annotated[int, Meta(ge=2, le=100)] = 10
    rate_limits: Literal["on", "off"] = "on"
    person_bytes_a_day: Annotated[int, Meta(ge=1_048_576)] = PERSON_BYTES_A_DAY
    """What one person may write in a day: bytes of request bodies and of the payloads of events."""
    organisation_bytes_a_day: Annotated[int, Meta(ge=1_048_576)] = ORGANISATION_BYTES_A_DAY
    """The same of everybody in an organisation together."""
    free_space_percent: Annotated[float, Meta(ge=0, le=50)] = 5.0
    """With less than this free on the disk of `data_dir` nothing is written; 0 for no such mark."""
    cors_origins: list[str] = []
    """Origins of browsers that may call the API and open sockets, beside its own; `*` for any (no cookie is used)."""
    trusted_proxies: list[str] = []
    """Addresses and networks of the proxies whose `X-Forwarded-For` says where a client is; without one, none does."""
    head_bytes: Annotated[int, Meta(ge=4_096, le=1_048_576)] = 32_768
    """Of an HTTP request without its body; this and the next seven stand in docs/limits.md."""
    head_lines: Annotated[int, Meta(ge=20, le=1_000)] = 100
    head_seconds: Annotated[float, Meta(gt=0, le=600)] = 10.0
    body_bytes: Annotated[int, Meta(ge=131_072, le=16_777_216)] = 262_144
    body_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    write_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    connections_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    connections: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Of one process; 0: as many as its limit of open files allows."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    smtp_url: str | None = None
    """Where mail goes: smtp://user:password@host:port or smtps://…; without it mail stays at /outbox."""
    mail_from: str = "Plaza <plaza@localhost>"
    metrics_token: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{16,200}$")] | None = None
    """What a scraper elsewhere sends as `Authorization: Bearer …` to `/metrics`; without it only this computer may."""
    letters_per_network: Annotated[int, Meta(ge=1, le=1_000_000)] = LETTERS_PER_NETWORK
    letters_per_organisation: Annotated[int, Meta(ge=1, le=1_000_000)] = LETTERS_PER_ORGANISATION
    """Mails an hour that strangers may cause: sign-ups and forgotten passwords."""
    public_url: str | None = None
    """The address at which people reach this server, for links in mail."""

    def __post_init__(self) -> None:
        for entry in self.trusted_proxies:
            _check_proxy(entry)
        msgspec.structs.force_setattr(self, "cors_origins", [_origin(entry) for entry in self.cors_origins])

    @property
    def allowed_origins(self) -> list[str]:
        """Origins that browsers may come from beside that of the host they asked for: the named ones, and our own."""
        try:
            found = urlsplit(self.public_url or "")
            return [*self.cors_origins, _origin(f"{found.scheme}://{found.netloc}")]
        except ValueError:  # no address, or none that a browser would send
            return self.cors_origins

    @property
    def outbox(self) -> bool:
        """Whether mail waits here and is shown at /outbox."""
        return self.smtp_url is None

    @property
    def outbox_without_key(self) -> bool:
        """Whether a browser on this computer may see /outbox without the key: only where nobody elsewhere comes in."""
        return self.host in LOOPBACK and not self.trusted_proxies

    @property
    def limit_amounts(self) -> dict[str, int]:
        """The amounts that replace those of limits, by their names; only what differs."""
        given = {
            "accounts.letters_network": self.letters_per_network,
            "accounts.letters": self.letters_per_organisation,
            "bytes.person": self.person_bytes_a_day,
            "bytes.organisation": self.organisation_bytes_a_day,
        }
        defaults = {
            "accounts.letters_network": LETTERS_PER_NETWORK,
            "accounts.letters": LETTERS_PER_ORGANISATION,
            "bytes.person": PERSON_BYTES_A_DAY,
            "bytes.organisation": ORGANISATION_BYTES_A_DAY,
        }
        return {name: amount for name, amount in given.items() if amount != defaults[name]}

    @property
    def site(self) -> str:
        """The address for links."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"


class SettingsError(Exception):
    """A setting that is unknown or wrong; the text says which, and where it came from."""


class Origin(msgspec.Struct, frozen=True):
    """A setting's value and where it came from."""

    name: str
    value: object
    source: str


SECRET = frozenset({"bus_url", "database_url", "metrics_token", "smtp_url"})
LISTS = frozenset({"cors_origins", "trusted_proxies"})


def load(flags: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force; `SettingsError` names a wrong one."""
    values: dict[str, Any] = {}
    for source, given in _sources(flags, environment):
        for name, value in given.items():
            try:
                part = msgspec.convert({name: _listed(name, value)}, Settings, strict=False)
            except msgspec.ValidationError as error:
                raise SettingsError(f"{name} ({source}): {error}") from error
            values[name] = getattr(part, name)
    return Settings(**values)


def origins(flags: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> list[Origin]:
    """Every setting with its source; secrets are not shown."""
    sources = {name: source for source, given in _sources(flags, environment) for name in given}
    settings = load(flags, environment)
    return [
        Origin(
            name,
            "•••" if name in SECRET and getattr(settings, name) else getattr(settings, name),
            sources.get(name, "default"),
        )
        for name in Settings.__struct_fields__
    ]


def _sources(flags: Mapping[str, object], environment: Mapping[str, str]) -> list[tuple[str, Mapping[str, object]]]:
    """The weakest first."""
    file = Path(environment.get("PLAZA_CONFIG", "plaza.toml"))
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise SettingsError(f"{file.name}: {error}") from error
    named = {
        name: environment[variable]
        for name in Settings.__struct_fields__
        if environment.get(variable := f"PLAZA_{name.upper()}")
    }
    given = {name: value for name, value in flags.items() if value is not None}
    return [(file.name, written), ("environment", named), ("flag", given)]


def _listed(name: str, value: object) -> object:
    """Lists may be written with commas between their entries."""
    if name in LISTS and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _check_proxy(entry: str) -> None:
    """`ValueError` names an entry that is no address and no network of some, or in a form that no peer is seen in."""
    network = ip_network(entry)
    if network.prefixlen == 0:
        raise ValueError(f"{entry!r} is everybody: then anybody could say to be anywhere")
    if network.version == 6 and network.overlaps(ip_network("::ffff:0:0/96")):
        raise ValueError(f"{entry!r} holds addresses of IPv4, which are written as such")


def _origin(entry: str) -> str:
    """An origin as browsers write it (RFC 6454, 6.2); `ValueError` names an entry that no browser would send."""
    if entry == "*":
        return entry
    found = _ORIGIN.fullmatch(entry.strip().lower())
    try:
        host = found["host"].encode("ascii" if found["host"].isascii() else "idna").decode() if found else ""
    except UnicodeError:
        host = ""
    if found is None or not host or int(found["port"] or 0) > LAST_PORT:
        raise ValueError(f"{entry!r} is no origin of a site, such as https://app.example")
    port = (found["port"] or "").lstrip("0")
    return f"{found['scheme']}://{host}" + (
        f":{port}" if port != DEFAULT_PORTS.get(found["scheme"], "") and port else ""
    )
