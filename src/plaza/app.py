"""The composition root: the only module that knows every other one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from starlette.middleware.cors import CORSMiddleware

from plaza import __version__
from plaza.adapters.jwks import KeySets
from plaza.adapters.local_bus import LocalBus
from plaza.adapters.postgres_bus import PostgresBus
from plaza.adapters.smtp import Smtp
from plaza.admission import Admission
from plaza.domains.accounts import MailPosted, SessionEnded, sessions
from plaza.domains.accounts.jobs import Postman
from plaza.domains.accounts.routes import TABLE as ACCOUNTS
from plaza.domains.blocks.routes import TABLE as BLOCKS
from plaza.domains.messages import MessageDeleted, MessageRead, MessageSent
from plaza.domains.messages.live import LIVE as MESSAGES_LIVE
from plaza.domains.messages.live import delivered
from plaza.domains.messages.routes import TABLE as MESSAGES
from plaza.domains.notifications.listeners import LIVE as NOTIFICATIONS_LIVE
from plaza.domains.notifications.listeners import Listeners
from plaza.domains.notifications.routes import TABLE as NOTIFICATIONS
from plaza.domains.organisations import service as organisations
from plaza.domains.organisations import tokens
from plaza.domains.people import PersonSuspended
from plaza.domains.people import service as people
from plaza.domains.people.routes import TABLE as PEOPLE
from plaza.domains.presence import queries as presence_queries
from plaza.domains.presence.queries import Change
from plaza.domains.presence.routes import TABLE as PRESENCE
from plaza.domains.presence.routes import Someone
from plaza.domains.presence.tracker import Tracker
from plaza.entry import openapi
from plaza.entry.auth import Authenticator
from plaza.entry.docs import Docs
from plaza.entry.gateway import NAMESPACE, Gateway, Session, refuse_polling
from plaza.entry.http import Receive, Request, Scope, Send
from plaza.entry.limits import Limits
from plaza.entry.metrics import Meter
from plaza.entry.rest import Rest
from plaza.entry.sockets import TABLE as SOCKETS
from plaza.entry.sockets import Notice, Replayed, Since
from plaza.entry.status import Status
from plaza.entry.switchboard import Switchboard
from plaza.kernel.clock import Clock, system_clock
from plaza.kernel.context import Context, Organisation, Principal
from plaza.kernel.errors import Unavailable
from plaza.kernel.ids import Ids, parse
from plaza.kernel.outbox import Announced, Facts
from plaza.kernel.ports import Bus
from plaza.kernel.sql import Database
from plaza.realtime import Options, Server, Socket
from plaza.settings import Settings
from plaza.store import log as event_log
from plaza.store.postgres import Postgres
from plaza.store.relay import Relay
from plaza.store.statistics import STATISTICS_SECONDS, refresh

log = structlog.get_logger("plaza.app")
TABLES = (ACCOUNTS, PEOPLE, BLOCKS, PRESENCE, MESSAGES, NOTIFICATIONS)
ADMISSION = (
    organisations.NoSuchOrganisation,
    tokens.InvalidToken,
    tokens.TokenExpired,
    tokens.WrongOrganisation,
    sessions.TokenRevoked,
    people.Suspended,
    people.AddressTaken,
)
"""What every request may be refused for by those who find its organisation and verify its token."""
SWEEP_SECONDS = 5.0
"""How often rights are asked of the store again, should the word of a change have been lost (guarantees, G11)."""
CORS_HEADERS = [
    "orgid",
    "authorization",
    "x-client-authorization",
    "x-api-key",
    "x-client-info",
    "x-client-host",
    "shared-org-id",
    "domainAsOrg",
    "content-type",
    "if-match",
    "idempotency-key",
    "x-request-id",
]
"""What the official clients send (contract, section 3.9)."""


def document() -> dict[str, Any]:
    """The OpenAPI document of everything that is served."""
    return openapi.document((*TABLES, SOCKETS), __version__, ADMISSION)


class Plaza:
    """One process of the server: an ASGI application with what works behind it."""

    def __init__(self, settings: Settings, database_url: str, *, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.meter = Meter()
        self.store = Postgres(database_url, size=settings.pool_size, spoken=self.meter.statement)
        self.key_sets = KeySets()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connects to the store, builds the rooms and lets people in."""
        await self.store.open()
        node = await self.store.one(presence_queries.NODE)
        self.new_id = Ids(self.clock, node)
        self.admission = Admission(self.store, self.key_sets, self.clock, self.new_id)
        self.authenticator = Authenticator(self.admission.find, self.admission.admit, self.clock)
        self._build_entry()
        self.bus: Bus = LocalBus() if self._alone() else PostgresBus(self.store, node)
        self.switchboard = Switchboard(self.bus, self.authenticator, self.gateway, self._wake)
        self.postman = self._postman()
        self.facts = self._facts()
        self.relay = Relay(self.store, self.facts, self.switchboard.deliver, self.clock)
        self.store.announced = self._announced
        self.tracker = Tracker(self.store, node, self.clock, self._say_presence)
        self.gateway.arrived = self._arrived
        self.gateway.left = self.tracker.left
        self.gateway.position = await self.store.one(event_log.HEAD)
        await self.sockets.start()
        for work in (
            self.bus.run,
            self.relay.run,
            self.tracker.run,
            self.postman.run,
            self._sweep,
            self._expire,
            self._refresh_statistics,
        ):
            self._tasks.append(asyncio.create_task(self._keep(work)))

    def _alone(self) -> bool:
        """Whether no other process can be at work on this database."""
        return self.settings.workers == 1 and self.settings.database_url is None

    def _build_entry(self) -> None:
        limits = Limits(time.monotonic, on=self.settings.rate_limits == "on")
        self.status = Status(self._ask_store)
        self.rest = Rest(TABLES, self.authenticator, self.store, self._context, limits, self.meter)
        self.gateway = Gateway(TABLES, self.authenticator, self._context, limits, self.meter)
        origins = self.settings.cors_origins
        self.sockets = Server(
            {NAMESPACE: self.gateway},
            Options(origins=None if not origins or "*" in origins else tuple(origins), originless=True),
        )
        self.gateway.server = self.sockets
        self.gateway.replay = self._replay
        docs = Docs(document)
        self.rest.page("openapi.json", docs.openapi)
        self.rest.page("docs", docs.page)
        self.rest.page("healthz", self.status.health)
        self.rest.page("readyz", self.status.ready)
        self.rest.page("metrics", self.meter.page)
        self._http = CORSMiddleware(
            self.rest,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=CORS_HEADERS,
            expose_headers=["x-request-id", "retry-after"],
            max_age=600,
        )

    def _postman(self) -> Postman:
        chosen = self.settings
        mailer = Smtp(chosen.smtp_url, chosen.mail_from) if chosen.smtp_url else None
        site = chosen.public_url or f"http://{chosen.host}:{chosen.port}"
        return Postman(self.store, mailer, self.clock, site)

    def _facts(self) -> Facts:
        heard = Listeners(self.new_id)
        return Facts(
            [*MESSAGES_LIVE, *NOTIFICATIONS_LIVE],
            {
                MessageSent: [delivered, heard.message_sent],
                MessageRead: [heard.message_read],
                MessageDeleted: [heard.message_deleted],
                MailPosted: [self.postman.posted],
                SessionEnded: [self._session_ended],
                PersonSuspended: [self._person_suspended],
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HTTP: long-polling below the path of the sockets, all else REST; WebSockets have their own protocol."""
        if scope["type"] == "http" and scope["path"].startswith("/socket.io"):
            if self.settings.workers > 1:
                await refuse_polling(Request(scope, receive), send)
            else:
                await self.sockets.polling(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def drain(self, over: float) -> None:
        """Turns readiness off, lets nobody in any more, and sends the sockets away spread over so many seconds."""
        self.status.draining = True
        self.sockets.stop_accepting()
        here = self.sockets.sockets(NAMESPACE)
        for socket in here:
            socket.emit("going_away", Notice("going_away", "The server is restarting; come back in a moment."))
        await self.sockets.close(over if here else 0.0)

    async def stop(self) -> None:
        """Finishes what was begun and closes the store; `drain` comes before it."""
        with contextlib.suppress(Unavailable):
            await self.tracker.close()
        bus, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.bus.flush()
        bus.cancel()
        await asyncio.gather(bus, return_exceptions=True)
        await self.key_sets.close()
        await self.store.close()

    async def idle(self) -> None:
        """Waits until the facts of every write so far have been relayed and shown."""
        await self.relay.idle()

    def _context(
        self,
        org: Organisation,
        person: Principal | None,
        *,
        request_id: str = "",
        address: str = "",
        origin: str | None = None,
    ) -> Context:
        return Context(
            org=org,
            person=person,
            db=self.store,
            now=self.clock(),
            new_id=self.new_id,
            tell=self.switchboard.tell,
            forget=self.switchboard.forget,
            request_id=request_id,
            origin=origin,
            address=address,
        )

    # What happens on sockets, and in the store.

    def _wake(self) -> None:
        self.relay.wake()

    def _announced(self) -> None:
        if self.relay.leads:
            self.relay.wake()
        else:
            self.switchboard.announce()

    def _say_presence(self, change: Change, event: str) -> None:
        self.switchboard.tell_everyone(change.org, event, Someone(change.email), (change.person, *change.hidden_from))

    async def _arrived(self, org: int, person: int) -> None:
        """Waits until the store knows, so that whoever is in is seen by the first who asks; not for ever."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.tracker.arrived(org, person)), 2)

    async def _replay(self, socket: Socket, session: Session, since: Since) -> Replayed:
        org, person = session.org.id, session.principal.id
        position = _position(since)
        missed = None
        if position is not None:
            missed = await event_log.missed(self.store, self.facts, org=org, person=person, since=position)
        if missed is None:
            head = await self.store.one(event_log.HEAD)
            return Replayed(True, position is not None, 0, str(head), False)
        for name, payload in missed.events:
            socket.emit(name, payload)
        return Replayed(True, False, len(missed.events), str(missed.cursor), missed.more)

    # What goes on by itself.

    async def _keep(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Starts a work again that failed, and says so."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("work.failed", work=getattr(work, "__qualname__", str(work)))
            await asyncio.sleep(0.5)

    async def _session_ended(self, _db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """For a process that ended before it could say so itself."""
        for item in announced:
            self.switchboard.forget(item.org, session=item.fact.session)
        return ()

    async def _person_suspended(self, _db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """By a command, which is a process of its own."""
        for item in announced:
            self.switchboard.forget(item.org, person=item.fact.person)
        return ()

    async def _sweep(self) -> None:
        """Asks the store who of the people here may not be here any more, in case nobody said so."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with contextlib.suppress(Unavailable):
                for org, person in await self.admission.suspended(self.authenticator.people()):
                    self.switchboard.forget(org, person=person)
                for org, session in await self.admission.over(self.authenticator.sessions()):
                    self.switchboard.forget(org, session=session)

    async def _refresh_statistics(self) -> None:
        while True:
            await asyncio.sleep(STATISTICS_SECONDS)
            if self.relay.leads:
                with contextlib.suppress(Unavailable):
                    await refresh(self.store)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.gateway.expire(self.clock().timestamp())

    async def _ask_store(self) -> None:
        await self.store.one(event_log.HEAD)


def _position(since: Since) -> int | None:
    """The place in the log that a client names; one that is no number is before the log's beginning."""
    if since.since is None:
        return None
    return 0 if since.since == "0" else parse(since.since) or -1
