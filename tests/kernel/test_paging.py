"""Cursors: opaque, and refused when they are not ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaza.kernel.errors import Invalid
from plaza.kernel.ids import HIGHEST
from plaza.kernel.paging import Paging, decode, decode_pair, encode


@given(st.integers(0, HIGHEST))
def test_a_cursor_leads_back_to_its_place(position: int) -> None:
    assert decode(encode(position)) == position


@given(st.integers(0, HIGHEST), st.integers(0, HIGHEST))
def test_a_cursor_of_two_parts_leads_back_to_its_place_and_is_none_of_one(position: int, number: int) -> None:
    assert decode_pair(encode([position, number])) == (position, number)
    assert decode_pair(encode(position)) == (position, 0)
    with pytest.raises(Invalid):
        decode(encode([position, number]))


@given(st.text(max_size=40))
def test_any_other_text_is_refused_or_a_place(text: str) -> None:
    try:
        place = decode(text)
    except Invalid as error:
        place, named = 0, error.details[0].field
    else:
        named = "cursor"
    assert (0 <= place <= HIGHEST, named) == (True, "cursor")


def test_a_limit_over_the_most_is_clamped_and_a_cursor_replaces_the_page_number() -> None:
    assert Paging(limit=5_000).size() == 100
    assert Paging().size() == 20
    assert Paging(page_num=3, limit=10).offset() == 20
    assert Paging(page=3, limit=10).offset() == 20
    assert Paging(page_num=3, limit=10, cursor=encode(5)).offset() == 0
    with pytest.raises(Invalid):
        Paging(cursor="!").before()
