"""Sessions: families of refresh tokens, and the access tokens that live and die with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from plaza.domains.accounts import session_queries as queries
from plaza.domains.accounts import tickets
from plaza.domains.accounts.schemas import Refreshing, SignedIn, User
from plaza.domains.accounts.session_queries import Refreshed, Session
from plaza.domains.accounts.tickets import Ticket, digest
from plaza.domains.organisations import service as organisations
from plaza.domains.organisations.signers import PLAZA
from plaza.domains.organisations.tokens import Claims, mint
from plaza.domains.people import Suspended
from plaza.kernel.context import Context, Organisation, Principal
from plaza.kernel.errors import Invalid, Unauthenticated
from plaza.kernel.sql import Database
from plaza.kernel.wire import Ok

ACCESS_SECONDS = 3_600
REFRESH_DAYS = 30
"""A session ends when it is not used for so long."""
GRACE_SECONDS = 30
"""How long the refresh token before the newest still gets the newest: two tabs at once, or an answer that was lost.

A thief gains nothing by it: the session ends when the second of the two uses the same token again later.
"""


class InvalidRefresh(Unauthenticated):
    """The refresh token is unknown, or its session is over."""

    reason = "auth.invalid_refresh"
    message = "This session is over; sign in again."


class RefreshReused(Unauthenticated):
    """The refresh token was used before, by somebody: the session is over for everybody who has a token of it."""

    reason = "auth.refresh_reused"
    message = "This refresh token was used before; sign in again."


class TokenRevoked(Unauthenticated):
    """The token's session has ended."""

    reason = "auth.token_revoked"
    message = "This session has ended; sign in again."


async def open_session(ctx: Context, account: int, epoch: int) -> SignedIn:
    """Signs an account in whose password or code was right at `epoch`; if that has changed since, for nothing."""
    ticket, session = tickets.fresh(), ctx.new_id()
    opened = await ctx.db.maybe(
        queries.OPEN,
        org=ctx.org.id,
        account=account,
        epoch=epoch,
        session=session,
        family=digest(ticket.family),
        secret=digest(ticket.secret),
        expires=ctx.now + timedelta(days=REFRESH_DAYS),
        role="customer",
        origin=ctx.origin,
        now=ctx.now,
    )
    if opened is None:
        raise TokenRevoked
    forget(ctx, opened.ended)
    return await _signed_in(ctx, account, session, ticket, opened.user)


def forget(ctx: Context, ended: Sequence[int]) -> None:
    """Makes every process forget the tokens of sessions that have ended."""
    for session in ended:
        ctx.forget(ctx.org.id, session=session)


async def _signed_in(ctx: Context, account: int, session: int, ticket: Ticket, user: User) -> SignedIn:
    keys = await organisations.keys(ctx.db, ctx.org)
    token = mint(
        ctx.org,
        next(key for key in keys if key.secret is not None),
        subject=subject(account),
        email=user.email,
        # For the host's other services that know this key: the address may be anybody's.
        email_verified=user.verified,
        now=ctx.now,
        seconds=ACCESS_SECONDS,
        role="customer",
        sid=str(session),
    )
    return SignedIn(token, ticket.text(), ACCESS_SECONDS, user)


def subject(account: int) -> str:
    """Who an account is in its tokens; the statement `accounts.prove` writes the same."""
    return f"account:{account}"


async def refresh(ctx: Context, given: Refreshing) -> SignedIn:
    """Get a new token and the next refresh token; one that was used before ends the session, after 30 s of grace."""
    named = given.refresh_token or given.refreshToken
    if named is None or given.refreshToken not in (None, named):
        raise Invalid.field("refresh_token", "send the refresh token")
    ticket = tickets.read(named)
    if ticket is None:
        raise InvalidRefresh
    found, salt = await _rotate(ctx, ticket)
    if found is None or found.verdict == "over":
        raise InvalidRefresh
    if found.verdict == "suspended":
        raise Suspended
    if found.verdict == "reused":
        forget(ctx, [found.session])
        raise RefreshReused
    if found.verdict == "again":
        salt = found.salt or salt
    return await _signed_in(ctx, found.account, found.session, ticket.successor(salt), found.user)


async def _rotate(ctx: Context, ticket: Ticket) -> tuple[Refreshed | None, bytes]:
    salt = tickets.salt()
    found = await ctx.db.maybe(
        queries.REFRESH,
        org=ctx.org.id,
        family=digest(ticket.family),
        secret=digest(ticket.secret),
        next=digest(ticket.successor(salt).secret),
        salt=salt,
        grace=ctx.now - timedelta(seconds=GRACE_SECONDS),
        expires=ctx.now + timedelta(days=REFRESH_DAYS),
        role="customer",
        origin=ctx.origin,
        now=ctx.now,
    )
    return found, salt


async def sign_out(ctx: Context) -> Ok:
    """End the session of this token; a token of the host's own signer has none, and is left as it is."""
    session = ctx.me.session
    if session is not None:
        await ctx.db.one(queries.END, org=ctx.org.id, session=session, origin=ctx.origin, now=ctx.now)
        ctx.forget(ctx.org.id, session=session)
    return Ok()


async def resume(db: Database, org: Organisation, claims: Claims, now: datetime) -> Principal:
    """Whose token with a session it is; `TokenRevoked` when the session is over, `Suspended` when the person is.

    An account that waits for its address to be verified has no person: the principal's id is 0.
    """
    session = claims.session
    holder = None
    if session is not None and 0 < session < 1 << 63:
        holder = await db.maybe(queries.RESUME, org=org.id, session=session, now=now)
    if holder is None or claims.subject != subject(holder.account):
        raise TokenRevoked
    if holder.person is None:
        return Principal(0, holder.address, session=session, key=claims.key, signer=PLAZA)
    if holder.status != "active":
        raise Suspended
    return Principal(holder.person, holder.email, session=session, key=claims.key, signer=PLAZA)


async def over(db: Database, sessions: Collection[tuple[int, int]], now: datetime) -> Sequence[Session]:
    """Which of these (organisation, session) have ended, should the word of it have been lost."""
    pairs = sorted(sessions)
    return await db.all(queries.OVER, orgs=[org for org, _ in pairs], ids=[session for _, session in pairs], now=now)
