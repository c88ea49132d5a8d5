"""The mail that waits to be sent: how a statement posts one, and the statements of the postman."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from plaza.domains.accounts.facts import MailPosted
from plaza.domains.accounts.letters import SITE
from plaza.kernel.outbox import announce
from plaza.kernel.sql import Database, Statement

LATELY, MOST_LATELY = timedelta(hours=1), 5
"""Letters of a kind to one address of one organisation: whoever asks for more floods somebody."""


class Due(msgspec.Struct, frozen=True):
    """A mail in the postman's hand."""

    org: int
    id: int
    recipient: str
    subject: str
    text: str
    message_id: str
    tries: int


class Posted(msgspec.Struct, frozen=True):
    """A mail as the page /outbox shows it."""

    org: str
    id: int
    recipient: str
    subject: str
    text: str
    created_at: str
    tries: int
    sent_at: str | None
    failed_at: str | None


def room(source: str, *, recipient: str, kind: str, most: str = str(MOST_LATELY)) -> str:
    """SQL of a `room`: a row for a row of `source` while the recipient got few letters of the kind lately.

    Each is counted in a row that is locked meanwhile, so that two at one moment do not both take the last. Binds
    `:lately` and `:now`.
    """
    lately = "unnest(q.sent) as at where at > :lately"
    return f"""room as (
        insert into mail_quota as q (org, recipient, kind, sent)
        select :org, {recipient}, {kind}, array[:now::timestamptz] from {source}
        on conflict (org, recipient, kind) do update
            set sent = array(select at from {lately} order by at) || excluded.sent
            where (select count(*) from {lately}) < {most}
        returning 1 as one
    )"""


def posting(source: str, *, recipient: str, letter: str) -> str:
    """SQL that posts a mail for each row of `source`, and says so; `letter` is its name in `:letters`.

    Binds `:mail` (an id), `:message_id`, `:letters`, and what `announce` binds.
    """
    chosen = f"(:letters::jsonb -> ({letter}))"
    return f"""mailed as (
        insert into mail (org, id, recipient, subject, text, message_id, created_at, next_try_at)
        select :org, :mail, {recipient}, {chosen} ->> 'subject', {chosen} ->> 'text', :message_id, :now, :now
        from {source}
        returning id
    ),
    posted as ({announce(MailPosted, "mailed", mail="id")})"""


# The postman serves every organisation.
CLAIM = Statement(
    "mail.claim",
    Due,
    """
    update mail m set tries = m.tries + 1, next_try_at = :lease
    from (
        select org, id from mail where sent_at is null and failed_at is null and next_try_at <= :now
        order by next_try_at limit :most for update skip locked
    ) due
    where m.org = due.org and m.id = due.id
    returning m.org, m.id, m.recipient, m.subject, m.text, m.message_id, m.tries
    """,
    tenant=False,
)
SENT = Statement(
    "mail.sent",
    int,
    "update mail set sent_at = :now, text = '' where org = :org and id = :id and sent_at is null returning id",
    hot=True,
)
LATER = Statement(
    "mail.later",
    int,
    """
    update mail set tries = :tries, next_try_at = :next_try, failed_at = :failed
    where org = :org and id = :id and sent_at is null
    returning id
    """,
    hot=True,
)
NEWEST = Statement(
    "mail.newest",
    Posted,
    """
    select o.slug, m.id, m.recipient, m.subject, m.text, m.created_at, m.tries, m.sent_at, m.failed_at
    from mail m join org o on o.id = m.org
    order by m.id desc limit 100
    """,
    tenant=False,
)


async def newest(db: Database) -> Sequence[Posted]:
    """The newest 100 mails of all organisations, for a developer who has no mail system."""
    return await db.all(NEWEST)


async def shown(db: Database, site: str) -> list[dict[str, str]]:
    """The newest mails as the page /outbox shows them, with links to `site`."""
    return [
        {
            "org": mail.org,
            "to": mail.recipient,
            "subject": mail.subject,
            "text": mail.text.replace(SITE, site),
            "at": mail.created_at,
        }
        for mail in await newest(db)
    ]
