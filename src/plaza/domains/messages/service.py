"""Use cases of direct messages, in the order of the documentation."""

from __future__ import annotations

from typing import Any

import msgspec

from plaza.domains.messages import first_messages, list_queries, queries, retries, sizes
from plaza.domains.messages.list_queries import Slice
from plaza.domains.messages.queries import Sent
from plaza.domains.messages.schemas import (
    WHOLE_HISTORY,
    Deletion,
    History,
    Ids,
    Message,
    NewMessage,
    Read,
    Reads,
    Threads,
    ThreadsPage,
    UnreadCount,
)
from plaza.domains.people import NoSuchPerson, Suspended, meet, naming
from plaza.kernel import ids
from plaza.kernel.addresses import PersonRef
from plaza.kernel.context import Context
from plaza.kernel.errors import Forbidden, Invalid, Mismatch, Missing, Refusal
from plaza.kernel.idempotency import fingerprint
from plaza.kernel.paging import MOST, Listing, decode_pair, encode
from plaza.kernel.sql import Duplicate
from plaza.kernel.wire import Ok

PAGE = 50
"""Messages or threads of a page when nobody says (contract, decision 3)."""
_NEWER = 1
"""Beside the `seq` of a cursor that goes on to what is newer."""


class SelfMessage(Invalid):
    """A message to oneself."""

    reason = "message.self"
    message = "You cannot send a message to yourself."


class EmptyMessage(Invalid):
    """Neither words nor attachments."""

    reason = "message.empty"
    message = "A message needs content or an attachment."


class Blocked(Forbidden):
    """One of the two blocks the other."""

    reason = "message.blocked"
    message = "You cannot send messages to this person."


class NotConnected(Forbidden):
    """The recipient, or the organisation, allows messages between connections only."""

    reason = "message.not_connected"
    message = "This person takes messages from connections only."


class NoSuchMessage(Missing):
    """No such message, or not one that the caller may see."""

    reason = "message.not_found"
    message = "There is no such message."


class NoSuchReply(Missing):
    """`replyTo` names no message of this thread."""

    reason = "message.reply_not_found"
    message = "The message that this replies to is not here."


class NotYours(Forbidden):
    """Only the sender deletes a message for everyone."""

    reason = "message.not_yours"
    message = "Only its sender may delete a message for everyone."


_REFUSALS: dict[str, type[Refusal]] = {
    "suspended": Suspended,
    "nobody": NoSuchPerson,
    "self": SelfMessage,
    "different": Mismatch,
    "blocked": Blocked,
    "unconnected": NotConnected,
    "no_reply": NoSuchReply,
    "too_large": sizes.MessageTooLarge,
}


async def send(ctx: Context, message: NewMessage) -> Message:
    """Send a direct message; the same `clientId` to the same person gives the same message, however often sent.

    A retry is answered with the message as you may see it by then, deleted or read; where you may not, with 404.
    """
    if not message.content.strip() and not message.attachments:
        raise EmptyMessage
    draft = _draft(ctx, message)

    async def place(**whom: Any) -> Sent:
        counted = ctx.buckets.on
        try:
            sent = await ctx.db.one(queries.SEND, **draft, **whom, counted=counted)
        except Duplicate:
            # The same client id arrived twice at one moment and the other one won: now it is there to be found.
            return await ctx.db.one(queries.SEND, **draft, **whom, counted=counted)
        if sent.verdict != "first":
            return sent
        async with ctx.transaction():
            await first_messages.count(ctx)
            return await ctx.db.one(queries.SEND, **draft, **whom, counted=False)

    sent = await meet(ctx, PersonRef(message.to), "to", place)
    if sent.prior is not None:
        return await _read_again(ctx, sent.prior)
    if sent.message is None:
        raise _REFUSALS[sent.verdict]
    return sent.message


async def _read_again(ctx: Context, prior: int) -> Message:
    found = await ctx.db.maybe(retries.FIND, **ctx.viewer, id=prior)
    if found is None:
        raise NoSuchMessage
    return found.message


def _draft(ctx: Context, message: NewMessage) -> dict[str, Any]:
    attachments = msgspec.to_builtins(message.attachments or [])
    listed = msgspec.json.encode(attachments)
    mark = fingerprint(message.content, message.content_type, listed, message.reply_to or "")
    draft = {
        **ctx.writer,
        "id": ctx.new_id(),
        "thread": ctx.new_id(),
        "content": message.content,
        "content_type": message.content_type,
        "attachments": attachments,
        "size": sizes.encoded(message.content) + len(listed),
        "reply_to": None if message.reply_to is None else ids.parse(message.reply_to),
        "client_id": message.client_id,
        "fingerprint": None if message.client_id is None else mark,
        "connections_only": ctx.org.settings.dm_policy == "connections",
    }
    return draft | {"room": sizes.room(draft)}


async def message(ctx: Context, id: str) -> Message:  # noqa: A002 — the documentation's own name
    """A message as you may see it now."""
    return await _read_again(ctx, ids.parse(id))


async def threads(ctx: Context, page: ThreadsPage) -> Threads:
    """Your conversations, the newest first, each with its last message and your unread count.

    A page ends at 1 MB too, the next one begins right behind it: the list has ended where a page is empty.
    """
    size, number = min(page.limit or PAGE, MOST), page.page_num or 1
    part = {"rows": number * size, "page": number - 1, "size": size, "share": sizes.share(size)}
    return await ctx.db.all(list_queries.THREADS, **ctx.viewer, **part)


async def thread(ctx: Context, user_id: PersonRef, part: History) -> Listing[Message]:
    """The history with one person, newest first; with `after`, what came since then, oldest first.

    Without `limit` the newest 1,000. A page ends at 1 MB too, and the next one, by cursor or by number, begins right
    behind it. An address nobody has written to yet has an empty history, and so has somebody blocked either way.
    """
    names = naming(ctx, user_id, "userId")
    size, number = min(part.limit, MOST) if part.limit else WHOLE_HISTORY, part.page_num or 1
    position, forward = _beginning(part)
    beginning = ids.HIGHEST if position is None else position
    named = ids.LOWEST <= beginning < ids.HIGHEST
    rows = await ctx.db.all(
        list_queries.AFTER if forward else list_queries.BEFORE,
        **ctx.viewer,
        **names,
        seq=None if named else beginning,
        id=beginning if named else None,
        rows=number * size + 1,
        page=number - 1,
        size=size,
        share=sizes.share(size),
    )
    if names["person"] is not None and not rows[0].known:
        raise NoSuchPerson
    if rows[0].known and not rows[0].placed:
        raise NoSuchMessage
    shown = [row for row in rows if row.message is not None and not row.later]
    more = any(row.later for row in rows)
    return Listing(
        data=[row.message for row in shown if row.message is not None],
        total=rows[0].total if rows[0].known else 0,
        has_next=more,
        limit=size,
        page_num=number,
        next_cursor=_cursor(shown[-1], forward) if more and shown else None,
    )


def _beginning(part: History) -> tuple[int | None, bool]:
    """The place behind which a page begins, and whether it goes on to what is newer."""
    if part.cursor:
        seq, newer = decode_pair(part.cursor)
        return seq, newer == _NEWER
    return (part.before, False) if part.after is None else (part.after, True)


def _cursor(last: Slice, forward: bool) -> str:
    assert last.seq is not None
    return encode((last.seq, _NEWER) if forward else last.seq)


async def mark_read(ctx: Context, which: Ids) -> Read:
    """Mark messages as read by their ids; only those addressed to you count."""
    numbers = [ids.parse(text) for text in which.ids]
    return Read(await ctx.db.one(queries.READ, **ctx.writer, ids=numbers))


async def mark_thread_read(ctx: Context, user_id: PersonRef) -> Read:
    """Mark everything that one person wrote to you as read."""
    names = naming(ctx, user_id, "userId")
    return Read(await ctx.db.one(queries.READ_THREAD, **ctx.writer, **names))


async def mark(ctx: Context, reads: Reads) -> Read:
    """Mark one message, several, or all of a person's as read."""
    if reads.peer is not None:
        return await mark_thread_read(ctx, PersonRef(reads.peer))
    named = [*(reads.message_ids or []), *([reads.message_id] if reads.message_id else [])]
    if not named:
        raise Invalid.field("messageId", "say which: messageId, messageIds or peer")
    return await mark_read(ctx, Ids(ids=named))


async def delete(ctx: Context, id: str, deletion: Deletion) -> Ok:  # noqa: A002 — the documentation's own name
    """Delete a message for yourself; with `scope=everyone`, which is its sender's alone, for both."""
    everyone = deletion.scope == "everyone"
    done = await ctx.db.one(queries.DELETE if everyone else queries.HIDE, **ctx.writer, id=ids.parse(id))
    if not done.found:
        raise NoSuchMessage
    if everyone and not done.own:
        raise NotYours
    return Ok()


async def unread_count(ctx: Context) -> UnreadCount:
    """How many messages wait for you, across all threads."""
    return UnreadCount(await ctx.db.one(queries.UNREAD, **ctx.viewer))
