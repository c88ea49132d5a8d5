"""Statements of blocks."""

from __future__ import annotations

import msgspec

from plaza.domains.blocks.schemas import Block
from plaza.domains.people import card, named
from plaza.kernel.paging import page_of
from plaza.kernel.sql import Statement


class Blocked(msgspec.Struct, frozen=True):
    """What became of a wish to block: the block, and whether it is new; None where there is no such person."""

    target: int | None
    new: bool | None
    block: Block | None


class Found(msgspec.Struct, frozen=True):
    """A block by its id."""

    block: Block


class BlockRow(msgspec.Struct, frozen=True):
    """A block in a list, with the length of the list."""

    total: int
    key: int | None
    item: Block | None


_COLUMNS = f"""row(b.id::text, p.email, {card("p", ":me")}, b.reason, b.reason_details, b.context, b.created_at)"""

ADD = Statement(
    "blocks.add",
    Blocked,
    f"""
    with target as {named()},
    written as (
        insert into block as b (org, id, blocker, blocked, reason, reason_details, context, created_at)
        select :org, :id, :me, target.id, :reason, :reason_details, :context, :now from target
        where target.id <> :me
        on conflict (org, blocker, blocked) do update set blocked = b.blocked
        returning b.*, xmax = 0 as new
    )
    select target.id, b.new, case when b.id is not null then {_COLUMNS} end
    from (select 1) one
    left join target on true
    left join written b on true
    left join person p on p.org = :org and p.id = b.blocked
    """,
)
FIND = Statement(
    "blocks.find",
    Found,
    f"""
    select {_COLUMNS} from block b join person p on p.org = b.org and p.id = b.blocked
    where b.org = :org and b.id = :id and b.blocker = :me
    """,
)
REMOVE = Statement(
    "blocks.remove",
    int,
    """
    delete from block where org = :org and blocker = :me and blocked = any(array[
        :person, (select p.id from person p where p.org = :org and p.email = :email)
    ])
    returning blocked
    """,
)
LIST = Statement(
    "blocks.list",
    BlockRow,
    page_of(
        f"""
        select b.id as key, {_COLUMNS} as item
        from block b join person p on p.org = b.org and p.id = b.blocked
        where b.org = :org and b.blocker = :me and b.id < :before
        order by b.id desc limit :rows offset :offset
        """,
        total="(select count(*) from block where org = :org and blocker = :me)",
    ),
)
