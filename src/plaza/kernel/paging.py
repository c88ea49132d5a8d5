"""Lists and their pages (contract, section 3.3 and decision 3): keyset cursors, or page numbers for those who must.

A keyset ends in a column that is unique in the list: of two rows with one key, a page that ends between them would skip
the second. It is one id, or a position and the id behind it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, Protocol, TypeVar

import msgspec
from msgspec import Meta

from plaza.kernel import ids
from plaza.kernel.errors import Invalid
from plaza.kernel.wire import Count, Query, Record

T = TypeVar("T")
K = TypeVar("K", int, int | tuple[int, int])
Item_co = TypeVar("Item_co", covariant=True)
Key = int | Sequence[int]
"""A row's keyset: its id, or its position and its id."""

DEFAULT, MOST = 20, 100
"""Rows of a page when nobody says, and at most; a larger `limit` is clamped."""

PAGE_BYTES = 786_432
"""Of a page's items as the store spells them, without the names of their fields: about 1 MiB as JSON."""

Limit = Annotated[int, Meta(ge=1, le=1_000_000, description=f"Rows of a page; over {MOST} is clamped.")]
PageNumber = Annotated[int, Meta(ge=1, le=1_000_000, description="The page's number, from 1; not beside a cursor.")]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="`nextCursor` of the page before.",
        extra_json_schema={"format": "cursor"},
    ),
]


class Paging(Query):
    """Which page of a list: by `cursor`, or by number (`pageNum`, `page`), not by two of them.

    A page is shorter than `limit` where its records would take more than 1 MiB; `hasNext` and `nextCursor` say so, and
    the cursor goes on right behind it. The next number begins behind a whole page.
    """

    exclusive = (("cursor", "pageNum"), ("cursor", "page"), ("pageNum", "page"))
    limit: Limit | None = None
    cursor: Cursor | None = None
    page_num: PageNumber | None = None
    page: PageNumber | None = None

    @property
    def number(self) -> int:
        """The page's number, from 1."""
        return self.page_num or self.page or 1

    def size(self, default: int = DEFAULT) -> int:
        """Rows to show."""
        return min(self.limit or default, MOST)

    def offset(self, default: int = DEFAULT) -> int:
        """Rows to pass over; none when a cursor says where to begin."""
        return 0 if self.cursor else (self.number - 1) * self.size(default)

    def before(self) -> int:
        """The id below which the page begins."""
        return decode(self.cursor) if self.cursor else ids.HIGHEST

    @property
    def place(self) -> dict[str, int]:
        """What the statement of a list binds: one row more than is shown tells that there are more."""
        return {"before": self.before(), **self._part}

    @property
    def pair(self) -> dict[str, int]:
        """The same for a list whose rows are ordered by a position and then by their id."""
        before, before_id = decode_pair(self.cursor) if self.cursor else (ids.HIGHEST, ids.HIGHEST)
        return {"before": before, "before_id": before_id, **self._part}

    @property
    def _part(self) -> dict[str, int]:
        return {"rows": self.size() + 1, "offset": self.offset()}


class Listing(Record, Generic[T]):
    """One page of a list; `nextCursor` leads to the next one, however others write meanwhile."""

    data: Annotated[Sequence[T], Meta(max_length=1_000)]
    total: Count
    has_next: bool
    limit: Count
    page_num: Count
    next_cursor: Cursor | None = None
    total_exact: bool = True
    """Whether `total` is the length of the list, and not where counting stopped."""


class PageRow(Protocol[Item_co]):
    """A row of a list's statement: the list's length, and one item with its keyset; neither when the page is empty."""

    @property
    def total(self) -> int: ...
    @property
    def key(self) -> Key | None: ...
    @property
    def item(self) -> Item_co | None: ...


def page_of(select: str, total: str) -> str:
    """SQL of a page: `select` gives `key, item` (with its own order and limit), `total` is a scalar; never no row."""
    return f"""select length.total, page.key, page.item
    from (select {total} as total) length left join lateral ({bounded(select)}) page on true"""


def bounded(select: str) -> str:
    """SQL of `key, item` that ends at `PAGE_BYTES`, one item of any size: the next key comes without its item."""
    return f"""
        select key, case when place = 1 or bytes <= {PAGE_BYTES} then item end as item
        from (
            select *, row_number() over so_far as place, sum(size) over so_far as bytes
            from (select key, item, octet_length(item::text) as size from ({select}) listed) sized
            window so_far as (rows unbounded preceding)
        ) measured
        where place = 1 or bytes - size <= {PAGE_BYTES}
        order by place"""


def listing(
    rows: Sequence[PageRow[T]],
    paging: Paging,
    default: int = DEFAULT,
    *,
    most: int = ids.HIGHEST,
    exact: bool = True,
) -> Listing[T]:
    """A page from the rows of a statement that read `size + 1`: the extra one tells that there are more.

    So does a key without its item, which had no room on the page (`bounded`).
    `most` is how far the statement counts: a `total` beyond it is cut there and not exact.
    """
    size = paging.size(default)
    items = [row.item for row in rows[:size] if row.item is not None]
    more = sum(row.key is not None for row in rows) > len(items)
    last = rows[len(items) - 1].key
    return Listing(
        data=items,
        total=min(rows[0].total, most),
        has_next=more,
        limit=size,
        page_num=paging.number,
        next_cursor=encode(last) if more and last is not None else None,
        total_exact=exact and rows[0].total <= most,
    )


def encode(key: Key) -> str:
    """An opaque cursor of a keyset."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode(cursor: str) -> int:
    """The position of a cursor; `Invalid` for one that we did not make."""
    return _decoded(cursor, int)


def decode_pair(cursor: str) -> tuple[int, int]:
    """The position and the id of a cursor; one of an earlier version has the position alone, and begins below it."""
    found: int | tuple[int, int] = _decoded(cursor, int | tuple[int, int])  # type: ignore[arg-type]
    return (found, 0) if isinstance(found, int) else found


def _decoded(cursor: str, shape: type[K]) -> K:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = msgspec.json.decode(raw, type=shape)
    except (binascii.Error, ValueError) as error:
        raise Invalid.field("cursor", "is not a cursor of this list") from error
    if not all(0 <= part <= ids.HIGHEST for part in (key if isinstance(key, tuple) else (key,))):
        raise Invalid.field("cursor", "is not a cursor of this list")
    return key
