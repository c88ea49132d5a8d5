"""E-mail addresses and references to people: the one place that compares them (contract, decisions 15 and 32)."""

from __future__ import annotations

import re
from typing import NewType

from plaza.kernel import ids
from plaza.kernel.errors import Invalid

PersonRef = NewType("PersonRef", str)
"""A person named in a path or a body: an e-mail address or the person's id."""

LONGEST = 254
"""Characters of a reference to a person."""
_PART = r"[^@\s\x00-\x20\x7f-\x9f\ufeff\"(),:;<>\[\]\\]"
_ADDRESS = re.compile(rf"{_PART}{{1,64}}@{_PART}{{1,189}}")


def is_address(text: str) -> bool:
    """Whether `text` has the form of an e-mail address."""
    return _ADDRESS.fullmatch(text) is not None and not text.endswith(".") and ".." not in text


def address(text: str, field: str) -> str:
    """`text` in the form in which addresses are stored and compared; `Invalid` names `field` when it is none."""
    lowered = text.strip().lower()
    if not is_address(lowered):
        raise Invalid.field(field, "is not an e-mail address")
    return lowered


def split(ref: PersonRef, field: str) -> tuple[str | None, int | None]:
    """`(address, None)` or `(None, id)`, as the reference names the one or the other."""
    if "@" in ref:
        return address(ref, field), None
    number = ids.parse(ref)
    if not number and not (ref.isascii() and ref.isdigit() and len(ref) <= LONGEST):
        raise Invalid.field(field, "is neither an e-mail address nor an id")
    return None, number
