"""The outbox table: facts that wait for the relay, and those that failed in every try (`outbox_failed`)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import UTC, datetime

import msgspec

from plaza.kernel.checks import Finding
from plaza.kernel.sql import Database, Statement


class OutboxRow(msgspec.Struct, frozen=True):
    """A fact as stored; `fact` is JSON text, so that one that does not decode fails alone."""

    id: int
    org: int
    kind: str
    fact: str
    origin: str | None
    at: str
    tries: int


class FailedFact(msgspec.Struct, frozen=True, rename="camel"):
    """A fact that failed in every try, as `plaza facts failed` lists it."""

    id: int
    org: str
    kind: str
    fact: str
    error: str
    tries: int
    created_at: str
    failed_at: str


class OutboxState(msgspec.Struct, frozen=True):
    """How much waits: rows of the kinds that this version has, the oldest of them, rows of other kinds, failed rows."""

    rows: int = 0
    oldest_at: str | None = None
    unknown: int = 0
    failed: int = 0

    def age(self, now: datetime) -> float:
        """Seconds that the oldest row has waited; 0 where none waits."""
        return (
            0.0 if self.oldest_at is None else max(0.0, (now - datetime.fromisoformat(self.oldest_at)).total_seconds())
        )


NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When a fact of an unknown kind is tried again: once a leader knows it."""
_CLAIM = """
    delete from outbox where id = any(array({waiting}))
    returning id, org, kind, fact::text, origin, created_at, tries
"""
CLAIM = Statement(
    "relay.claim",
    OutboxRow,
    _CLAIM.format(waiting="select id from outbox where next_try_at is null order by next_try_at, id limit :batch"),
    hot=True,
    tenant=False,
)
"""Facts that were never tried, in order."""
DUE = Statement(
    "relay.due",
    OutboxRow,
    _CLAIM.format(waiting="select id from outbox where next_try_at <= :now order by next_try_at, id limit :batch"),
    hot=True,
    tenant=False,
)
RELEASE = Statement(
    "relay.release",
    int,
    """
    with known as (
        update outbox set next_try_at = null where next_try_at = :never and kind = any(:kinds) returning id
    )
    select count(*) from known
    """,
    tenant=False,
)
"""Has facts claimed that a leader of another version put aside, since it did not know their kinds."""
DEFER = Statement(
    "relay.defer",
    int,
    """
    insert into outbox (id, org, kind, fact, origin, created_at, tries, next_try_at)
    overriding system value
    select * from unnest(:ids::bigint[], :orgs::integer[], :kinds::text[], :facts::text[]::jsonb[], :origins::text[],
        :ats::timestamptz[], :tries::integer[], :next_tries::timestamptz[])
    returning tries
    """,
    tenant=False,
)
PARK = Statement(
    "relay.park",
    int,
    """
    insert into outbox_failed (id, org, kind, fact, origin, created_at, tries, error, failed_at)
    select *, :now from unnest(:ids::bigint[], :orgs::integer[], :kinds::text[], :facts::text[]::jsonb[],
        :origins::text[], :ats::timestamptz[], :tries::integer[], :errors::text[])
    returning tries
    """,
    tenant=False,
)
FAILED = Statement(
    "outbox.failed",
    FailedFact,
    """
    select f.id, o.slug, f.kind, f.fact::text, f.error, f.tries, f.created_at, f.failed_at
    from outbox_failed f join org o on o.id = f.org order by f.id
    """,
    tenant=False,
)
PARKED = Statement(
    "outbox.parked",
    Finding,
    """
    select format('%s facts could not be delivered in any try.', count(*)),
        'Run plaza facts failed for their errors, and plaza facts retry --all when those are mended.'
    from outbox_failed having count(*) > 0
    """,
    tenant=False,
)
RETRY = Statement(
    "outbox.retry",
    int,
    """
    with back as (
        delete from outbox_failed where :every or id = any(:ids::bigint[])
        returning org, id, kind, fact, origin, created_at
    )
    insert into outbox (org, id, kind, fact, origin, created_at, next_try_at)
    overriding system value
    select org, id, kind, fact, origin, created_at, :now from back
    returning id
    """,
    tenant=False,
)
"""Puts failed facts back; they are tried as often as new ones, beside them."""
STATE = Statement(
    "outbox.state",
    OutboxState,
    """
    select count(*) filter (where next_try_at is distinct from :never),
        min(created_at) filter (where next_try_at is distinct from :never),
        count(*) filter (where next_try_at = :never),
        (select count(*) from outbox_failed)
    from outbox
    """,
    tenant=False,
)


def columns(rows: Sequence[OutboxRow]) -> dict[str, object]:
    """What DEFER and PARK bind of rows, but for their tries."""
    return {
        "ids": [row.id for row in rows],
        "orgs": [row.org for row in rows],
        "kinds": [row.kind for row in rows],
        "facts": [row.fact for row in rows],
        "origins": [row.origin for row in rows],
        "ats": [row.at for row in rows],
    }


async def claim(
    db: Database, statement: Statement[OutboxRow], kinds: Container[str], **values: object
) -> tuple[list[OutboxRow], int]:
    """Takes facts out of the outbox, in order, and how many were found; unknown kinds are put back, and not given."""
    found = await db.all(statement, **values)
    rows = sorted((row for row in found if row.kind in kinds), key=lambda row: row.id)
    if len(rows) < len(found):
        unknown = [row for row in found if row.kind not in kinds]
        tries = [row.tries for row in unknown]
        await db.all(DEFER, **columns(unknown), tries=tries, next_tries=[NEVER] * len(unknown))
    return rows, len(found)


async def defer(db: Database, rows: Sequence[OutboxRow], next_tries: Sequence[datetime]) -> None:
    """Puts facts back that failed in one try more."""
    await db.all(DEFER, **columns(rows), tries=[row.tries + 1 for row in rows], next_tries=next_tries)


async def park(db: Database, rows: Sequence[OutboxRow], errors: Sequence[str], now: datetime) -> None:
    """Moves facts to `outbox_failed`."""
    await db.all(PARK, **columns(rows), tries=[row.tries + 1 for row in rows], errors=errors, now=now)


async def state(db: Database) -> OutboxState:
    """How much waits in the outbox."""
    return await db.one(STATE, never=NEVER)
