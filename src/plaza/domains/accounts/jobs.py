"""What accounts do later: the postman, who sends the mail, and the sweeping of what is over."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from plaza.domains.accounts import mail
from plaza.domains.accounts.letters import SITE
from plaza.domains.accounts.mail import Due
from plaza.kernel.clock import Clock
from plaza.kernel.errors import Unavailable
from plaza.kernel.outbox import Announced
from plaza.kernel.ports import Mailer
from plaza.kernel.sql import Database, Statement

log = structlog.get_logger("plaza.postman")

HANDS = 4
"""Mails on their way at one time: one that takes long does not hold up the others."""
MOST_TRIES = 10
PATIENCE_SECONDS = 60.0
LEASE = timedelta(minutes=2)
"""After so long a mail whose process died is taken up again; longer than the patience with one that is on its way."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
LONGEST_REST_SECONDS = 30.0
"""How late the return of a mail system is noticed."""
POLL_SECONDS = 5.0
SWEEP_SECONDS = 3_600.0
KEPT_PENDING, KEPT_MAIL, KEPT_OVER = timedelta(days=30), timedelta(days=30), timedelta(days=1)
"""How long there stays a sign-up that nobody verified, a mail, and a session that is over."""

SWEEP = Statement(
    "accounts.sweep",
    int,
    """
    with sessions as (delete from session where expires_at < :over returning 1),
    codes as (delete from account_code where expires_at < :over returning 1),
    mails as (delete from mail where created_at < :old returning 1),
    quotas as (delete from mail_quota where sent[cardinality(sent)] < :over returning 1),
    accounts as (delete from account where verified_at is null and created_at < :stale returning 1)
    select (select count(*) from sessions) + (select count(*) from codes) + (select count(*) from mails)
        + (select count(*) from accounts) + (select count(*) from quotas)
    """,
    tenant=False,
)


async def sweep(db: Database, now: datetime) -> int:
    """Forgets what is over: sessions, codes, mails, sign-ups that nobody verified; how many rows."""
    return await db.one(SWEEP, over=now - KEPT_OVER, old=now - KEPT_MAIL, stale=now - KEPT_PENDING)


class Postman:
    """Sends what is due until cancelled, at least once, with the same Message-ID; without a mailer mail just stays.

    A mail that is refused is tried again later and later, ten times; while the mail system is away nothing counts.
    """

    def __init__(self, store: Database, mailer: Mailer | None, clock: Clock, site: str) -> None:
        self._store = store
        self._mailer = mailer
        self._clock = clock
        self._site = site.rstrip("/")
        self._wake = asyncio.Event()
        self._busy = 0
        self._away = 0
        """How often in a row the mail system was not to be reached."""

    def wake(self) -> None:
        """There may be mail."""
        self._wake.set()

    async def posted(self, _db: Database, _announced: Sequence[Announced]) -> Sequence[Announced]:
        """Hears `MailPosted` in the process that relays; the postmen of the others look every few seconds."""
        self.wake()
        return ()

    async def run(self) -> None:
        """Works until cancelled, and survives every outage of the store and of the mail system."""
        swept = float("-inf")
        async with asyncio.TaskGroup() as hands:
            while True:
                self._wake.clear()
                try:
                    for due in await self._claim():
                        self._busy += 1
                        hands.create_task(self._carry(due))
                    if asyncio.get_running_loop().time() - swept > SWEEP_SECONDS:
                        swept = asyncio.get_running_loop().time()
                        await sweep(self._store, self._clock())
                except Unavailable:
                    log.warning("postman.waits")
                await self._rest()

    async def _claim(self) -> Sequence[Due]:
        free = HANDS - self._busy
        if self._mailer is None or free <= 0:
            return ()
        now = self._clock()
        # One alone finds out whether the mail system is back.
        return await self._store.all(mail.CLAIM, most=1 if self._away else free, lease=now + LEASE, now=now)

    async def _rest(self) -> None:
        if self._away:
            await asyncio.sleep(_jittered(min(2.0 ** (self._away - 1), LONGEST_REST_SECONDS)))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def _carry(self, due: Due) -> None:
        try:
            await self._deliver(due)
        except Unavailable:
            # Not written down: the lease ends, and the mail is sent again with the same Message-ID.
            log.warning("postman.waits")
        finally:
            self._busy -= 1
            self.wake()

    async def _deliver(self, due: Due) -> None:
        assert self._mailer is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._mailer.send(
                    to=due.recipient,
                    subject=due.subject,
                    text=due.text.replace(SITE, self._site),
                    message_id=due.message_id,
                )
        except Unavailable as error:
            self._away += 1
            log.warning("mail.away", org=due.org, mail=str(due.id), cause=_cause(error))
            await self._put_back(due, due.tries - 1, timedelta())
        except Exception as error:
            self._away = 0
            await self._refused(due, error)
        else:
            self._away = 0
            await self._store.maybe(mail.SENT, org=due.org, id=due.id, now=self._clock())

    async def _refused(self, due: Due, error: Exception) -> None:
        last = due.tries >= MOST_TRIES
        say = log.error if last else log.warning
        say(
            "mail.failed" if last else "mail.later", org=due.org, mail=str(due.id), tries=due.tries, cause=_cause(error)
        )
        pause = min(FIRST_PAUSE * 2 ** (due.tries - 1), LONGEST_PAUSE)
        await self._put_back(due, due.tries, pause * _jittered(1), failed=last)

    async def _put_back(self, due: Due, tries: int, pause: timedelta, *, failed: bool = False) -> None:
        now = self._clock()
        await self._store.maybe(
            mail.LATER,
            org=due.org,
            id=due.id,
            tries=tries,
            next_try=now + pause,
            failed=now if failed else None,
        )


def _jittered(pause: float) -> float:
    """Half to one and a half of it, so that what failed together does not come back together."""
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 — no secret


def _cause(error: Exception) -> str:
    """The kind of an error and its number if it has one; never its words, which quote the address."""
    known = error.__cause__ or error
    code = getattr(known, "code", None)
    return type(known).__name__ + (f" {code}" if isinstance(code, int) else "")
