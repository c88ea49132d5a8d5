"""Hot statements find what they need by an index, on data that looks like a real community's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

import plaza.app
from plaza.kernel.sql import STATEMENTS, Statement
from plaza.store.postgres import SESSION
from tests.conftest import TEMPLATE, database, drop_database

assert plaza.app  # importing the composition root makes every statement known
HOT = [statement for statement in STATEMENTS.values() if statement.hot]
SMALL = {"event_log", "node", "org", "org_key"}
"""Tables of a few rows."""
MOST_SORTED = 1_000
"""Rows that a statement may sort: those of a page, from both sides of a pair."""

DATA = [
    """insert into org (slug, name, settings, created_at)
    select 'o' || n, 'o', '{}', now() from generate_series(1, 8) n""",
    """insert into person (org, id, email, subject, created_at, updated_at)
    select o.id, n, 'p' || n || '@mail.test', 's' || n, now(), now() from org o, generate_series(1, 500) n""",
    """insert into block (org, id, blocker, blocked, created_at)
    select o.id, n, n, n + 1, now() from org o, generate_series(1, 200) n""",
    """insert into connection (org, low, high, id, position, requester, status, requested_at)
    select o.id, n, n + 5, n, n, n, 'accepted', now() from org o, generate_series(1, 400) n""",
    """insert into thread (org, id, low, high, last_seq, last_message, created_at)
    select o.id, a * 1000 + b, a, a + b, 5, (a * 1000 + b) * 10 + 5, now()
    from org o, generate_series(1, 60) a, generate_series(1, 10) b""",
    """insert into message (org, id, thread, seq, sender, recipient, content, content_type, attachments, created_at,
        read_at)
    select t.org, t.id * 10 + n, t.id, n, case when n % 2 = 0 then t.low else t.high end,
        case when n % 2 = 0 then t.high else t.low end, 'x', 'text', '[]', now(), case when n < 4 then now() end
    from thread t, generate_series(1, 5) n""",
    """insert into notification (org, id, recipient, type, actor, target, target_type, group_key, cause, created_at)
    select org, id, recipient, 'message', sender, id, 'message', 'g', 'c' || id, now() from message""",
    """insert into event (org, audience, position, name, kind, fact, created_at)
    select org, recipient, row_number() over (), 'newMessage', 'message.sent', '{}', now() from message""",
    """insert into follow (org, id, follower, following, following_type, created_at)
    select o.id, a * 1000 + b, a, a + b, 'person', now()
    from org o, generate_series(1, 100) a, generate_series(1, 20) b""",
    "insert into tie_count (org, person, followers) select org, id, 3 from person",
    """insert into account (org, id, address, password_hash, person, created_at, verified_at)
    select org, id, email, 'x', id, now(), now() from person""",
    """insert into account (org, id, address, password_hash, created_at)
    select o.id, 10000 + n, 'u' || n || '@mail.test', 'x', now() from org o, generate_series(1, 300) n""",
    """insert into node (id, seen_at) select n, now() from generate_series(1, 3) n""",
    """insert into presence (org, person, node) select org, id, 1 + id % 3 from person""",
    """insert into session (org, id, account, epoch, family, secret, created_at, used_at, expires_at)
    select org, id, id, 0, convert_to('f' || id, 'UTF8'), 'x', now(), now(), now() + interval '1 day' from person""",
    """insert into account_code (org, account, purpose, hash, expires_at)
    select org, id, 'verify', 'x', now() + interval '1 day' from person""",
    """insert into mail (org, id, recipient, subject, text, message_id, created_at, next_try_at, sent_at)
    select org, id, email, 's', 't', 'm' || id, now(), now(), now() from person""",
    """insert into profile (org, person, expertise, interests, looking_for, social_links)
    select org, id, '{}', '{}', '{}', '{}' from person""",
    """insert into directory_entry (org, person, words, tags, keys)
    select org, id, 'p' || id, '{}', array[id::integer, 7] from person""",
    """insert into address_change (org, id, person, old, new, by, changed_at)
    select org, id, id, 'old' || id, email, 'token', now() from person""",
    """insert into badge (org, id, name, title, description, category, rarity, criteria, criteria_type, criteria_value,
        auto_award, status, created_at, updated_at)
    select o.id, n, 'b' || n, 't', '', 'special', 'common', '', 'followers_count', n, true,
        case when n % 4 = 0 then 'retired' else 'active' end, now(), now() from org o, generate_series(1, 100) n""",
    """insert into badge_award (org, id, badge, person, awarded_at)
    select org, id * 10 + n, n, id, now() from person, generate_series(1, 5) n""",
    """insert into idempotency (org, person, key, fingerprint, status, body, created_at)
    select org, id, 'k' || n, '', 200, '', now() from person, generate_series(1, 3) n""",
]


@pytest.fixture(scope="module")
def plans(postgres_url: str, worker_id: str) -> dict[str, Any]:
    """The plan of every hot statement."""
    name = f"plans_{worker_id}"
    return asyncio.run(_plans(postgres_url, database(postgres_url, name), name, TEMPLATE))


async def _plans(server: str, url: str, name: str, template: str) -> dict[str, Any]:
    admin = await asyncpg.connect(server)
    await admin.execute(f"create database {name} template {template}")
    connection = await asyncpg.connect(url, server_settings=SESSION)
    try:
        for text in DATA:
            await connection.execute(text)
        await connection.execute("analyze")
        return {statement.name: await _plan(connection, statement) for statement in HOT}
    finally:
        await connection.close()
        await admin.close()
        await drop_database(server, name)


async def _plan(connection: Any, statement: Statement[Any]) -> Any:
    await connection.execute(f"prepare asked as {statement.text}")
    nulls = ", ".join(["null"] * len(statement.parameters))
    found = await connection.fetchval(f"explain (format json) execute asked({nulls})")
    await connection.execute("deallocate asked")
    return json.loads(found)[0]["Plan"]


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.mark.parametrize("name", [statement.name for statement in HOT])
def test_a_hot_statement_reads_by_an_index_and_sorts_a_page_at_most(plans: dict[str, Any], name: str) -> None:
    for node in nodes(plans[name]):
        if node["Node Type"] == "Seq Scan":
            assert node["Relation Name"] in SMALL, node
        if node["Node Type"].startswith("Index") and node.get("Relation Name") not in SMALL:
            assert "Index Cond" in node, node
        if "Sort" in node["Node Type"]:
            assert node["Plan Rows"] <= MOST_SORTED, node
