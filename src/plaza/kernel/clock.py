"""Time: one source of it, handed in, so that tests can move it; SQL never asks for the time itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment, in UTC."""


def system_clock() -> datetime:
    """The computer's own wall clock."""
    return datetime.now(UTC)
