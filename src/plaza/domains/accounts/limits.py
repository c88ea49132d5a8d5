"""Limits of accounts: of the letters that strangers cause, and of guesses at passwords and codes (decision 19)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from http import HTTPStatus

from plaza.kernel.context import Context
from plaza.kernel.errors import Refusal, TooMany
from plaza.kernel.limits import Limit, Take, takes


class TooManyLetters(TooMany):
    """So many letters were caused from this network, or in this organisation, that no more are written for now."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "mail.limited"
    message = "Too many e-mails were asked for from here; try again later."


LETTERS_OF_NETWORK = Limit(
    "accounts.letters_network",
    60,
    3_600,
    "A letter to a new or forgetful member; setting `letters_per_network`.",
    "network",
    refusal=TooManyLetters,
    by_use_case=True,
)
LETTERS_OF_ORGANISATION = Limit(
    "accounts.letters",
    1_000,
    3_600,
    "The same letters, from everywhere; setting `letters_per_organisation`. Beyond it each account still gets one an "
    "hour about a forgotten password.",
    "organisation",
    refusal=TooManyLetters,
    by_use_case=True,
)
LETTERS_OF_RECOVERY = Limit(
    "accounts.letters_recovery",
    10,
    3_600,
    "Letters about a forgotten password that are kept for it when `accounts.letters_network` is used up.",
    "network",
    refusal=TooManyLetters,
    by_use_case=True,
)
PASSWORD_CHANGES = Limit(
    "accounts.password_changes",
    10,
    600,
    "A try to change the password, with one session.",
    "account",
    by_use_case=True,
)
_TRIES = (
    "Tries at one address that went wrong: passwords, codes and sign-ups each for themselves. Beyond it a try waits "
)
TRIES = Limit("accounts.tries", 5, 900, _TRIES + "one second.", "account", by_use_case=True)
TRIES_BEYOND = Limit("accounts.tries_beyond", 5, 900, _TRIES + "four seconds.", "account", by_use_case=True)
TRIES_FAR_BEYOND = Limit("accounts.tries_far_beyond", 5, 900, _TRIES + "eight seconds.", "account", by_use_case=True)
ALL_TRIES = (TRIES, TRIES_BEYOND, TRIES_FAR_BEYOND)
DELAYS = (0.0, 1.0, 4.0, 8.0)
"""Seconds that a try waits, by which of `ALL_TRIES` still has a token; the last where none has."""
wait = asyncio.sleep


@asynccontextmanager
async def attempt(ctx: Context, what: str, address: str, wrong: type[Refusal]) -> AsyncIterator[None]:
    """Waits before a try at a secret of an address, longer after many wrong ones, whether anybody has the address.

    Nobody is refused, so that nobody can lock the owner out: who knows the secret waits eight seconds at most. Only a
    try that ends as `wrong` costs anything: neither a right one nor an outage slows the next ones down.
    """
    taken, seconds = _take(ctx, f"{what} {address}")
    went_wrong = False
    try:
        await _delay(ctx, seconds)
        yield
    except wrong:
        went_wrong = True
        raise
    finally:
        if not went_wrong:
            ctx.buckets.give_back(*taken)


async def wait_to_sign_up(ctx: Context, address: str) -> None:
    """Waits before a sign-up with an address, longer after many; each of them counts."""
    await _delay(ctx, _take(ctx, f"sign-up {address}")[1])


def _take(ctx: Context, what: str) -> tuple[list[Take], float]:
    """Takes a token of the first limit that has one, none where none has; the seconds to wait for it."""
    for limit, seconds in zip(ALL_TRIES, DELAYS, strict=False):
        taken = takes((limit,), org=ctx.org.id, person=None, address=ctx.address, on=what)
        try:
            ctx.buckets.take(*taken)
        except TooMany:
            continue
        return taken, seconds
    return [], DELAYS[-1]


async def _delay(ctx: Context, seconds: float) -> None:
    """Waits outside of the request's slot, which others of the same network want meanwhile."""
    if not seconds:
        return
    async with ctx.slot.left() if ctx.slot is not None else nullcontext():
        await wait(seconds)


@contextmanager
def sign_up_letter(ctx: Context) -> Iterator[None]:
    """Counts the letter of a sign-up, before anybody looks whose the address is; one that fails causes none."""
    with ctx.reserve(LETTERS_OF_NETWORK) as network, ctx.reserve(LETTERS_OF_ORGANISATION) as organisation:
        for reservation in (network, organisation):
            if reservation.refusal is not None:
                raise reservation.refusal
        yield
        network.keep()
        organisation.keep()


def spend_recovery_letter(ctx: Context) -> bool:
    """Counts a letter about a forgotten password; whether the organisation has any left.

    One network that signs everybody up must not keep others behind it, or elsewhere, from getting their accounts back.
    """
    try:
        ctx.spend(LETTERS_OF_NETWORK)
    except TooManyLetters:
        ctx.spend(LETTERS_OF_RECOVERY)
    try:
        ctx.spend(LETTERS_OF_ORGANISATION)
    except TooManyLetters:
        return False
    return True
