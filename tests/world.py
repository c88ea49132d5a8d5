"""A world of two organisations with the same people, and what people do in it."""

from __future__ import annotations

import asyncio
import itertools
import os
from types import TracebackType
from typing import Any

import aiohttp
import httpx2
import socketio

from plaza.domains.organisations import service as organisations
from plaza.domains.organisations import tokens
from plaza.domains.organisations.queries import KeyRow
from plaza.entry.circular import Forget
from plaza.kernel.clock import system_clock
from plaza.kernel.context import Organisation
from plaza.store.postgres import Postgres
from tests.server import Running

_NUMBERS = itertools.count(1)
NAMESPACE = "/community-chat"
PATIENCE = 5.0
"""Seconds after which something that should have happened has not."""


class World:
    """`north` and `south`; enter it, and it is yours alone."""

    def __init__(self, server: Running, prefix: str) -> None:
        self.server = server
        self.url = server.url
        self.prefix = prefix
        self.store = Postgres(server.database_url, size=2)
        self.http = httpx2.AsyncClient(base_url=server.url, timeout=20)
        self._sockets: list[Socket] = []

    async def __aenter__(self) -> World:
        await self.store.open()
        number = f"{os.getpid()}-{next(_NUMBERS)}"
        self.north = await self.organisation(f"north-{number}")
        self.south = await self.organisation(f"south-{number}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for socket in self._sockets:
            await socket.close()
        await self.http.aclose()
        await self.store.close()

    async def organisation(self, slug: str, **settings: object) -> Tenant:
        """A new organisation; settings as on the wire."""
        org = await organisations.create(self.store, slug, None, system_clock())
        if settings:
            org = await organisations.settle(self.store, org, settings)
        return Tenant(self, org, (await organisations.keys(self.store, org))[0])

    async def socket(self, person: Person, **options: Any) -> Socket:
        """An open socket of a person."""
        socket = Socket(person)
        self._sockets.append(socket)
        await socket.open(**options)
        return socket

    async def server_idle(self) -> None:
        """Waits until what was written so far has had all its effects."""
        plaza = self.server.plaza
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(plaza.idle(), self.server.loop))

    async def rows(self, text: str, *values: object) -> list[Any]:
        """What the store holds; for what no answer shows."""
        async with self.store.acquire() as db:
            found: list[Any] = await db.connection.fetch(text, *values)
            return found


class Tenant:
    """One organisation."""

    def __init__(self, world: World, org: Organisation, key: KeyRow) -> None:
        self.world = world
        self.org = org
        self.slug = org.slug
        self.key = key

    def person(self, name: str, **claims: Any) -> Person:
        """Somebody called `name`, at `name@mail.test`; they exist once they have been seen."""
        return Person(self, f"{name}@mail.test", **claims)

    async def people(self, *names: str) -> list[Person]:
        """Several people who have been seen."""
        found = [self.person(name) for name in names]
        for person in found:
            await person.arrive()
        return found

    async def settle(self, **settings: object) -> None:
        """Changes settings, and lets the server see them."""
        self.org = await organisations.settle(self.world.store, self.org, settings)
        plaza = self.world.server.plaza
        plaza.authenticator.forget(Forget(self.org.id))


class Person:
    """Somebody of one organisation, with a token."""

    def __init__(self, tenant: Tenant, email: str, *, seconds: int = 3600, **claims: Any) -> None:
        self.tenant = tenant
        self.world = tenant.world
        self.email = email
        self.id = ""
        self.token = tokens.mint(
            tenant.org, tenant.key, subject=email, email=email, now=system_clock(), seconds=seconds, **claims
        )

    @property
    def headers(self) -> dict[str, str]:
        """What their client sends."""
        return {"orgid": self.tenant.slug, "authorization": f"Bearer {self.token}"}

    async def arrive(self) -> Person:
        """Is seen for the first time."""
        self.id = (await self.get("people/me"))["id"]
        return self

    async def ask(self, method: str, path: str, *, json: Any = None, **options: Any) -> httpx2.Response:
        """A request below the world's prefix; a path with a leading slash is taken as it is."""
        url = path if path.startswith("/") else f"/{self.world.prefix}/{path}"
        headers = self.headers | options.pop("headers", {})
        return await self.world.http.request(method, url, json=json, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:
        """The body of a GET that must succeed."""
        return good(await self.ask("GET", path, **options), 200)

    async def post(self, path: str, json: Any = None, status: int = 200, **options: Any) -> Any:
        """The body of a POST that must succeed."""
        return good(await self.ask("POST", path, json=json, **options), status)

    async def put(self, path: str, json: Any, **options: Any) -> Any:
        """The body of a PUT that must succeed."""
        return good(await self.ask("PUT", path, json=json, **options), 200)

    async def delete(self, path: str, **options: Any) -> Any:
        """The body of a DELETE that must succeed."""
        return good(await self.ask("DELETE", path, **options), 200)

    async def refused(self, method: str, path: str, json: Any = None, **options: Any) -> tuple[int, str]:
        """(status, reason) of a request that must be refused."""
        answer = await self.ask(method, path, json=json, **options)
        body = answer.json()
        assert answer.status_code >= 400, body
        assert body["statusCode"] == answer.status_code
        assert body["requestId"] == answer.headers["x-request-id"]
        return answer.status_code, body["reason"]

    async def send(self, to: Person | str, content: str = "hello", **more: Any) -> Any:
        """Sends a message; its record."""
        peer = to if isinstance(to, str) else to.email
        return await self.post("messages", {"to": peer, "content": content, **more}, status=201)

    async def socket(self, **options: Any) -> Socket:
        """An open socket of theirs."""
        return await self.world.socket(self, **options)


def good(answer: httpx2.Response, status: int) -> Any:
    """The body of an answer that has this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return answer.json()


class Socket:
    """A socket of Python's official client; `heard` has every event in order."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.heard: list[tuple[str, Any]] = []
        self._http = aiohttp.ClientSession()
        self.client = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self.client.on("*", self._hear, namespace=NAMESPACE)
        self._news = asyncio.Event()
        self.closed = asyncio.Event()
        self.client.on("disconnect", self._lost, namespace=NAMESPACE)

    async def open(self, *, auth: Any = None, transports: tuple[str, ...] = ("websocket",)) -> None:
        """Connects; raises `socketio.exceptions.ConnectionError` when it is refused."""
        await self.client.connect(
            self.person.world.url,
            namespaces=[NAMESPACE],
            transports=list(transports),
            auth=auth or {"token": self.person.token, "orgId": self.person.tenant.slug},
            wait_timeout=PATIENCE,
        )

    async def _hear(self, event: str, *args: Any) -> None:
        self.heard.append((event, args[0] if args else None))
        self._news.set()

    async def _lost(self, *_reason: object) -> None:
        self.closed.set()

    async def ask(self, event: str, payload: Any = None) -> Any:
        """Emits and waits for the acknowledgement."""
        return await self.client.call(event, payload, namespace=NAMESPACE, timeout=PATIENCE)

    async def tell(self, event: str, payload: Any = None) -> None:
        """Emits without asking for an acknowledgement."""
        await self.client.emit(event, payload, namespace=NAMESPACE)

    def all(self, event: str) -> list[Any]:
        """The payloads of an event heard so far."""
        return [payload for name, payload in self.heard if name == event]

    async def hears(self, event: str, count: int = 1) -> Any:
        """Waits until an event has been heard so often; the payload of the last one."""
        async with asyncio.timeout(PATIENCE):
            while len(self.all(event)) < count:
                self._news.clear()
                await self._news.wait()
        return self.all(event)[count - 1]

    async def settles(self) -> None:
        """Waits until everything that was on its way has arrived: what this person is told now comes after it."""
        before = len(self.all("echo"))
        await self.person.world.server_idle()
        server = self.person.world.server
        org, person = self.person.tenant.org.id, int(self.person.id)
        server.loop.call_soon_threadsafe(server.plaza.switchboard.tell, org, person, "echo", {"n": before})
        await self.hears("echo", before + 1)

    async def close(self) -> None:
        """Leaves."""
        await leave(self.client, self._http)


async def leave(client: socketio.AsyncClient, http: aiohttp.ClientSession) -> None:
    """Ends a client and the session that it was given, which it would replace while something of it is under way."""
    await client.disconnect()
    under_way = {task for task in (client.eio.read_loop_task, client.eio.write_loop_task) if task is not None}
    if under_way:
        await asyncio.wait(under_way, timeout=PATIENCE)
    await http.close()
