"""The composition root: the only module that knows every other one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Sequence

import structlog
from starlette.middleware.cors import CORSMiddleware

from plaza import catalogue
from plaza.adapters.jwks import KeySets
from plaza.adapters.local_bus import LocalBus
from plaza.adapters.postgres_bus import PostgresBus
from plaza.adapters.redis_bus import RedisBus
from plaza.adapters.smtp import Smtp
from plaza.admission import Admission
from plaza.domains.accounts import MailPosted
from plaza.domains.accounts.jobs import Postman
from plaza.domains.accounts.mail import shown
from plaza.domains.badges.jobs import Awarder
from plaza.domains.people import AddressChanged, PersonUnlisted
from plaza.domains.people.jobs import Lister
from plaza.domains.presence import queries as presence_queries
from plaza.domains.presence.queries import Change
from plaza.domains.presence.routes import Someone
from plaza.domains.presence.service import LEASE_SECONDS
from plaza.domains.presence.tracker import GRACE_SECONDS, Tracker
from plaza.entry import bounds
from plaza.entry.auth import Authenticator
from plaza.entry.catchup import Page, Place
from plaza.entry.concurrency import Concurrency, person_subject
from plaza.entry.docs import Docs
from plaza.entry.gateway import NAMESPACE, Gateway, Session
from plaza.entry.http import Receive, Request, Scope, Send
from plaza.entry.limits import Limits
from plaza.entry.local_access import Access, key_of, token_of
from plaza.entry.metrics import Meter
from plaza.entry.outbox_page import OutboxPage
from plaza.entry.proxies import Proxies
from plaza.entry.rest import Rest
from plaza.entry.socket_refusals import refuse_polling
from plaza.entry.sockets import Notice, Replayed, Since
from plaza.entry.status import Status
from plaza.entry.switchboard import Surroundings, Switchboard, emit
from plaza.kernel.clock import Clock, system_clock
from plaza.kernel.context import Context, Organisation, Principal
from plaza.kernel.errors import Unavailable
from plaza.kernel.ids import Ids
from plaza.kernel.outbox import Announced, Facts
from plaza.kernel.ports import Bus
from plaza.kernel.sql import Database
from plaza.realtime import Server, Socket
from plaza.settings import Settings
from plaza.store import log as event_log
from plaza.store.postgres import Postgres
from plaza.store.relay import RETRY_SECONDS, Relay
from plaza.store.room import watched
from plaza.upkeep import Upkeep, endings, keep

log = structlog.get_logger("plaza.app")
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


class Plaza:
    """One process of the server: an ASGI application with what works behind it."""

    def __init__(
        self,
        settings: Settings,
        database_url: str,
        *,
        clock: Clock = system_clock,
        lease_seconds: float = LEASE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        outbox_key: str | None = None,
    ) -> None:
        self.settings = settings
        self.outbox_key = outbox_key
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.grace_seconds = grace_seconds
        self.retry_seconds = retry_seconds
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
        self.bus = self._bus(node)
        around = Surroundings(
            self._head, self._behind, lambda: self.relay.leads, self._wake, self._again, self.limits.charge
        )
        self.switchboard = Switchboard(self.bus, self.authenticator, self.gateway, around)
        self.postman = self._postman()
        self.tracker = self._tracker(node)
        self.facts = self._facts()
        self.relay = Relay(self.store, self.facts, self.switchboard, self.meter, self.clock, self.retry_seconds)
        self.store.announced = self._announced
        self.gateway.arrived = self._arrived
        self.gateway.left = self.tracker.left
        self.gateway.attend = self.switchboard.attend
        self.gateway.position = self.switchboard.position
        self.switchboard.head = await self._head()
        await self.sockets.start()
        self.upkeep = Upkeep(
            *(self.store, self.relay, self.admission, self.authenticator, self.gateway, self.switchboard),
            *(self.meter, self.clock),
        )
        works = (
            self.bus.run,
            self.switchboard.run,
            self.relay.run,
            self.tracker.run,
            self.room.run,
            self.postman.run,
            Lister(self.store).run,
            Awarder(self.store, self.clock, self.new_id, lambda: self.relay.leads).run,
            *self.upkeep.works(self.limits),
        )
        self._tasks = [asyncio.create_task(keep(work)) for work in works]

    def _tracker(self, node: int) -> Tracker:
        times = {"lease_seconds": self.lease_seconds, "grace_seconds": self.grace_seconds}
        return Tracker(self.store, node, self.clock, self._say_presence, **times)

    def _bus(self, node: int) -> Bus:
        """Local where no other process can be at work on this database."""
        if self.settings.bus_url is not None:
            return RedisBus(self.settings.bus_url, node)
        if self.settings.workers > 1 or self.settings.database_url is not None:
            return PostgresBus(self.store, node)
        return LocalBus()

    def _build_entry(self) -> None:
        self.limits = Limits(time.monotonic, self.settings.limit_amounts, on=self.settings.rate_limits == "on")
        self.concurrency = Concurrency()
        self.room = watched(self.store, self.settings)
        self.status = Status(self._ask_store, lambda: self.room.full)
        self.proxies = Proxies(self.settings.trusted_proxies)
        self.rest = Rest(
            *(catalogue.TABLES, self.authenticator, self.store, self._context, self.limits, self.meter, self.proxies),
            *(self.concurrency, self.settings.body_bytes, self.room.check),
        )
        self.gateway = Gateway(
            *(catalogue.TABLES, self.authenticator, self._context, self.limits, self.meter, self.concurrency),
            room=self.room.check,
        )
        self.sockets = Server(
            {NAMESPACE: self.gateway}, bounds.options(self.settings, self.proxies, self.gateway.admit)
        )
        self.meter.watch(self.sockets.ingress)
        self.gateway.server = self.sockets
        self.gateway.replay = self._replay
        docs = Docs(catalogue.document)
        self.rest.page("openapi.json", docs.openapi)
        self.rest.page("docs", docs.page)
        if self.settings.outbox:
            page = OutboxPage(functools.partial(shown, self.store, self.settings.site))
            by_key = Access(local=self.settings.outbox_without_key, secret=self.outbox_key, given=key_of)
            self.rest.private_page("outbox", page.page, by_key)
        self.rest.page("healthz", self.status.health)
        self.rest.page("readyz", self.status.ready)
        by_token = Access(local=True, secret=self.settings.metrics_token, given=token_of)
        self.rest.private_page("metrics", self.meter.page, by_token)
        self._http = CORSMiddleware(
            self.rest,
            allow_origins=self.settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=CORS_HEADERS,
            expose_headers=["x-request-id", "retry-after"],
            max_age=600,
        )

    def _postman(self) -> Postman:
        chosen = self.settings
        mailer = Smtp(chosen.smtp_url, chosen.mail_from) if chosen.smtp_url else None
        return Postman(self.store, mailer, self.clock, chosen.site)

    def _facts(self) -> Facts:
        """Every fact with those who hear it."""
        heard = catalogue.listeners(self.new_id)
        heard[MailPosted] = [self.postman.posted]
        heard |= endings(self.switchboard)
        heard[PersonUnlisted] = [self.tracker.unlisted]
        heard[AddressChanged] = [self._address_changed]
        return Facts(catalogue.LIVES, heard, self.meter.presenter_failed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HTTP: long-polling below the path of the sockets, all else REST; WebSockets have their own protocol."""
        if scope["type"] == "http":
            peer = scope.get("client")
            self.proxies.notice(peer[0] if peer else "", (name for name, _ in scope["headers"]))
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
            teller=self.switchboard.tell,
            forgetter=self.switchboard.forget,
            buckets=self.limits,
            request_id=request_id,
            origin=origin,
            address=address,
        )

    # What happens on sockets, and in the store.

    def _wake(self) -> None:
        self.relay.wake()

    def _again(self, seconds: float) -> None:
        self.tracker.again(seconds)

    def _announced(self) -> None:
        if self.relay.leads:
            self.relay.wake()
        else:
            self.switchboard.announce()

    def _say_presence(self, change: Change, event: str) -> None:
        self.switchboard.tell_everyone(change.org, event, Someone(change.email), (change.person, *change.hidden_from))

    async def _arrived(self, org: int, person: int) -> None:
        """Waits until the store knows, so that whoever is in is seen by the first who asks; not for ever."""
        known = self.tracker.arrived(org, person)
        if known is not None:
            await asyncio.wait((known,), timeout=2)

    async def _head(self) -> int:
        return await self.store.one(event_log.HEAD)

    async def _behind(self, places: Sequence[Place], until: int) -> Page:
        told, behind = await event_log.behind(self.store, self.facts, places, until)
        return Page([emit(*one) for one in told], behind)

    async def _replay(self, socket: Socket, session: Session, since: Since) -> Replayed:
        org, person = session.org.id, session.principal.id
        position = since.position
        missed = None
        if position is not None:
            async with self.concurrency.slot(person_subject(org, person)):
                missed = await event_log.missed(self.store, self.facts, org=org, person=person, since=position)
        if missed is None:
            return Replayed(True, position is not None, 0, str(await self._head()), False)
        await socket.stream(Server.encode(name, payload) for name, payload in missed.events)
        return Replayed(True, False, len(missed.events), str(missed.cursor), missed.more)

    async def _address_changed(self, db: Database, announced: Sequence[Announced]) -> Sequence[Announced]:
        """Whoever is here is here under the new address."""
        for item in announced:
            self.switchboard.ask_again(item.org, item.fact.person)
        return await self.tracker.renamed(db, announced)

    async def _ask_store(self) -> None:
        await self._head()
