"""Checks of `plaza doctor`: a check is a statement whose rows are what it found."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """Something that an operator should mend: what is wrong, and what to do, each a sentence."""

    what: str
    remedy: str
