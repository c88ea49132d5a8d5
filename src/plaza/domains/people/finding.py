"""How people are found: text folded so that case, accents and width do not matter, and cut into pieces to look up.

No extension of PostgreSQL is needed, and no script is treated differently: every run of one to four characters of a
word is a key of the index. Each key is a digest that the organisation goes into, so that a search costs what its own
organisation is large, whoever else lives on the server.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LONGEST_PIECE = 4
_DROPPED = frozenset({"Mn", "Me", "Cf", "Cc"})
"""Accents and other marks, joiners and directions, controls."""
_LETTERS = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "n", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe",
        "’": "'", "‘": "'", "ʼ": "'", "‐": "-", "–": "-", "ـ": None,
    }
)  # fmt: skip
"""Letters that Unicode does not take apart, and punctuation that people do not type."""
_ESCAPED = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


class Entry(NamedTuple):
    """What one person is found by."""

    words: str
    tags: list[str]
    keys: list[int]


class Sought(NamedTuple):
    """What a search asks for: `keys` that the entry must have, `patterns` that its words must match, and its tags."""

    keys: list[int]
    patterns: list[str]
    tags: list[str]


def fold(text: str) -> str:
    """`text` without case, accents, width and invisible characters, its words one space apart."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    spaced = " ".join(apart.split())
    return "".join(char for char in spaced if unicodedata.category(char) not in _DROPPED).translate(_LETTERS)


def entry(org: int, texts: Iterable[str | None], expertise: Iterable[str] = (), interests: Iterable[str] = ()) -> Entry:
    """The entry of a person in the directory, of what others may see of them."""
    words = list(dict.fromkeys(word for text in texts if text for word in fold(text).split()))
    tags = _tags(expertise, interests)
    pieces = {word[start:end] for word in words for start in range(len(word)) for end in _ends(word, start)}
    return Entry(" ".join(words), tags, _keys(org, pieces, tags))


def _ends(word: str, start: int) -> range:
    return range(start + 1, min(start + LONGEST_PIECE, len(word)) + 1)


def sought(org: int, text: str, expertise: Iterable[str] = (), interests: Iterable[str] = ()) -> Sought:
    """A search for people who have every word of `text` as a part of their own words, and every tag."""
    words = list(dict.fromkeys(fold(text).split()))
    pieces = {word[start : start + LONGEST_PIECE] for word in words for start in _starts(word)}
    tags = _tags(expertise, interests)
    return Sought(_keys(org, pieces, tags), [f"%{word.translate(_ESCAPED)}%" for word in words], tags)


def _starts(word: str) -> range:
    return range(max(len(word) - LONGEST_PIECE, 0) + 1)


def _tags(expertise: Iterable[str], interests: Iterable[str]) -> list[str]:
    named = [("x:", tag) for tag in expertise] + [("i:", tag) for tag in interests]
    return list(dict.fromkeys(kind + folded for kind, tag in named if (folded := fold(tag))))


def _keys(org: int, pieces: Iterable[str], tags: Sequence[str]) -> list[int]:
    return sorted({*(_key(org, "w", piece) for piece in pieces), *(_key(org, "t", tag) for tag in tags)})


def _key(org: int, kind: str, text: str) -> int:
    digest = hashlib.blake2b(f"{org} {kind} {text}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True)
