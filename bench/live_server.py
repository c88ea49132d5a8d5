"""Plaza's side of `bench live`: a group chat of one room on `plaza.realtime`.

Plaza has no group chat yet. This one checks tokens with Plaza's own code, which remembers them; it asks no store. With
LIVE_REDIS it speaks to its other processes as the switchboard does: encoded once, said here at once, published once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec
import uvicorn
import uvloop

from plaza.adapters.redis_bus import RedisBus
from plaza.domains.organisations import tokens
from plaza.domains.organisations.queries import KeyRow
from plaza.domains.organisations.service import NoSuchOrganisation
from plaza.entry.auth import Authenticator, key_of
from plaza.entry.circular import Emit, channel, org_room, understand
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Organisation, OrgSettings, Principal
from plaza.kernel.errors import Refusal
from plaza.process import BACKLOG, raise_open_files, spare_collecting
from plaza.realtime import Frame, Refused, Server, Socket

NAMESPACE = "/community-chat"
ORG = Organisation(1, "bench", "bench", OrgSettings())
READY = [
    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]},
    {"type": "http.response.body", "body": b""},
]


class Words(msgspec.Struct):
    """What somebody says: when by the sender's clock, and the words."""

    at: str
    text: str


class Said(msgspec.Struct):
    """What everybody hears."""

    from_: str = msgspec.field(name="from")
    at: str
    text: str


class Chat:
    """One room of everybody; implements `plaza.realtime.Namespace`."""

    def __init__(self, key: KeyRow, bus: RedisBus | None) -> None:
        self._keys = [key]
        self._bus = bus
        self._authenticator = Authenticator(_organisation, _nobody_else, system_clock)
        self.server = Server({NAMESPACE: self})

    def connect(self, socket: Socket, auth: dict[str, Any] | None) -> Awaitable[None] | None:
        """Checks the token, and lets its person into the room."""
        given = auth or {}
        slug, token = str(given.get("orgId")), str(given.get("token"))
        org = self._authenticator.known_organisation(slug)
        if org is None:
            return self._ask(socket, slug, token)
        self._enter(socket, org, token)
        return None

    async def _ask(self, socket: Socket, slug: str, token: str) -> None:
        try:
            org = await self._authenticator.organisation(slug)
        except Refusal as refusal:
            raise Refused(str(refusal), {"code": refusal.reason}) from refusal
        self._enter(socket, org, token)

    def _enter(self, socket: Socket, org: Organisation, token: str) -> None:
        key = key_of(token)
        known = self._authenticator.known_token(org, key)
        if known is None:
            try:
                claims = tokens.prove(tokens.read(token, org), self._keys, (), time.time())
            except Refusal as refusal:
                raise Refused(str(refusal), {"code": refusal.reason}) from refusal
            person = Principal(1, claims.email, claims.role)
            known = self._authenticator.remember(org, key, person, claims.expires)
        socket.data = known.principal.email
        socket.enter(org_room(org.id))

    async def event(self, socket: Socket, event: str, args: list[Any]) -> Sequence[object] | None:
        """Somebody says something to the room."""
        words = msgspec.convert(args[0], Words)
        frame = Server.encode("said", Said(socket.data, words.at, words.text))
        self.server.send(NAMESPACE, org_room(ORG.id), [frame])
        if self._bus is not None:
            word = Emit(ORG.id, org_room(ORG.id), [msgspec.Raw(frame.body)])
            self._bus.publish(channel(ORG.id), msgspec.json.encode(word))
        return None

    def disconnected(self, socket: Socket, reason: str) -> None:
        """Nothing to clear away."""

    def hear(self, message: bytes) -> None:
        """What another process said."""
        word = understand(message)
        assert isinstance(word, Emit)
        self.server.send(NAMESPACE, word.room, [Frame(bytes(body)) for body in word.bodies], word.but)


async def _organisation(slug: str) -> Organisation:
    if slug != ORG.slug:
        raise NoSuchOrganisation
    return ORG


async def _nobody_else(_org: Organisation, _token: str) -> tuple[Principal, int]:
    raise NotImplementedError  # whoever comes is asked here


async def _listen(bus: RedisBus, chat: Chat) -> asyncio.Task[None]:
    bus.subscribe(chat.hear, lambda: None)
    running = asyncio.ensure_future(bus.run())
    await bus.follow(channel(ORG.id))
    while not bus.hears(channel(ORG.id)):
        await asyncio.sleep(0.01)
    return running


async def serve(port: int) -> None:
    """Serves until a signal."""
    raise_open_files()
    url = os.environ.get("LIVE_REDIS")
    bus = RedisBus(url, os.getpid()) if url else None
    chat = Chat(KeyRow("live", "HS256", bytes.fromhex(os.environ["LIVE_SECRET"]), None, "host", [], False), bus)
    hearing = await _listen(bus, chat) if bus is not None else None

    async def ready(_scope: Any, _receive: Any, send: Any) -> None:
        for part in READY:
            await send(part)

    await chat.server.start()
    spare_collecting()
    config = uvicorn.Config(
        ready,
        http=chat.server.http_protocol,
        ws=chat.server.websocket_protocol,
        port=port,
        lifespan="off",
        log_level="warning",
        backlog=BACKLOG,
    )
    listener = config.bind_socket()
    await uvicorn.Server(config).serve(sockets=chat.server.listeners(listener))
    if hearing is not None:
        hearing.cancel()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
