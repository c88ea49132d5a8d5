"""A small echo server for the protocols' published conformance suites: `python -m plaza.realtime.echo --help`."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvicorn
import uvloop

from plaza.realtime.door import Door, upgraded
from plaza.realtime.engine import Engine
from plaza.realtime.options import Options
from plaza.realtime.polling import Polling
from plaza.realtime.server import Server
from plaza.realtime.session import Session
from plaza.realtime.sockets import Socket

# The suites' clients listen for one message at a time and miss a second one that comes in the same segment.
APART = 0.02


class Echo:
    """A namespace that says what it hears."""

    def connect(self, socket: Socket, auth: dict[str, Any] | None) -> None:
        """Let everybody in and tell them what they brought."""
        asyncio.get_running_loop().call_later(APART, socket.emit, "auth", auth or {})

    async def event(self, socket: Socket, event: str, args: list[Any]) -> Sequence[object] | None:
        """Say the arguments back, or acknowledge with them."""
        if event == "message":
            socket.emit("message-back", *args)
        return args if event == "message-with-ack" else None

    def disconnected(self, socket: Socket, reason: str) -> None:
        """Nothing to clear away."""


class EngineEcho:
    """A receiver that says the messages of an Engine.IO session back."""

    def __init__(self, session: Session) -> None:
        self._session = session
        session.engine.gate.leave(session)

    def message(self, text: str) -> None:
        """Say it back."""
        self._session.push(b"4" + text.encode())

    def closed(self, reason: str) -> None:
        """Nothing to clear away."""


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until a signal."""
    options = Options(
        path="/engine.io/" if arguments.engine else "/socket.io/",
        ping_interval=arguments.ping_interval / 1000,
        ping_timeout=arguments.ping_timeout / 1000,
        connect_timeout=arguments.connect_timeout / 1000,
        max_payload=arguments.max_payload,
    )
    server = Server({"/": Echo(), "/custom": Echo()}, options)
    engine = Engine(options, time.monotonic, EngineEcho) if arguments.engine else server.engine
    config = uvicorn.Config(
        Polling(engine),
        http=partial(Door, engine),  # type: ignore[arg-type]  # any factory of protocols will do
        ws=partial(upgraded, engine),  # type: ignore[arg-type]  # any factory of protocols will do
        host=arguments.host,
        port=arguments.port,
        lifespan="off",
        log_level="warning",
    )
    engine.start()
    await uvicorn.Server(config).serve()
    await engine.drain(0)
    engine.stop()


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags; times in milliseconds, as the suites' own servers take them."""
    parser = argparse.ArgumentParser(prog="python -m plaza.realtime.echo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=int, default=300, metavar="MS")
    parser.add_argument("--ping-timeout", type=int, default=200, metavar="MS")
    parser.add_argument("--connect-timeout", type=int, default=1000, metavar="MS")
    parser.add_argument("--max-payload", type=int, default=1_000_000, metavar="BYTES")
    parser.add_argument("--engine", action="store_true", help="echo Engine.IO messages on /engine.io/ instead")
    uvloop.run(serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
