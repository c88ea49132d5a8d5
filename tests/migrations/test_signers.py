"""Whose subjects those are that came before signers were kept (decisions/0021), as the upgrade finds it in the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import takewhile
from typing import Any

import asyncpg
import pytest

from plaza.store.migrate import migrate, migrations

BEFORE = list(takewhile(lambda file: not file.name.endswith("_signers.sql"), migrations()))
ONE, OTHER = "https://one.test/keys", "https://other.test/keys"


@pytest.fixture
async def db(fresh_database_url: str) -> AsyncIterator[Any]:
    """A database of the version before, with two organisations."""
    await migrate(fresh_database_url, BEFORE)
    connection = await asyncpg.connect(fresh_database_url)
    for slug in ("north", "south"):
        await connection.execute(
            "insert into org (slug, name, settings, created_at) values ($1, $1, '{}', now())", slug
        )
        await connection.execute(
            """
            insert into org_key (org, kid, algorithm, secret, created_at)
            select id, 'own', 'HS256', 'x', now() - interval '1 year' from org where slug = $1
            """,
            slug,
        )
    yield connection
    await connection.close()


async def trust(db: Any, url: str, *, ago: int, retired: int | None = None, slug: str = "north") -> None:
    """A key set that was trusted so many days ago, and not any more since."""
    await db.execute(
        """
        insert into org_key (org, kid, algorithm, jwks_url, created_at, retired_at)
        select id, 'jwks-' || $2::text || $3::int, 'JWKS', $2, now() - make_interval(days => $3),
            now() - make_interval(days => $4)
        from org where slug = $1
        """,
        slug,
        url,
        ago,
        retired,
    )


async def person(db: Any, number: int, subject: str | None, *, ago: int = 5, slug: str = "north") -> None:
    """Somebody who came so many days ago."""
    await db.execute(
        """
        insert into person (org, id, email, subject, claimed_at, created_at, updated_at)
        select id, $2::int, 'p' || $2::int || '@mail.test', $3, case when $3::text is not null then at end, at, at
        from org, (select now() - make_interval(days => $4) as at) then_ where slug = $1
        """,
        slug,
        number,
        subject,
        ago,
    )


async def signers(db: Any, slug: str = "north") -> dict[int, str | None]:
    """By person, the address of the key set or the name of the signer."""
    rows = await db.fetch(
        """
        select p.id, coalesce((select min(jwks_url) from org_key k where k.signer = p.signer), p.signer) as signer
        from person p join org o on o.id = p.org where o.slug = $1 order by p.id
        """,
        slug,
    )
    return {row["id"]: row["signer"] for row in rows}


async def test_where_no_key_set_was_ever_trusted_all_are_the_hosts_or_accounts(
    db: Any, fresh_database_url: str
) -> None:
    await trust(db, ONE, ago=10, slug="south")
    for number, subject in enumerate(("host-7", "ann@mail.test", "account:5", None), 1):
        await person(db, number, subject)
    await migrate(fresh_database_url)
    assert await signers(db) == {1: "host", 2: "host", 3: "plaza", 4: None}


@pytest.mark.parametrize("again", [False, True])
async def test_people_of_the_time_of_the_only_trust_are_its_own_and_earlier_and_later_ones_the_hosts(
    db: Any, fresh_database_url: str, again: bool
) -> None:
    await trust(db, ONE, ago=20, retired=10)
    if again:
        await trust(db, ONE, ago=4)
    for number, ago in enumerate((30, 15, 7, 1), 1):
        await person(db, number, f"u-{number}", ago=ago)
        await person(db, number, f"u-{number}", ago=ago, slug="south")
    await person(db, 9, "account:9", ago=15)
    await migrate(fresh_database_url)
    assert await signers(db) == {1: "host", 2: ONE, 3: "host", 4: ONE if again else "host", 9: "plaza"}
    assert set((await signers(db, "south")).values()) == {"host"}
    rights = await db.fetch("select distinct roles, claims from org_key where jwks_url is not null")
    assert [tuple(row) for row in rights] == [(["customer", "staff", "admin"], True)]


async def test_of_people_of_the_time_of_several_trusts_nobody_can_tell(db: Any, fresh_database_url: str) -> None:
    await trust(db, ONE, ago=20, retired=10)
    await trust(db, OTHER, ago=8)
    for number, ago in enumerate((30, 15, 9, 1), 1):
        await person(db, number, f"u-{number}", ago=ago)
    await migrate(fresh_database_url)
    assert await signers(db) == {1: "host", 2: None, 3: "host", 4: None}
    rights = await db.fetch("select distinct roles, claims from org_key where jwks_url is not null")
    assert [tuple(row) for row in rights] == [(["customer"], False)]


async def test_subjects_that_are_addresses_are_folded_and_a_collision_is_a_finding(
    db: Any, fresh_database_url: str
) -> None:
    for number, subject in enumerate(("Carl@mail.test", "Dora@mail.test", "dora@mail.test", "Opaque-ID"), 1):
        await person(db, number, subject)
        await person(db, number, f"{number}-{subject}", slug="south")
    await migrate(fresh_database_url)
    subjects = [row["subject"] for row in await db.fetch("select subject from person where org = 1 order by id")]
    assert subjects == ["carl@mail.test", "Dora@mail.test", "dora@mail.test", "Opaque-ID"]
    found = await db.fetch("select org, kind, what from upgrade_finding order by org, what")
    assert [(row["org"], row["kind"]) for row in found] == [(1, "person.subject_taken")]
    assert "Person 2 came with the subject Dora@mail.test" in found[0]["what"]


async def test_the_version_before_goes_on_beside_it(db: Any, fresh_database_url: str) -> None:
    """Its statements: a subject is looked up alone, a person and a trust are written without a signer."""
    await migrate(fresh_database_url)
    await person(db, 1, "host-7")
    with pytest.raises(asyncpg.UniqueViolationError):
        await person(db, 2, "host-7")
    await db.execute(
        """
        insert into person as p (org, id, email, subject, created_at, updated_at)
        values (1, 3, 'p1@mail.test', 'host-7', now(), now())
        on conflict (org, email) do update set subject = 'host-7' where p.subject = 'host-7'
        """
    )
    await trust(db, ONE, ago=0)
    assert await db.fetchval("select roles from org_key where jwks_url is not null") == ["customer"]
    await db.execute("set enable_seqscan = off")
    plan = await db.fetch("explain select 1 from person p where p.org = 1 and p.subject = 'host-7'")
    assert any("person_subject" in row[0] for row in plan)
