"""Time: one source of it, handed in, so that tests can move it; SQL never asks for the time itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment, in UTC."""
Seconds = Callable[[], float]
"""Gives the same as Unix seconds."""


def system_clock() -> datetime:
    """The computer's own wall clock."""
    return datetime.now(UTC)


def seconds(clock: Clock) -> Seconds:
    """A clock for those who ask all the time, and only compare: a moment takes many times as long to make."""
    return time.time if clock is system_clock else lambda: clock().timestamp()
