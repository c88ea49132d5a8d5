"""A Redis behind TLS with a user of its own: what is right is used, what is wrong is said before the server starts."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from plaza.adapters.redis_address import check
from plaza.kernel.clock import system_clock
from plaza.store.trouble import Trouble
from tests.faults.servers import free_port
from tests.redis_server import PROGRAM, RedisServer
from tests.server import SETTINGS
from tests.sockets.twins import through, twins

PASSWORD = "s3cret/of:the@bus"
ESCAPED = "s3cret%2Fof%3Athe%40bus"


class Guarded(NamedTuple):
    """A Redis that speaks TLS only and knows one user; its authority's certificate is in a file."""

    port: int
    authority: Path

    def url(
        self, *, password: str = ESCAPED, host: str = "127.0.0.1", number: str = "3", query: str | None = None
    ) -> str:
        """Its address, with what may be wrong about it."""
        query = f"?ssl_ca_certs={self.authority}" if query is None else query
        return f"rediss://plaza:{password}@{host}:{self.port}/{number}{query}"


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Collects what asyncio leaves of a TLS connection that a loop was closed over, here and in silence."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Runs it; skipped where there is no package with one."""
    if PROGRAM is None:
        pytest.skip("redis-server is not on this machine: install the package redis-server (or valkey)")
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    certify(folder)
    files = ("--tls-cert-file", "server.pem", "--tls-key-file", "server.key", "--tls-ca-cert-file", "authority.pem")
    user = ("--user", "plaza", "on", f">{PASSWORD}", "~*", "&*", "+@all", "--user", "default", "off")
    server = RedisServer(folder, "--tls-port", str(port), "--tls-auth-clients", "no", *files, *user)
    server.start()
    yield Guarded(port, folder / "authority.pem")
    server.kill()


def certify(folder: Path) -> None:
    """An authority of the test's own, and a certificate by it for 127.0.0.1."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("an authority", "a bus")]
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    own: tuple[x509.ExtensionType, ...] = (x509.BasicConstraints(ca=True, path_length=None), address)
    for name, key, extension, file in zip(names, keys, own, ("authority.pem", "server.pem"), strict=True):
        built = (
            x509.CertificateBuilder(issuer_name=names[0], subject_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(system_clock() - datetime.timedelta(days=1))
            .not_valid_after(system_clock() + datetime.timedelta(days=1))
            .add_extension(extension, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
            .sign(keys[0], hashes.SHA256())
        )
        (folder / file).write_bytes(built.public_bytes(Encoding.PEM))
    private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(private)


async def test_two_processes_hear_each_other_over_tls_with_a_user_a_password_and_a_number(
    own_database_url: str, guarded: Guarded
) -> None:
    assert await check(guarded.url())
    async with twins(own_database_url, msgspec.structs.replace(SETTINGS, bus_url=guarded.url())) as (here, there):
        alice, bob = await here.north.people("alice", "bob")
        bobs = await through(there, bob).socket()
        bus: Any = there.server.plaza.bus
        sent = 0
        while bus.heard[f"o{alice.tenant.org.id}"] == 0:
            # On a busy machine a handshake may take longer than the bus waits for one; the log brings it meanwhile.
            sent += 1
            assert sent < 20, "nothing comes through the tunnel"
            await alice.send(bob, f"through the tunnel {sent}")
            await bobs.hears("newMessage", sent)


WRONG = {
    "an authority that is not known": ({"query": ""}, "certificate is not trusted"),
    "a name that the certificate does not have": ({"host": "localhost"}, "certificate is not trusted"),
    "a file that is not there": ({"query": "?ssl_ca_certs=/nowhere.pem"}, "/nowhere.pem"),
    "a wrong password": ({"password": "guess"}, "invalid username-password pair"),
    "a number beyond its databases": ({"number": "99"}, "out of range"),
    "a number that is none": ({"number": "three"}, "must be redis://"),
    "an option that nobody knows": ({"query": "?ssl_ca_certz=x"}, "must be redis://"),
}


@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_with_the_bus_is_said_without_its_password(
    guarded: Guarded, wrong: dict[str, str], words: str
) -> None:
    with pytest.raises(Trouble, match=words) as said:
        await check(guarded.url(**wrong))
    await asyncio.sleep(0.05)  # what failed in the middle of a handshake is closed a moment later
    assert "s3cret" not in str(said.value)


async def test_a_bus_that_is_only_away_keeps_nobody_from_starting() -> None:
    assert not await check(f"redis://127.0.0.1:{free_port()}")


def test_a_server_whose_bus_will_not_have_it_does_not_start(guarded: Guarded, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plaza", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PLAZA_BUS_URL": guarded.url(query="")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "its certificate is not trusted" in done.stderr
    assert "?ssl_ca_certs=FILE" in done.stderr
    assert "s3cret" not in done.stderr
    assert not (tmp_path / "plaza-data").exists()
