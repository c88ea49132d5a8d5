"""Statements of badges; `b` is the badge, `a` an award of it."""

from __future__ import annotations

import msgspec

from plaza.domains.badges.schemas import Badge, EarnedBadge
from plaza.kernel.paging import page_of
from plaza.kernel.sql import Statement


class BadgeRow(msgspec.Struct, frozen=True):
    """A badge in a list, with the length of the list."""

    total: int
    key: int | None
    item: Badge | None


class EarnedRow(msgspec.Struct, frozen=True):
    """A badge that somebody has, in a list, with the length of the list."""

    total: int
    key: int | None
    item: EarnedBadge | None


_COLUMNS = """b.id::text, b.name, b.title, b.description, b.icon, b.category, b.rarity, b.criteria, b.criteria_type,
    b.criteria_value, b.auto_award, b.earned_by, b.status, b.version, b.created_at, b.updated_at"""
_GIVEN = (
    "title",
    "description",
    "icon",
    "category",
    "rarity",
    "criteria",
    "criteria_type",
    "criteria_value",
    "auto_award",
)

# Badges are nobody's: everybody of the organisation sees them.
LIST = Statement(
    "badges.list",
    BadgeRow,
    page_of(
        f"""
        select b.id as key, row({_COLUMNS}) as item from badge b
        where b.org = :org and b.status = :status and b.id < :before
        order by b.id desc limit :rows offset :offset
        """,
        total="(select count(*) from badge where org = :org and status = :status)",
    ),
    hot=True,
)
MINE = Statement(
    "badges.mine",
    EarnedRow,
    page_of(
        f"""
        select a.id as key, row(row({_COLUMNS}), a.awarded_at) as item
        from badge_award a join badge b on b.org = :org and b.id = a.badge
        where a.org = :org and a.person = :me and a.revoked_at is null and a.id < :before
        order by a.id desc limit :rows offset :offset
        """,
        total="(select count(*) from badge_award where org = :org and person = :me and revoked_at is null)",
    ),
    hot=True,
)
FIND = Statement("badges.find", Badge, f"select {_COLUMNS} from badge b where b.org = :org and b.id = :id", hot=True)
CREATE = Statement(
    "badges.create",
    Badge,
    f"""
    insert into badge as b (org, id, name, {", ".join(_GIVEN)}, created_at, updated_at)
    values (:org, :id, :name, {", ".join(f":{name}" for name in _GIVEN)}, :now, :now)
    on conflict (org, name) do nothing
    returning {_COLUMNS}
    """,
)
CHANGE = Statement(
    "badges.change",
    Badge,
    f"""
    update badge b set {", ".join(f"{name} = :{name}" for name in _GIVEN)}, status = :status,
        version = b.version + 1, updated_at = :now
    where b.org = :org and b.id = :id and b.version = :version
    returning {_COLUMNS}
    """,
    hot=True,
)
RETIRE = Statement(
    "badges.retire",
    int,
    """
    with badge_there as (select id from badge where org = :org and id = :id),
    retired as (
        update badge set status = 'retired', version = version + 1, updated_at = :now
        where org = :org and id = :id and status = 'active'
    )
    select count(*) from badge_there
    """,
    hot=True,
)

# What follows is spoken by a listener and by a job, about many organisations at once.
LACKING = Statement(
    "badges.lacking",
    int,
    """
    select o.id from org o
    where (select count(*) from badge b where b.org = o.id and b.name = any(:names::text[])) < cardinality(:names)
    order by o.id
    """,
    tenant=False,
)
BEGIN = Statement(
    "badges.begin",
    int,
    f"""
    insert into badge (org, id, name, {", ".join(_GIVEN)}, created_at, updated_at)
    select org, id, name, {", ".join(_GIVEN)}, :now, :now
    from jsonb_to_recordset(:badges::jsonb) as given (org integer, id bigint, name text, title text, description text,
        icon text, category text, rarity text, criteria text, criteria_type text, criteria_value integer,
        auto_award boolean)
    on conflict (org, name) do nothing
    returning 1
    """,
    tenant=False,
)
