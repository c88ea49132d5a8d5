"""Mail by SMTP."""

from __future__ import annotations

import contextlib
import re
import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime, parseaddr
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from plaza.kernel.addresses import is_address
from plaza.kernel.clock import Clock, system_clock
from plaza.kernel.errors import Unavailable

REPLY_SECONDS = 20.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
AWAY = (OSError, aiosmtplib.SMTPException)


class MailUrlError(ValueError):
    """The address of the mail system is not one; the text says why and quotes nothing of it."""


class MailSystem(NamedTuple):
    """Where mail goes; `tls` from the first byte, `starttls` always, never, or (None) where it is offered."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool
    starttls: bool | None


def mail_system(url: str) -> MailSystem:
    """Reads `smtp://user:password@host:port` or `smtps://…`, with `?starttls=always|offered|never` for the former.

    A password leaves this machine encrypted only: with one, `always` is the default, save on loopback.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise MailUrlError("the port of the mail system is not a number") from error
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise MailUrlError("write the mail system as smtp://host:port or smtps://host:port")
    user = unquote(parts.username) if parts.username else None
    guarded = user is not None and parts.hostname not in _LOOPBACK
    wanted = parse_qs(parts.query).get("starttls", ["always" if guarded else "offered"])[-1]
    if wanted not in ("always", "offered", "never"):
        raise MailUrlError("starttls is always, offered or never")
    tls = parts.scheme == "smtps"
    return MailSystem(
        parts.hostname,
        port or (465 if tls else 587 if user else 25),
        user,
        unquote(parts.password) if parts.password else None,
        tls,
        False if tls else {"always": True, "offered": None, "never": False}[wanted],
    )


class Smtp:
    """A `Mailer`: one connection for each mail. `sender` is an address, with a name or without."""

    def __init__(
        self, url: str, sender: str, *, clock: Clock = system_clock, tls_context: ssl.SSLContext | None = None
    ) -> None:
        self._system = mail_system(url)
        self._clock = clock
        self._tls_context = tls_context
        name, address = parseaddr(_line(sender))
        if "@" not in address:
            raise MailUrlError("the sender of mail must be an e-mail address")
        self._sender = Address(name, addr_spec=address)

    async def send(self, *, to: str, subject: str, text: str, message_id: str) -> None:
        """Sends one mail; `Unavailable` when the mail system cannot be reached, else what it said against the mail."""
        message = compose(self._sender, to, subject, text, message_id, self._clock())
        client = self._client()
        try:
            await client.connect()
        except AWAY as error:
            raise Unavailable("The mail system cannot be reached.") from error
        try:
            await client.send_message(message, sender=self._sender.addr_spec, recipients=[to])
            with contextlib.suppress(*AWAY):
                await client.quit()
        finally:
            client.close()

    def _client(self) -> Any:
        system = self._system
        return aiosmtplib.SMTP(
            hostname=system.host,
            port=system.port,
            username=system.user,
            password=system.password,
            use_tls=system.tls,
            start_tls=system.starttls,
            tls_context=self._tls_context,
            local_hostname=self._sender.domain,
            timeout=REPLY_SECONDS,
        )


def compose(sender: Address, to: str, subject: str, text: str, message_id: str, now: datetime) -> EmailMessage:
    """The message; whatever the texts hold, they make no header and no second recipient."""
    if not is_address(to):
        raise ValueError("the recipient is not an e-mail address")
    local, _, domain = to.rpartition("@")
    message = EmailMessage(policy=POLICY)
    message["From"] = sender
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = _line(subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{message_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.replace("\x00", ""), cte="quoted-printable")
    return message


def _line(text: str) -> str:
    """On one line, without control characters."""
    return _CONTROL.sub(" ", text).strip()
