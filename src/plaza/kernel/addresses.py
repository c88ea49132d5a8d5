"""E-mail addresses and references to people: the one place that compares them (contract, decisions 15 and 32)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NewType

from plaza.kernel import ids
from plaza.kernel.errors import Invalid

PersonRef = NewType("PersonRef", str)
"""A person named in a path or a body: an e-mail address or the person's id."""

LONGEST = 254
"""Characters of a reference to a person."""
FULL_STOPS = "\u3002\uff61"
"""What domains take for a dot beside those that normalise to one (UTS 46)."""
_PART = r"[^@\s\x00-\x20\x7f-\x9f\ufeff\"(),:;<>\[\]\\]"
_ADDRESS = re.compile(rf"{_PART}{{1,64}}@{_PART}{{1,189}}")


def is_address(text: str) -> bool:
    """Whether `text` has the form of an e-mail address."""
    return _ADDRESS.fullmatch(text) is not None and not text.endswith(".") and ".." not in text


def address(text: str, field: str) -> str:
    """`text` in the form in which addresses are stored and compared; `Invalid` names `field` when it is none."""
    written = text.strip()
    if not written.isascii() and any(map(_stands_for_ascii, written)):
        raise Invalid.field(field, "has a character that stands for a plain one; write the plain one")
    lowered = written.lower()
    if not is_address(lowered):
        raise Invalid.field(field, "is not an e-mail address")
    return lowered


@lru_cache(4_096)
def _stands_for_ascii(character: str) -> bool:
    """Whether somebody who folds or normalises a character, as mail systems and domains do, gets an ASCII one of it.

    The Kelvin sign, full-width letters, the long s, the dotless i, ligatures, ß: two addresses would be one elsewhere.
    """
    if character.isascii():
        return False
    normal = unicodedata.normalize("NFKC", character)
    forms = normal, character.lower(), character.upper(), character.casefold(), normal.upper(), normal.casefold()
    return character in FULL_STOPS or any(letter.isascii() for form in forms for letter in form)


def split(ref: PersonRef, field: str) -> tuple[str | None, int | None]:
    """`(address, None)` or `(None, id)`, as the reference names the one or the other."""
    if "@" in ref:
        return address(ref, field), None
    number = ids.parse(ref)
    if not number and not (ref.isascii() and ref.isdigit() and len(ref) <= LONGEST):
        raise Invalid.field(field, "is neither an e-mail address nor an id")
    return None, number
