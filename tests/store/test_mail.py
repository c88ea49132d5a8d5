"""The postman with a real SMTP server: at least once, one Message-ID, never what rolled back, no word too many."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.headerregistry import Address
from email.message import Message
from typing import Any

import pytest
import structlog
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from plaza.adapters.smtp import MailUrlError, Smtp, compose, mail_system
from plaza.domains.accounts import jobs, mail
from plaza.domains.accounts.jobs import MOST_TRIES, Postman
from plaza.domains.organisations import service as organisations
from plaza.kernel.errors import Unavailable
from plaza.kernel.sql import Statement
from plaza.store.postgres import Postgres

_NUMBERS = itertools.count(1)
POST = Statement(
    "tests.post",
    int,
    f"with {mail.posting('(select 1) one', recipient=':address', letter=':letter')} select id from mailed",
)
LETTERS = {"hello": {"subject": "Hello", "text": "Open {site}/verify#code=abc\n\n.\nÜ" + "x" * 2_000}}


class MovedClock:
    """A clock that tests push."""

    def __init__(self) -> None:
        self.present = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.present

    def push(self, **more: float) -> None:
        """Lets time pass."""
        self.present += timedelta(**more)


class MailSystem:
    """A real SMTP server on loopback: `answer` is what it says to each mail, `taken` what it took."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.recipients: list[str] = []
        self.answer = "250 OK"
        self.delay = 0.0
        self.seen = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.seen += 1
        await asyncio.sleep(self.delay)
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.taken.append(message_from_bytes(envelope.content))
            self.recipients.extend(envelope.rcpt_tos)
        return self.answer

    async def open(self, **options: Any) -> None:
        """Listens, at the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="mail.test", loop=loop, **options), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Is gone."""
        if self._server is not None:
            self._server.close()
            await asyncio.sleep(0.05)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


class Post:
    """Two organisations whose mail one postman carries."""

    def __init__(self, store: Postgres) -> None:
        self.store = store
        self.clock = MovedClock()
        self.system = MailSystem()
        self.orgs: list[int] = []
        self._ids = itertools.count(1)

    async def write(self, org: int, address: str = "ann@mail.test", db: Any = None) -> int:
        """Posts a mail."""
        number = next(self._ids)
        return await (db or self.store).one(
            POST,
            org=org,
            address=address,
            letter="hello",
            letters=LETTERS,
            mail=number,
            message_id=f"m{number}.{org}",
            origin=None,
            now=self.clock(),
        )

    def postman(self) -> Postman:
        return Postman(self.store, Smtp(self.system.url, "Plaza <plaza@plaza.test>"), self.clock, "https://plaza.test/")

    @contextlib.asynccontextmanager
    async def working(self, *postmen: Postman) -> AsyncIterator[None]:
        """Postmen at work."""
        tasks = [asyncio.create_task(postman.run()) for postman in postmen]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def row(self, org: int, number: int) -> Any:
        async with self.store.acquire() as db:
            return await db.connection.fetchrow("select * from mail where org = $1 and id = $2", org, number)


async def until(happened: Any) -> None:
    """Waits for it, five seconds at most."""
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.01)


async def reached(post: Post, org: int, number: int, **values: object) -> Any:
    """The row of a mail, as soon as it says so."""
    async with asyncio.timeout(5):
        while True:
            row = await post.row(org, number)
            if all(row[name] == value for name, value in values.items()):
                return row
            await asyncio.sleep(0.01)


def pause(post: Post, row: Any) -> timedelta:
    """How long until a mail is tried again."""
    return datetime.fromisoformat(row["next_try_at"]) - post.clock()


@pytest.fixture
async def post(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "LONGEST_REST_SECONDS", 0.1)
    store = Postgres(database_url, size=6)
    await store.open()
    made = Post(store)
    async with store.acquire() as db:
        await db.connection.execute("delete from mail")  # what earlier tests of this worker left
    for name in ("north", "south"):
        slug = f"mail-{name}-{os.getpid()}-{next(_NUMBERS)}"
        made.orgs.append((await organisations.create(store, slug, None, made.clock())).id)
    await made.system.open()
    yield made
    await made.system.close()
    await store.close()


async def test_a_posted_mail_arrives_once_in_each_organisation_and_its_text_is_forgotten(post: Post) -> None:
    numbers = [await post.write(org) for org in post.orgs]
    async with post.working(post.postman(), post.postman()):
        rows = [await reached(post, org, number, text="") for org, number in zip(post.orgs, numbers, strict=True)]
        await asyncio.sleep(0.2)
    assert [row["tries"] for row in rows] == [1, 1]
    assert len(post.system.taken) == 2
    expected = {f"<m{number}.{org}@plaza.test>" for org, number in zip(post.orgs, numbers, strict=True)}
    assert {message["Message-ID"] for message in post.system.taken} == expected
    for message in post.system.taken:
        assert message["From"] == "Plaza <plaza@plaza.test>"
        assert message["To"] == "ann@mail.test"
        assert message["Subject"] == "Hello"
        body = message.get_payload(decode=True)
        assert isinstance(body, bytes)
        text = body.decode().replace("\r\n", "\n")
        assert text.startswith("Open https://plaza.test/verify#code=abc\n\n.\nÜxxx")
        assert text.count("x") == 2_000


async def test_the_postman_starts_at_once_when_a_mail_is_announced(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 60)
    postman = post.postman()
    async with post.working(postman):
        await asyncio.sleep(0.1)
        await post.write(post.orgs[0])
        await postman.posted(post.store, [])
        await until(lambda: post.system.taken)


async def test_what_was_rolled_back_is_never_sent(post: Post) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with post.store.transaction() as db:
            await post.write(post.orgs[0], db=db)
            raise ZeroDivisionError
    number = await post.write(post.orgs[1])
    async with post.working(post.postman()):
        await reached(post, post.orgs[1], number, text="")
    assert len(post.system.taken) == 1


async def test_a_refused_mail_is_tried_later_and_later_and_does_not_hold_up_another(post: Post) -> None:
    org = post.orgs[0]
    post.system.answer = "550 No such mailbox ann@mail.test"
    poison = await post.write(org)
    pauses = []
    with structlog.testing.capture_logs() as logs:
        async with post.working(post.postman()):
            for tries in range(1, MOST_TRIES + 1):
                row = await reached(post, org, poison, tries=tries)
                while row["failed_at"] is None and pause(post, row) == jobs.LEASE:
                    row = await post.row(org, poison)
                pauses.append(pause(post, row).total_seconds())
                post.clock.push(hours=2)
            row = await post.row(org, poison)
            assert row["failed_at"] is not None
            post.system.answer = "250 OK"
            other = await post.write(org, "bob@mail.test")
            await reached(post, org, other, text="")
            await asyncio.sleep(0.2)
    assert post.system.recipients == ["bob@mail.test"]
    assert post.system.seen == MOST_TRIES + 1
    assert all(5 * 2**place <= seconds <= 15 * 2**place for place, seconds in enumerate(pauses[:8]))
    assert 1_800 <= pauses[9] <= 5_400
    events = [entry["event"] for entry in logs]
    assert events.count("mail.later") == MOST_TRIES - 1
    assert events.count("mail.failed") == 1
    assert "550" in str(logs)
    assert not [word for word in ("mail.test", "Hello", "No such", "abc") if word in str(logs)]


async def test_while_the_mail_system_is_away_nothing_counts_and_nothing_is_lost(post: Post) -> None:
    await post.system.close()
    numbers = [await post.write(org) for org in post.orgs for _ in range(5)]
    orgs = [org for org in post.orgs for _ in range(5)]
    with structlog.testing.capture_logs() as logs:
        async with post.working(post.postman()):
            async with asyncio.timeout(5):
                while [entry["event"] for entry in logs].count("mail.away") < MOST_TRIES + 2:
                    await asyncio.sleep(0.01)
            await post.system.open()
            for org, number in zip(orgs, numbers, strict=True):
                assert (await reached(post, org, number, text=""))["tries"] == 1
    assert len(post.system.taken) == 10


async def test_a_mail_whose_postman_died_is_sent_by_another_with_the_same_message_id(post: Post) -> None:
    number = await post.write(post.orgs[0])
    post.system.delay = 30
    async with post.working(post.postman()):
        await until(lambda: post.system.seen)
    post.system.delay = 0
    async with post.working(post.postman()):
        await asyncio.sleep(0.2)
        assert post.system.taken == [], "the lease of the first one has not ended"
        post.clock.push(minutes=3)
        await reached(post, post.orgs[0], number, text="")
    assert [message["Message-ID"] for message in post.system.taken] == [f"<m{number}.{post.orgs[0]}@plaza.test>"]


async def test_one_slow_mail_does_not_hold_up_the_others(post: Post) -> None:
    post.system.delay = 30
    await post.write(post.orgs[0])
    async with post.working(post.postman()):
        await until(lambda: post.system.seen)
        post.system.delay = 0
        numbers = [await post.write(post.orgs[1]) for _ in range(6)]
        for number in numbers:
            await reached(post, post.orgs[1], number, text="")


async def test_without_a_mail_system_mail_stays_and_is_shown(post: Post) -> None:
    numbers = [await post.write(org) for org in post.orgs]
    async with post.working(Postman(post.store, None, post.clock, "")):
        await asyncio.sleep(0.2)
    shown = {(item.id, item.tries, item.sent_at) for item in await mail.newest(post.store)}
    assert {(number, 0, None) for number in numbers} <= shown


@pytest.mark.parametrize(
    "bad", ["\r\nBcc: eve@evil.test", "\nBcc: eve@evil.test", "\x00", "\u2028Bcc: x", "\x85Bcc: x"]
)
def test_whatever_the_texts_hold_they_make_no_header(bad: str) -> None:
    sender = Address("Pla" + "za", addr_spec="plaza@plaza.test")
    message = compose(sender, "ann@mail.test", f"Hi{bad}", f"text{bad}", "m1", datetime.now(UTC))
    read = message_from_bytes(message.as_bytes())
    headers = "Auto-Submitted Content-Transfer-Encoding Content-Type Date From MIME-Version Message-ID Subject To"
    assert sorted(read.keys()) == headers.split()
    assert read["To"] == "ann@mail.test"
    for address in (f"ann@mail.test{bad}", f"ann{bad}@mail.test"):
        with pytest.raises(ValueError, match=r".*"):
            compose(sender, address, "Hi", "text", "m1", datetime.now(UTC)).as_bytes()
    Smtp("smtp://127.0.0.1", f"Pla{bad}za <plaza@plaza.test>")


async def test_a_password_is_given_to_the_mail_system_and_a_wrong_one_counts_as_away(post: Post) -> None:
    given: list[Sequence[bytes]] = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, auth: Any) -> AuthResult:
        given.append((auth.login, auth.password))
        return AuthResult(success=auth.password == b"p@ss w:rd", handled=False)

    await post.system.close()
    await post.system.open(authenticator=check, auth_require_tls=False)
    mail_to = {"to": "ann@mail.test", "subject": "Hi", "text": "text", "message_id": "m1"}
    await Smtp(f"smtp://pla%40za:p%40ss%20w%3Ard@127.0.0.1:{post.system.port}", "plaza@plaza.test").send(**mail_to)
    assert given[-1] == (b"pla@za", b"p@ss w:rd")
    assert len(post.system.taken) == 1
    with pytest.raises(Unavailable):
        await Smtp(f"smtp://plaza:wrong@127.0.0.1:{post.system.port}", "plaza@plaza.test").send(**mail_to)


async def test_where_encryption_must_be_nothing_is_said_without_it(post: Post) -> None:
    mail_to = {"to": "ann@mail.test", "subject": "Hi", "text": "text", "message_id": "m1"}
    with pytest.raises(Unavailable):
        await Smtp(f"{post.system.url}?starttls=always", "plaza@plaza.test").send(**mail_to)
    assert post.system.taken == []


def test_the_address_of_a_mail_system_says_how_it_is_reached() -> None:
    assert mail_system("smtp://mail.test") == ("mail.test", 25, None, None, False, None)
    assert mail_system("smtp://a:b@mail.test") == ("mail.test", 587, "a", "b", False, True)
    assert mail_system("smtp://a:b@localhost:26") == ("localhost", 26, "a", "b", False, None)
    assert mail_system("smtps://a:b@mail.test") == ("mail.test", 465, "a", "b", True, False)
    assert mail_system("smtp://mail.test?starttls=never").starttls is False
    for wrong in ("http://mail.test", "smtp://", "smtp://h:port", "smtp://h?starttls=perhaps", "mail.test:25"):
        with pytest.raises(MailUrlError):
            mail_system(wrong)
    with pytest.raises(MailUrlError):
        Smtp("smtp://mail.test", "nobody")
