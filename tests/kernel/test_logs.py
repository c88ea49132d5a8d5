"""A line of the log is bounded, tracebacks are cut, and what is provoked again and again is written now and then."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from plaza.entry import logs

log = structlog.get_logger("test.logs")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the log of this process says meanwhile."""
    before, stream = logging.getLogger().handlers[:], io.StringIO()
    level = logging.getLogger().level
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("info")
    yield stream
    logging.getLogger().handlers[:] = before
    logging.getLogger().setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    assert all(len(text.encode()) <= 8_000 for text in stream.getvalue().splitlines())
    return [json.loads(text) for text in stream.getvalue().splitlines()]


def fail(depth: int, text: str = "broken") -> None:
    """Raises from so many frames below, each of a source line of its own in the traceback."""
    if depth == 0:
        raise ValueError(text)
    (fail if depth % 2 else fail_too)(depth - 1, text)


def fail_too(depth: int, text: str) -> None:
    fail(depth - 1, text)


def test_a_traceback_has_the_frames_nearest_to_the_failure(written: io.StringIO) -> None:
    for speaker in (log, logging.getLogger("test.plain")):
        try:
            fail(300)
        except ValueError:
            speaker.exception("request.failed")
    for found in lines(written):
        assert found["exception"].count("  File ") <= logs.MOST_FRAMES
        assert found["exception"].endswith("ValueError: broken")


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "\x00" * 200_000,
        "\N{PILE OF POO}" * 100_000,
    ],
    ids=["long", "escaped", "wide"],
)
def test_no_line_is_over_8_kb(written: io.StringIO, text: str) -> None:
    try:
        fail(3, text)
    except ValueError:
        log.exception("request.failed", path=text, more=[text])
        logging.getLogger("test.plain").exception("failed: %s", text)
    log.info(text)
    logging.getLogger("test.plain").warning(text)
    log.info("many", **{f"field{number}": "x" * 300 for number in range(100)})
    found = lines(written)
    assert len(found) == 5
    assert all(one["level"] and one["timestamp"] and one["cut"] for one in found)


def test_what_is_provoked_again_and_again_is_written_now_and_then() -> None:
    now = 0.0
    throttle = logs.Throttle(lambda: now)

    def passes(name: str, level: int = logging.WARNING) -> bool:
        return throttle.filter(logging.LogRecord("uvicorn.error", level, "", 0, name, (), None))

    assert [passes("Invalid HTTP request received.") for _ in range(100)] == [True] * 20 + [False] * 80
    assert passes("something else")
    assert all(passes("request", logging.INFO) for _ in range(100))
    now = 10.0
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "Invalid HTTP request received.", (), None)
    assert throttle.filter(record)
    assert record.__dict__["left_out"] == 80
    for number in range(2_000):
        passes(f"kind {number}")
    assert len(throttle._kinds) <= logs.MOST_KINDS
