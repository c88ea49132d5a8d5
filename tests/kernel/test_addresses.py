"""E-mail addresses: one function compares them for identity, blocks, threads and rooms."""

from __future__ import annotations

import pytest

from plaza.kernel.addresses import PersonRef, address, split
from plaza.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Alice@Mail.Test", "alice@mail.test"),
        ("  alice@mail.test ", "alice@mail.test"),
        ("a+tag@mail.test", "a+tag@mail.test"),
        ("o'brien@mail.test", "o'brien@mail.test"),
        ("用户@例子.测试", "用户@例子.测试"),
    ],
)
def test_addresses_compare_in_lower_case_without_white_space_around(text: str, stored: str) -> None:
    assert address(text, "to") == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a@",
        "@b",
        "a b@mail.test",
        "a@b@c",
        "a\x00@mail.test",
        "a\n@mail.test",
        "alice@mail.test.",
        "a..b@mail.test",
        "alice＠mail.test",
        "<a@mail.test>",
        "a@mail.test,b@mail.test",
        "x" * 65 + "@mail.test",
        "a@" + "x" * 300,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        address(text, "to")


@pytest.mark.parametrize(
    "character",
    [
        "\u212a",
        "\uff4b",
        "\uff2b",
        "\u017f",
        "\u0131",
        "\u0130",
        "\ufb01",
        "\u00df",
        "\u2460",
        "\u1d4f",
        "\u24da",
        "\u00b2",
        "\u2024",
        "\uff0e",
        "\u3002",
        "\uff61",
        "\u2025",
        "\u0149",
        "\u2100",
        "\u00aa",
        "\u210a",
        "\U0001d424",
    ],
)
def test_what_stands_for_a_plain_character_is_refused_by_field(character: str) -> None:
    for text in (f"{character}evin@mail.test", f"kevin@{character}mail.test", f"a{character}@mail.test"):
        for find in (address, lambda ref, field: split(PersonRef(ref), field)):
            with pytest.raises(Invalid) as refusal:
                find(text, "to")
            assert [detail.field for detail in refusal.value.details] == ["to"]


def test_letters_of_other_scripts_are_no_plain_ones() -> None:
    for text in (
        "ünal@mail.test",
        "émile@köln.test",
        "иван@почта.рф",
        "χρήστης@mail.test",
        "ไทย@mail.test",
        "かが@mail.test",
    ):
        assert address(text.upper(), "to") == text.upper().lower()


def test_a_reference_is_an_address_or_an_id() -> None:
    assert split(PersonRef("A@b.test"), "to") == ("a@b.test", None)
    assert split(PersonRef("123"), "to") == (None, 123)
    assert split(PersonRef("9" * 30), "to") == (None, 0)
    with pytest.raises(Invalid):
        split(PersonRef("somebody"), "to")
