"""Pieces of SQL that the statements of direct messages are made of.

`m` is always the message, `s` its sender, `r` its recipient, `q` the message that it answers; `:me` is who looks.
"""

from __future__ import annotations

from plaza.domains.people import card


def visible(message: str, viewer: str = ":me") -> str:
    """Whether one of the two has not hidden the message for themselves."""
    return f"""(({message}.sender = {viewer} and not {message}.sender_hid)
        or ({message}.recipient = {viewer} and not {message}.recipient_hid))"""


def unread(message: str) -> str:
    """Whether a message waits to be read by its recipient."""
    return f"({message}.read_at is null and {message}.deleted_at is null and not {message}.recipient_hid)"


def columns(viewer: str) -> str:
    """A `Message` as `viewer` sees it; the sender learns of the reading only where both let it be known."""
    read = f"(m.read_at is not null and (m.recipient = {viewer} or (s.read_receipts and r.read_receipts)))"
    return f"""row(
        m.id::text, m.thread::text, m.seq, s.email, r.email, m.content, m.content_type, m.attachments,
        m.reply_to::text,
        case when q.id is not null then row(
            q.id::text, case when q.sender = s.id then s.email else r.email end, left(q.content, 140), q.content_type
        ) end,
        case when m.sender = {viewer} then m.client_id end,
        case when m.deleted_at is not null then 'deleted' when {read} then 'read'
            when m.delivered_at is not null then 'delivered' else 'sent' end,
        m.created_at, m.delivered_at, case when {read} then m.read_at end, {card("s")}
    )"""


def quoted(viewer: str) -> str:
    """Joins the message that `m` answers, where the viewer may still see it."""
    return f"""left join message q on q.org = m.org and q.id = m.reply_to and q.deleted_at is null
        and {visible("q", viewer)}"""


PEOPLE = """join person s on s.org = m.org and s.id = m.sender
    join person r on r.org = m.org and r.id = m.recipient"""

PEER = "peer as (select * from person where org = :org and (email = :email or id = :person))"
"""The person that `:email` or `:person` names."""
