"""A signer that publishes its keys: a real HTTP server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from plaza.domains.organisations import service as organisations
from plaza.domains.organisations.signers import Role
from plaza.kernel.clock import system_clock

if TYPE_CHECKING:
    from tests.world import Person, Tenant

_NUMBERS = itertools.count(1)
_WRITERS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def jwk(algorithm: str, key: Any, **more: Any) -> dict[str, Any]:
    """A public key as it is published."""
    found: dict[str, Any] = _WRITERS[algorithm].to_jwk(key, as_dict=True)
    return found | {"alg": algorithm, "use": "sig"} | more


class KeyServer:
    """Serves a JSON Web Key Set at `url`, or whatever else a test answers; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys: list[Any] = []
        self.answer: bytes | None = None
        """The whole HTTP answer instead of the key set."""
        self.headers: list[bytes] = []
        """The heads of the requests."""
        self.gate = asyncio.Event()
        """Clear it to keep answers back."""
        self.gate.set()

    async def __aenter__(self) -> KeyServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        # An address of its own: a port comes again, and what was fetched from it before is remembered for a while.
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/keys/{next(_NUMBERS)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        self._server.close()

    def publish(self, algorithm: str, kid: str, key: Any) -> None:
        """Adds a public key."""
        self.keys.append(jwk(algorithm, key, kid=kid))

    def withdraw(self, kid: str) -> None:
        """Takes a key out of the set."""
        self.keys = [key for key in self.keys if key["kid"] != kid]

    def answers(self, body: bytes, *headers: bytes, status: bytes = b"200 OK") -> None:
        """Answers with this body from now on."""
        lines = [b"HTTP/1.1 " + status, b"connection: close", b"content-length: %d" % len(body), *headers]
        self.answer = b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.headers.append(await reader.readuntil(b"\r\n\r\n"))
        self.asked += 1
        await self.gate.wait()
        body = json.dumps({"keys": self.keys}).encode()
        usual = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        writer.write(self.answer or usual)
        await writer.drain()
        writer.close()


class Signer(KeyServer):
    """A signer of its own: a login that organisations may trust."""

    async def __aenter__(self) -> Signer:
        await super().__aenter__()
        self.private = Ed25519PrivateKey.generate()
        self.publish("EdDSA", "k1", self.private.public_key())
        return self

    async def trusted(self, tenant: Tenant, *roles: Role, claims: bool = False) -> str:
        """Has an organisation trust it; the name of the trust."""
        return await organisations.trust_key_set(
            tenant.world.store, tenant.org, self.url, system_clock(), roles=roles or ("customer",), claims=claims
        )

    def token(self, tenant: Tenant, sub: str, email: str, **more: Any) -> str:
        """A token for somebody of an organisation."""
        now = int(time.time())
        said = {"sub": sub, "email": email, "org": tenant.slug, "iat": now, "exp": now + 600} | more
        return jwt.encode(said, self.private, algorithm="EdDSA", headers={"kid": "k1"})

    def person(self, tenant: Tenant, sub: str, email: str, **more: Any) -> Person:
        """Somebody with such a token."""
        found = tenant.person("somebody")
        found.email, found.token = email, self.token(tenant, sub, email, **more)
        return found
