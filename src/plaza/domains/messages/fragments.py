"""Pieces of SQL that the statements of direct messages are made of.

`m` is always the message, `s` its sender, `r` its recipient, `q` the message that it answers; `:me` is who looks.
"""

from __future__ import annotations

from plaza.domains.people import open_card
from plaza.kernel import policies


def visible(message: str, viewer: str = ":me") -> str:
    """Whether one of the two has not hidden the message for themselves."""
    return f"""(({message}.sender = {viewer} and not {message}.sender_hid)
        or ({message}.recipient = {viewer} and not {message}.recipient_hid))"""


def unread(message: str) -> str:
    """Whether a message waits to be read by its recipient."""
    return f"({message}.read_at is null and {message}.deleted_at is null and not {message}.recipient_hid)"


def columns(viewer: str) -> str:
    """A `Message` as `viewer` sees it, who has sent it or was written to by its sender: the sender's card is open."""
    return f"""row(
        m.id::text, m.thread::text, m.seq, s.email, r.email, m.content, m.content_type, m.attachments,
        m.reply_to::text,
        case when q.id is not null then row(
            q.id::text, case when q.sender = s.id then s.email else r.email end, left(q.content, 140), q.content_type
        ) end,
        case when m.sender = {viewer} then m.client_id end,
        case when m.deleted_at is not null then 'deleted' when fate.read_at is not null then 'read'
            when fate.delivered_at is not null then 'delivered' else 'sent' end,
        m.created_at, fate.delivered_at, fate.read_at, {open_card("s")}
    )"""


def told(viewer: str) -> str:
    """Joins what `viewer` learns of how a message fared: of reading only where both sides let it be known.

    Who has left the directory would show themselves to a stranger who has written to them.
    """
    return f"""left join lateral (
        select case when known.own or known.shown then m.delivered_at end as delivered_at,
            case when known.own or known.shown and s.read_receipts and r.read_receipts then m.read_at end as read_at
        from (
            select m.recipient = {viewer} as own,
                m.delivered_at is not null and {policies.shown_to(viewer, "r")} as shown
            offset 0
        ) known
    ) fate on true"""


def quoted(viewer: str) -> str:
    """Joins the message that `m` answers, where the viewer may still see it."""
    return f"""left join message q on q.org = m.org and q.id = m.reply_to and q.deleted_at is null
        and {visible("q", viewer)}"""


PEOPLE = """join person s on s.org = m.org and s.id = m.sender
    join person r on r.org = m.org and r.id = m.recipient"""
