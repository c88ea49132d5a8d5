"""Logs: one JSON object a line on stderr; a field that could hold a secret or a person's words is never logged."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

NEVER = frozenset({"token", "authorization", "password", "content", "email", "body", "text", "refresh_token", "secret"})
"""Names of fields that are struck out, should anybody ever log them."""
MOST_FRAMES = 20
"""Of a traceback: those nearest to the failure."""
LONGEST_LINE = 8_000
LONGEST_TRACEBACK = 4_000
"""Characters of all tracebacks of a failure and its causes."""
LONGEST_FIELD = 400
"""Characters of a field in a line that would be too long."""
MOST_ALIKE = 20
"""Warnings and errors of one kind in `ALIKE_SECONDS`; the first one after them says how many were left out."""
ALIKE_SECONDS = 10.0
MOST_KINDS = 500


def configure(level: str) -> None:
    """Sets up the logs of this process, the standard library's included."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(traceback_text),
        strike_out,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Throttle(time.monotonic))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=line, foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def strike_out(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the values of fields that nobody may log."""
    for name in NEVER & event.keys():
        event[name] = "[struck out]"
    return event


class Throttle(logging.Filter):
    """Lets only so many warnings and errors of one kind pass: what somebody provokes must not fill the disk."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        kind, now = (record.name, str(event)[:LONGEST_FIELD]), self._clock()
        begun, count = self._kinds.get(kind, (now, 0))
        if now - begun >= ALIKE_SECONDS:
            _note(record, count - MOST_ALIKE)
            begun, count = now, 0
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (begun, count + 1)
        return count < MOST_ALIKE


def _note(record: logging.LogRecord, left_out: int) -> None:
    if left_out <= 0:
        return
    if isinstance(record.msg, dict):
        record.msg["left_out"] = left_out
    else:
        record.left_out = left_out


def traceback_text(exc_info: Any) -> str:
    """A failure with its causes, `MOST_FRAMES` of each, cut in the middle where it is too long."""
    text = "".join(traceback.format_exception(*exc_info, limit=-MOST_FRAMES)).rstrip()
    if len(text) <= LONGEST_TRACEBACK:
        return text
    half = LONGEST_TRACEBACK // 2
    return f"{text[:half]}\n  …\n{text[-half:]}"


_JSON = structlog.processors.JSONRenderer()


def line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """One line of the log, never longer than `LONGEST_LINE` bytes; JSON escapes what is not ASCII."""
    text = str(_JSON(logger, method, event))
    if len(text) <= LONGEST_LINE:
        return text
    short = {name: _short(value, name == "exception") for name, value in event.items()}
    text = str(_JSON(logger, method, short | {"cut": True}))
    if len(text) <= LONGEST_LINE:
        return text
    kept = {
        name: ascii(event[name])[:LONGEST_FIELD] for name in ("event", "level", "timestamp", "logger") if name in event
    }
    return str(_JSON(logger, method, kept | {"cut": True}))


def _short(value: Any, failure: bool) -> Any:
    text = value if isinstance(value, str) else repr(value)
    most = LONGEST_TRACEBACK if failure else LONGEST_FIELD
    return value if len(text) <= most else f"{text[:most]}…"
