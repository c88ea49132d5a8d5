"""The limit on first messages to people who have never answered (decisions/0020).

It is counted over the rows themselves, so that no restart and no number of processes gives anybody more; the
statement that sends asks for it only where a thread would begin.
"""

from __future__ import annotations

from datetime import timedelta

from plaza.kernel import ids, policies
from plaza.kernel.context import Context
from plaza.kernel.errors import TooMany
from plaza.kernel.limits import Limit
from plaza.kernel.sql import Statement


class TooManyFirstMessages(TooMany):
    """The caller has begun as many conversations as one may in an hour, and nobody of those has answered."""

    reason = "quota.first_messages"
    message = "You have written to many people who have not answered yet; wait before you write to another."


FIRST_MESSAGES = Limit(
    "messages.first",
    30,
    3_600,
    "A first message to somebody who is no connection, until they answer; counted over the last hour.",
    refusal=TooManyFirstMessages,
    by_use_case=True,
)

# Two first messages of one person at one moment: the second counts the first. Released with the transaction.
TURN = Statement("messages.first_turn", bool, "select pg_advisory_xact_lock(:org, hashint8(:me)) is not null")


def _begun(mine: str, theirs: str) -> str:
    """The unanswered threads that the caller began within the hour, with strangers, on one side of the pair."""
    return f"""
        select t.created_at from thread t join message m on m.org = t.org and m.thread = t.id and m.seq = 1
        where t.org = :org and t.{mine} = :me and t.last_message >= :since_id and t.created_at > :since
            and m.sender = :me and not {policies.connected(":me", f"t.{theirs}")} and not exists (
                select 1 from message a where a.org = t.org and a.thread = t.id and a.sender = t.{theirs}
            )"""


WAIT = Statement(
    "messages.first_wait",
    int,
    f"""
    select ceil(extract(epoch from b.created_at - :since::timestamptz))::integer
    from ({_begun("low", "high")} union all {_begun("high", "low")}) b
    order by b.created_at desc offset :amount - 1 limit 1
    """,
    hot=True,
)
"""The seconds until the caller may begin one more; no row where they may now."""


async def count(ctx: Context) -> None:
    """Refuses a first message too many; call it in the transaction that sends."""
    await ctx.db.one(TURN, **ctx.viewer)
    since = ctx.now - timedelta(seconds=FIRST_MESSAGES.seconds)
    wait = await ctx.db.maybe(
        WAIT, **ctx.viewer, since=since, since_id=ids.first_of(since), amount=FIRST_MESSAGES.amount
    )
    if wait is not None:
        raise TooManyFirstMessages(retry_after=max(1, wait))
