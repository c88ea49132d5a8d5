"""Idempotency keys: the same key and request have one effect, for good (contract, decision 29).

The key's row is written first, in the transaction of the use case itself: a second request with the key waits on that
row's lock, a crash takes key and effect away together. Of the answer the row keeps the id of the thing, which a retry
reads again as the caller may see it then; or the whole answer, where it is numbers alone (decisions/0002).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from plaza.kernel.errors import Mismatch
from plaza.kernel.sql import Database, Statement


class Answer(msgspec.Struct, frozen=True):
    """What is kept of the answer to the first request with a key: `{"id": …}`, or numbers alone."""

    fingerprint: bytes
    status: int
    body: bytes

    @property
    def thing(self) -> str | None:
        """The id of the thing that the answer showed."""
        try:
            return msgspec.json.decode(self.body, type=Thing).id
        except msgspec.DecodeError:
            return None


class Thing(msgspec.Struct, frozen=True):
    """The id of a record; what else the version before kept of it is passed over."""

    id: str


CLAIM = Statement(
    "idempotency.claim",
    bool,
    """
    insert into idempotency (org, person, key, fingerprint, status, body, created_at)
    values (:org, :person, :key, :fingerprint, 0, '', :now)
    on conflict (org, person, key) do nothing
    returning true
    """,
)
FIND = Statement(
    "idempotency.find",
    Answer,
    "select fingerprint, status, body from idempotency where org = :org and person = :person and key = :key",
    hot=True,
)
STORE = Statement(
    "idempotency.store",
    bool,
    """
    update idempotency set status = :status, body = :body
    where org = :org and person = :person and key = :key
    returning true
    """,
    hot=True,
)


def fingerprint(*parts: bytes | str) -> bytes:
    """A digest of a request, 16 bytes; the parts cannot run into each other."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


async def claim(db: Database, *, org: int, person: int, key: str, mark: bytes, now: datetime) -> Answer | None:
    """None when the key is ours to use; the earlier answer to the same request; `Mismatch` for a different one."""
    if await db.maybe(CLAIM, org=org, person=person, key=key, fingerprint=mark, now=now):
        return None
    answer = await db.one(FIND, org=org, person=person, key=key)
    if answer.fingerprint != mark:
        raise Mismatch
    return answer


async def store(db: Database, *, org: int, person: int, key: str, status: int, body: bytes) -> None:
    """Keeps what a retry needs, in the transaction that made it."""
    await db.one(STORE, org=org, person=person, key=key, status=status, body=body)
