"""The address of a Redis or Valkey: connections to it, and what is wrong with it, said before a server starts."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from plaza.store.trouble import Trouble

TROUBLE = (RedisError, OSError, TimeoutError)
"""What a connection raises."""
CHECK_SECONDS = 3.0
FORM = "PLAZA_BUS_URL must be redis://user:password@host:port/number, rediss://… with TLS, or unix:///path?db=number."


def pool(url: str, seconds: float) -> Any:
    """Makes connections to the server of a URL, which give everything up after so many seconds."""
    return ConnectionPool.from_url(
        url,
        protocol=2,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


async def check(url: str) -> bool:
    """Whether a Redis is there and takes us, False when it is away; `Trouble` says what no waiting would mend."""
    connection = _connection(url)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_packed_command(connection.pack_command("PING"), check_health=False)
        await connection.read_response()
    except TROUBLE as error:
        for cause in _causes(error):
            if (words := _hopeless(cause)) is not None:
                raise Trouble(f"The bus of PLAZA_BUS_URL cannot be used: {words}.") from error
        return False
    finally:
        with contextlib.suppress(*TROUBLE):
            await connection.disconnect(nowait=True)
    return True


def _connection(url: str) -> AbstractConnection:
    try:
        made = pool(url, CHECK_SECONDS)
        connection: AbstractConnection = made.make_connection()
    except (ValueError, TypeError, RedisError):
        # Not what it says of the URL, which has a password in it.
        raise Trouble(FORM) from None
    parts = urlsplit(url)
    if parts.scheme != "unix" and not parts.path.removeprefix("/").isdecimal() and parts.path not in ("", "/"):
        raise Trouble(FORM)
    authority = made.connection_kwargs.get("ssl_ca_certs")
    if authority is not None and not Path(authority).is_file():
        raise Trouble(f"PLAZA_BUS_URL: there is no file {authority}.")
    return connection


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _hopeless(error: BaseException) -> str | None:
    """What is wrong, where it is not only that nobody is there."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); ?ssl_ca_certs=FILE names its authority"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({error.reason}); redis:// is without TLS, rediss:// with it"
    if isinstance(error, AuthenticationError | ResponseError):
        return f"it refuses us ({error})"
    return None
