"""The depth of JSON is found in its bytes, as a decoder would meet it."""

from __future__ import annotations

import random
import time

import msgspec
import pytest

from plaza.nesting import DEEPEST, MOST_CONTAINERS, too_nested


def depth(value: object) -> int:
    """How deep a decoded value is."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def made(dice: random.Random, levels: int) -> object:
    """Some value that is at most so deep."""
    if levels == 0 or dice.random() < 0.15:
        return dice.choice(['[[[{{"', "}}]]", "\\", '\\"[', 5, None, "x", "\\\\"])
    parts = [made(dice, levels - 1) for _ in range(dice.randrange(1, 3))]
    return parts if dice.random() < 0.5 else {f'{{"[{number}': part for number, part in enumerate(parts)}


def test_what_is_too_deep_is_what_a_decoder_would_find_too_deep() -> None:
    dice = random.Random(10)
    seen = set()
    for _ in range(300):
        value: object = made(dice, 4)
        for _ in range(dice.randrange(25, 36)):
            value = [value] if dice.random() < 0.5 else {"]": value, "[": "]]}}"}
        seen.add(deep := depth(value) > DEEPEST)
        assert too_nested(msgspec.json.encode(value)) == deep
    assert seen == {True, False}


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 33,
        b"[" * 100_000,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'["\\\\",' + b"[" * 33,
        b'["\\"",' + b"[" * 33,
        b"[" + b"[]," * MOST_CONTAINERS + b"0]",
    ],
)
def test_too_deep_or_too_many(raw: bytes) -> None:
    assert too_nested(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 32 + b"]" * 32,
        b'"' + b"[" * 10_000 + b'"',
        b'["' + b"[" * 10_000 + b'\\"' + b"[" * 10_000 + b'"]',
        b"[" + b"[]," * 4_000 + b"0]",
        b'"' + b"\\\\[" * 1_000,
    ],
)
def test_brackets_in_strings_and_side_by_side_are_not_deep(raw: bytes) -> None:
    assert not too_nested(raw)


@pytest.mark.parametrize("part", [b"[", b"[]", b'"[', b'"\\', b"\\\\", b'\\"', b'["x",', b"[" * 32 + b"]" * 32])
def test_no_megabyte_takes_long(part: bytes) -> None:
    raw = b"[" * 33 + part * (1_000_000 // len(part))
    begun = time.process_time()
    too_nested(raw)
    assert time.process_time() - begun < 0.5
