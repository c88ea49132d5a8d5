"""How deeply JSON is nested, found in its bytes: before a decoder builds anything, and without a loop of Python's."""

from __future__ import annotations

from itertools import accumulate

DEEPEST = 32
"""Levels of arrays and objects, one within the other."""
MOST_CONTAINERS = 4_096
"""Arrays and objects of one text that has more than `DEEPEST`: to follow many more takes milliseconds."""
_STEPS = bytes(1 if byte in b"[{" else 255 if byte in b"]}" else 0 for byte in range(256))
"""What a byte outside strings adds to the depth, as a signed byte."""
_OTHERS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def too_nested(raw: bytes) -> bool:
    """Whether a JSON text is nested more than `DEEPEST` levels deep, or has more than `MOST_CONTAINERS` parts.

    Brackets in strings do not count. Of what is no JSON the part before the mistake is judged: no decoder reads more.
    """
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return False
    if b"\\" in raw:  # then no quotation mark is left but those that begin and end strings
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    steps = b"".join(raw.split(b'"')[::2]).translate(_STEPS, _OTHERS)
    if steps.count(1) > MOST_CONTAINERS:
        return True
    return max(accumulate(memoryview(steps).cast("b")), default=0) > DEEPEST
