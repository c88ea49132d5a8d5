"""How long the fault tests take: short in every run, the catalogue's own lengths with PLAZA_FAULTS=whole."""

from __future__ import annotations

import os
from typing import TypeVar

Amount = TypeVar("Amount", int, float)
WHOLE = os.environ.get("PLAZA_FAULTS") == "whole"


def length(short: Amount, whole: Amount) -> Amount:
    """Of seconds, sockets or rounds: what every run can afford, or what the catalogue asks for."""
    return whole if WHOLE else short
