"""Use cases of built-in accounts, in the order of the documentation.

No answer tells whether an address has an account: not by its words, not by its status, not by its time (as many argon2
runs, and a write or none, in every case). Only the mail to the address itself does.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import msgspec

from plaza.domains.accounts import letters, limits, passwords, queries, tickets
from plaza.domains.accounts.letters import Letters
from plaza.domains.accounts.mail import LATELY
from plaza.domains.accounts.queries import Account, Changed, Known, Proven
from plaza.domains.accounts.schemas import (
    Forgotten,
    PasswordChange,
    PasswordReset,
    SignedIn,
    SignIn,
    SignUp,
    User,
    Verification,
    Verified,
)
from plaza.domains.accounts.sessions import TokenRevoked, forget, open_session
from plaza.domains.people import AddressTaken, Suspended
from plaza.kernel.addresses import address
from plaza.kernel.context import Context, Organisation
from plaza.kernel.errors import Forbidden, Invalid, Unauthenticated
from plaza.kernel.sql import Database, Duplicate
from plaza.kernel.wire import Ok

VERIFY_HOURS, RESET_HOURS = 24, 1


class InvalidCredentials(Unauthenticated):
    """The password is not that of the address, or nobody has the address."""

    reason = "auth.invalid_credentials"
    message = "The e-mail address or the password is wrong."


class InvalidCode(Invalid):
    """The code is not the newest of this address, was used, or has expired."""

    reason = "auth.invalid_code"
    message = "The code is wrong or has expired."


class NoPassword(Forbidden):
    """The organisation's own login signed the token: no password is kept here."""

    reason = "auth.no_password"
    message = "Your password is not kept here; change it where you sign in."


async def sign_up(ctx: Context, new: SignUp) -> SignedIn:
    """Sign up; verify the address by the code in the mail, until then the token is good for `/profile` alone.

    The answer is the same for an address that has an account already: its owner gets a mail that says so.
    """
    email = address(new.email, "email")
    passwords.check_strength(new.password, "password", email)
    with limits.sign_up_letter(ctx):
        await limits.wait_to_sign_up(ctx, email)
        pending = (await _accounts(ctx, email)).pending
        (same,) = await passwords.check(new.password, _digest(pending))
        code = tickets.code()
        placed = await ctx.db.one(
            queries.SIGN_UP,
            id=ctx.new_id(),
            password_hash=await passwords.digest(new.password),
            same_as=_digest(pending) if same else None,
            first_name=new.first_name,
            last_name=new.last_name,
            phone=new.phone,
            code=tickets.code_digest(code),
            code_expires=ctx.now + timedelta(hours=VERIFY_HOURS),
            address=email,
            lately=ctx.now - LATELY,
            **_posted(ctx, letters.to_sign_up(ctx.org, email, code)),
        )
    return await _signed_in(ctx, placed)


async def verify(ctx: Context, proof: Verification) -> Verified:
    """Verify your address with the code of the mail, and choose the password: you are signed in.

    The password of the sign-up holds only for whoever signed up: a stranger may have done so for somebody's address.
    """
    email = address(proof.email, "email")
    if proof.password is not None:
        passwords.check_strength(proof.password, "password", email)
    async with limits.attempt(ctx, "code", email, InvalidCode):
        chosen = None if proof.password is None else await passwords.digest(proof.password)
        proven = await _prove(ctx, email, "verify", proof.code, chosen)
    return Verified(**msgspec.structs.asdict(await _signed_in(ctx, proven)), has_password=proven.has_password)


async def sign_in(ctx: Context, given: SignIn) -> SignedIn:
    """Sign in with an address and its password; an address that is not verified yet gets a token for `/profile`."""
    email = address(given.email, "email")
    async with limits.attempt(ctx, "password", email, InvalidCredentials):
        known = await _accounts(ctx, email)
        accounts = (known.verified, known.pending)
        right = await passwords.check(given.password, *map(_digest, accounts))
        account = next((account for account, fits in zip(accounts, right, strict=True) if account and fits), None)
        if account is None:
            raise InvalidCredentials
    if account.suspended:
        raise Suspended
    await _renew(ctx, account, given.password)
    return await open_session(ctx, account.id, account.epoch)


def _digest(account: Account | None) -> str | None:
    return None if account is None else account.password_hash


async def _renew(ctx: Context, account: Account, password: str) -> None:
    """Makes the digest anew when today's parameters are stronger than those it was made with."""
    outdated = account.password_hash
    if outdated is not None and passwords.is_outdated(outdated):
        fresh = await passwords.digest(password)
        await ctx.db.maybe(queries.RENEW, org=ctx.org.id, account=account.id, outdated=outdated, password_hash=fresh)


async def forgot_password(ctx: Context, whose: Forgotten) -> Ok:
    """Ask for a mail with a code to choose a new password; the answer is the same whether there is an account."""
    email, code = address(whose.email, "email"), tickets.code()
    within = limits.spend_recovery_letter(ctx)
    await ctx.db.one(
        queries.FORGET,
        within=within,
        code=tickets.code_digest(code),
        code_expires=ctx.now + timedelta(hours=RESET_HOURS),
        address=email,
        lately=ctx.now - LATELY,
        **_posted(ctx, letters.to_forgotten(ctx.org, email, code)),
    )
    return Ok()


async def reset_password(ctx: Context, reset: PasswordReset) -> SignedIn:
    """Choose a new password with the code of the mail; ends every session, and verifies the address as well."""
    email = address(reset.email, "email")
    passwords.check_strength(reset.new_password, "newPassword", email)
    async with limits.attempt(ctx, "code", email, InvalidCode):
        proven = await _prove(ctx, email, "reset", reset.code, await passwords.digest(reset.new_password))
    return await _signed_in(ctx, proven)


async def _prove(ctx: Context, email: str, purpose: str, code: str, password_hash: str | None) -> Proven:
    """Whoever reads the mail of an address owns its account, and the person whom others named by it."""
    try:
        proven = await ctx.db.maybe(
            queries.PROVE,
            address=email,
            purpose=purpose,
            session=None if ctx.person is None else ctx.person.session,
            code=tickets.code_digest(code),
            person=ctx.new_id(),
            password_hash=password_hash,
            **_posted(ctx, letters.to_change(ctx.org)),
        )
    except Duplicate as error:
        raise InvalidCode from error
    if proven is None:
        raise InvalidCode
    return proven


async def change_password(ctx: Context, change: PasswordChange) -> SignedIn:
    """Change your password; ends every session of the account, and answers with a new one."""
    passwords.check_strength(change.new_password, "newPassword", ctx.me.email)
    if ctx.me.session is None:
        raise NoPassword
    account = await ctx.db.maybe(queries.OF_SESSION, org=ctx.org.id, session=ctx.me.session)
    if account is None:
        raise TokenRevoked
    ctx.spend(limits.PASSWORD_CHANGES, on=ctx.me.session)
    async with limits.attempt(ctx, "password", ctx.me.email or "", InvalidCredentials):
        (right,) = await passwords.check(change.current_password, account.password_hash)
        if not right:
            raise InvalidCredentials
    changed = await ctx.db.maybe(
        queries.CHANGE,
        account=account.id,
        epoch=account.epoch,
        password_hash=await passwords.digest(change.new_password),
        **_posted(ctx, letters.to_change(ctx.org)),
    )
    if changed is None:
        # Somebody else changed it while we were checking: what was right then is not any more.
        raise InvalidCredentials
    return await _signed_in(ctx, changed)


async def profile(ctx: Context) -> User:
    """Who you are; `id` is null and `verified` false until your address is verified."""
    return await ctx.db.one(queries.PROFILE, **ctx.viewer, session=ctx.me.session, role=ctx.me.role)


async def readdress(db: Database, org: Organisation, old: str, new: str) -> None:
    """Lets the account of the person at an address sign in by another one, which staff vouch for.

    Spoken before the person's own address changes, in the same transaction: locks are taken in one order.
    """
    try:
        await db.one(queries.READDRESS, org=org.id, old=old, new=new)
    except Duplicate as error:
        raise AddressTaken from error


async def _accounts(ctx: Context, email: str) -> Known:
    return await ctx.db.one(queries.FIND, org=ctx.org.id, address=email)


def _posted(ctx: Context, chosen: Letters) -> dict[str, Any]:
    """What a statement binds that posts a mail."""
    return {
        "org": ctx.org.id,
        "mail": ctx.new_id(),
        "message_id": secrets.token_hex(16),
        "letters": chosen,
        "origin": ctx.origin,
        "now": ctx.now,
    }


async def _signed_in(ctx: Context, changed: Changed) -> SignedIn:
    forget(ctx, changed.ended)
    if changed.suspended:
        raise Suspended
    return await open_session(ctx, changed.id, changed.epoch)
