"""A signer that publishes its keys: a real HTTP server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_WRITERS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class KeyServer:
    """Serves a JSON Web Key Set at `url`; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._keys: list[dict[str, Any]] = []

    async def __aenter__(self) -> KeyServer:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/keys"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def publish(self, algorithm: str, kid: str, key: Any) -> None:
        """Adds a public key."""
        self._keys.append(_WRITERS[algorithm].to_jwk(key, as_dict=True) | {"kid": kid, "alg": algorithm, "use": "sig"})

    def withdraw(self, kid: str) -> None:
        """Takes a key out of the set."""
        self._keys = [key for key in self._keys if key["kid"] != kid]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = json.dumps({"keys": self._keys}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
