"""The gateway: Socket.IO namespace /community-chat — handshake, rooms, the event table (contract, section 2)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from plaza.entry import decoding
from plaza.entry.announcements import Announcements
from plaza.entry.answers import refused
from plaza.entry.auth import Authenticator, Remembered, Unverified, bearer, key_of
from plaza.entry.circular import Emit, Forget, org_room, person_room, socket_room
from plaza.entry.concurrency import Concurrency, subject
from plaza.entry.limits import Limits
from plaza.entry.metrics import Meter
from plaza.entry.rest import Failure, NewContext
from plaza.entry.socket_refusals import MOST_SOCKETS, REVOKED, OtherPerson, TooManySockets, UnknownEvent
from plaza.entry.sockets import Complaint, FreshToken, Handshake, Notice, Replayed, Since, Someone, Trouble, Welcome
from plaza.kernel.context import Organisation, Principal
from plaza.kernel.errors import Invalid, Refusal, TooMany, Unauthenticated
from plaza.kernel.limits import CONNECTS, EVENTS, EXPIRED_TOKENS, STRANGERS, Limit, Take, takes
from plaza.kernel.routes import Event, Table
from plaza.kernel.wire import Body
from plaza.realtime import UNREADABLE, Frame, NotNow, Refused, Server, Socket
from plaza.realtime.endings import BY_CLIENT

log = structlog.get_logger("plaza.gateway")
NAMESPACE = "/community-chat"
QUIET_SECONDS = 1.0
TAKEN_SECONDS = 0.5
"""How long those who read slowly hold up the others who catch up."""


@dataclass(slots=True)
class Session:
    """What the gateway knows of a socket."""

    slug: str
    org: Organisation
    token: str
    principal: Principal
    expires: int
    quiet: dict[str, float] | None = None
    """When they last did what is to be heard once a second only; most never do."""


Present = Callable[[int, int], Awaitable[None]]


class Gone(Protocol):
    """A person has one socket fewer; `at_once` where they cannot come back."""

    def __call__(self, org: int, person: int, *, at_once: bool) -> None: ...


class Gateway:
    """Implements `plaza.realtime.Namespace` over the event tables of the domains."""

    def __init__(
        self,
        tables: Iterable[Table],
        authenticator: Authenticator,
        context: NewContext,
        allow: Limits,
        meter: Meter,
        concurrency: Concurrency,
        room: Callable[[], None],
    ) -> None:
        self._events = {event.name: event for table in tables for event in table.events}
        self._authenticator = authenticator
        self._context = context
        self._limits = allow
        self._meter = meter
        self._concurrency = concurrency
        self._room = room
        """Refuses what would write where the store has no room."""
        self._announcements = Announcements(self._announce, self._here)
        self.server: Server
        self.arrived: Present
        self.left: Gone
        self.replay: Callable[[Socket, Session, Since], Awaitable[Replayed]]
        self.attend: Callable[[int], Awaitable[None]]
        """Sees to it that what is said of an organisation is heard here."""
        self.position: Callable[[int], int]
        """A place in the log up to which those of an organisation who are here have been shown everything."""

    def admit(self, address: str) -> int | None:
        """Seconds for which an address must wait before its next handshake, None for none; REST counts with it."""
        try:
            self._limits.take(*takes((STRANGERS,), org=0, person=None, address=address))
        except TooMany as refusal:
            return refusal.retry_after
        return None

    async def connect(self, socket: Socket, auth: dict[str, Any] | None) -> None:
        """Lets a person in, or says why not.

        A refusal for good is a `connect_error` with `data {code, message}`, after which the official client does not
        come again. One that is temporary ends the connection with 1013, after which it does.
        """
        try:
            await self._enter(socket, auth)
        except Refusal as refusal:
            self._meter.refusal(refusal.reason)
            if refusal.temporary:
                raise NotNow(refusal.reason) from refusal
            raise Refused(str(refusal), {"code": refusal.reason, "message": str(refusal)}) from refusal
        except Exception as error:
            self._meter.refusal(Failure.reason)
            log.exception("connect.failed")
            raise NotNow(Failure.reason) from error

    async def _enter(self, socket: Socket, auth: dict[str, Any] | None) -> None:
        session = socket.data = await self._session(socket, auth)
        org, person = session.org.id, session.principal.id
        socket.enter(socket_room(socket.id))
        socket.enter(person_room(org, person))
        socket.enter(org_room(org))
        await self.attend(org)
        self._meter.sockets.inc()
        await self.arrived(org, person)
        socket.emit("authenticate", Welcome(True, _someone(session.principal), str(self.position(org))))

    async def _session(self, socket: Socket, auth: dict[str, Any] | None) -> Session:
        given = decoding.payload(Handshake, _known(auth))
        assert given is not None
        slug = given.org_id or socket.headers.get("orgid")
        token = bearer(given.token or socket.headers.get("authorization"))
        org = await self._authenticator.organisation(slug)
        if token is None:
            raise Unauthenticated
        remembered = await self._holder(org, token)
        principal = remembered.principal
        if not principal.id:
            raise Unverified
        if self._here(person_room(org.id, principal.id)) >= MOST_SOCKETS:
            raise TooManySockets
        self._limits.take(Take(("connects", org.id, principal.id), CONNECTS))
        return Session(org.slug, org, token, principal, remembered.expires)

    async def _holder(self, org: Organisation, token: str) -> Remembered:
        """Whose token it is. One that has expired is refused for good where it is presented again and again.

        Its client gets another chance to ask for a fresh one; a page that has no other token must not come for ever.
        """
        try:
            return await self._authenticator.remembered(org, token)
        except Unauthenticated as refusal:
            if refusal.temporary:
                try:
                    self._limits.take(Take(("expired_tokens", org.id, key_of(token).hex()), EXPIRED_TOKENS))
                except TooMany:
                    refusal.temporary = False
            raise

    def disconnected(self, socket: Socket, reason: str) -> None:
        """Counts a socket out."""
        session: Session = socket.data
        self._meter.sockets.dec()
        self.left(session.org.id, session.principal.id, at_once=reason == REVOKED)
        if reason not in BY_CLIENT:  # who leaves is no news, and all leave at once when a network fails
            log.info("socket.closed", reason=reason)

    async def event(self, socket: Socket, event: str, args: list[Any]) -> Sequence[object] | None:
        """One event of a client: the use case's answer, or the refusal, as the acknowledgement."""
        known = event in self._events or event in ("authenticate", "sync")
        try:
            answer = await self._answer(socket, event, args)
            self._meter.event(event, "done")
            return [answer]
        except Refusal as refusal:
            self._meter.event(event if known else "unknown", "refused")
            refusal_ = refusal
        except Exception:
            self._meter.event(event, "failed")
            log.exception("event.failed", name=event)
            refusal_ = Failure()
        return self._refuse(socket, event, refusal_)

    async def _answer(self, socket: Socket, event: str, args: list[Any]) -> object:
        session: Session = socket.data
        found = self._events.get(event)
        self._spend(socket, session, (EVENTS,) if found is None else found.per_request)
        if len(args) > 1:
            raise Invalid("An event takes one argument.")
        given = args[0] if args else None
        if given is UNREADABLE:
            raise Invalid(
                "The payload holds half of a surrogate pair or a number out of range, or is nested too deeply."
            )
        if event == "authenticate":
            return await self._renew(session, decoding.payload(FreshToken, given))
        await self._still(session)
        if event == "sync":
            return await self.replay(socket, session, decoding.payload(Since, given) or Since())
        if found is None:
            raise UnknownEvent
        payload = decoding.payload(found.signature.body, given)
        if found.writes:
            self._room()
            self._spend(socket, session, found.per_byte, len(msgspec.json.encode(payload)))
        return await self._call(socket, session, found, payload)

    def _spend(self, socket: Socket, session: Session, limits: Iterable[Limit], amount: int = 1) -> None:
        org, person = session.org.id, session.principal.id
        self._limits.take(*takes(limits, org=org, person=person, address=socket.address, amount=amount))

    async def _call(self, socket: Socket, session: Session, event: Event, payload: Body | None) -> object:
        if event.quiet is not None and _too_soon(session, event.quiet(payload)):
            return {"success": True}
        ctx = self._context(session.org, session.principal, address=socket.address, origin=socket.id)
        async with self._concurrency.slot(subject(ctx)):
            return event.reply(await event.call(ctx, *event.signature.arguments((), payload, None)))

    async def _still(self, session: Session) -> None:
        """The person may still speak: a matter of the store, not of the token (contract, decision 35)."""
        session.org = await self._authenticator.organisation(session.slug)
        session.principal = (await self._authenticator.remembered(session.org, session.token)).principal

    async def _renew(self, session: Session, fresh: FreshToken | None) -> object:
        """Goes on with a fresh token of the same person; the socket stays."""
        assert fresh is not None
        token = bearer(fresh.token)
        if token is None:
            raise Unauthenticated
        remembered: Remembered = await self._authenticator.remembered(session.org, token)
        if remembered.principal.id != session.principal.id:
            raise OtherPerson
        session.token, session.expires, session.principal = token, remembered.expires, remembered.principal
        return {"success": True}

    def _refuse(self, socket: Socket, event: str, refusal: Refusal) -> Sequence[object] | None:
        answer = refused(refusal)
        self._meter.refusal(refusal.reason)
        if not socket.asked:
            socket.emit("error", Trouble(event[:200], refusal.reason, str(refusal)))
            socket.emit("exception", Complaint("error", str(refusal)))
        if isinstance(refusal, OtherPerson | Unauthenticated):
            self.server.run(_part(socket, refusal))
        return [answer]

    def emit(self, word: Emit) -> None:
        """Says something to the sockets of this process."""
        if word.volatile and word.room == org_room(word.org):
            self._announcements.take(word)
        else:
            frames = [Frame(bytes(body)) for body in word.bodies]
            self.server.send(NAMESPACE, word.room, frames, word.but, word.volatile)

    async def taken(self, words: Iterable[Emit]) -> None:
        """Waits until the sockets that were sent something have read it, not for long."""
        sockets = {socket for word in words for socket in self.server.sockets(NAMESPACE, word.room)}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_SECONDS):
                for socket in sockets:
                    await socket.drain()

    def _announce(self, room: str, frames: Sequence[Frame], but: Iterable[str]) -> None:
        self.server.send(NAMESPACE, room, frames, but, volatile=True)

    def _here(self, room: str) -> int:
        return self.server.count(NAMESPACE, room)

    def anybody(self, org: int) -> bool:
        """Whether somebody of an organisation is here."""
        return self._here(org_room(org)) > 0

    def people(self, org: int) -> set[int]:
        """Those of an organisation who are here."""
        return {socket.data.principal.id for socket in self.server.sockets(NAMESPACE, org_room(org))}

    def known(self) -> Iterator[tuple[int, Principal]]:
        """(organisation, whose it is) of every socket."""
        return ((socket.data.org.id, socket.data.principal) for socket in self.server.sockets(NAMESPACE) if socket.data)

    def cut(self, word: Forget) -> None:
        """Disconnects the sockets whose right has ended."""
        room = org_room(word.org) if word.person is None else person_room(word.org, word.person)
        for socket in self.server.sockets(NAMESPACE, room):
            if word.means(socket.data.principal):
                socket.disconnect(REVOKED)

    def expire(self, present: float) -> None:
        """Ends the sockets whose token's time is over."""
        for socket in self.server.sockets(NAMESPACE):
            if socket.data is not None and socket.data.expires <= present:
                _expire(socket)


async def _part(socket: Socket, refusal: Refusal) -> None:
    """Runs after the acknowledgement has been sent."""
    if refusal.temporary:
        _expire(socket)
    else:
        socket.disconnect(refusal.reason)


def _expire(socket: Socket) -> None:
    """Sends `token_expired` and ends the connection, so that official clients come back and ask for a fresh token."""
    socket.emit("token_expired", Notice("auth.token_expired", "The token has expired."))
    socket.disconnect("token_expired", again=True)


def _known(auth: dict[str, Any] | None) -> dict[str, Any]:
    """The parts of an auth payload that are ours; clients may send more."""
    return {name: value for name, value in (auth or {}).items() if name in ("token", "orgId")}


def _someone(principal: Principal) -> Someone:
    return Someone(str(principal.id), principal.email or "")


def _too_soon(session: Session, target: str) -> bool:
    now = time.monotonic()
    quiet = session.quiet = session.quiet if session.quiet is not None else {}
    if now - quiet.get(target, float("-inf")) < QUIET_SECONDS:
        return True
    if len(quiet) > 100:
        quiet.clear()
    quiet[target] = now
    return False
