"""What the suite reached: every route and event with success, every refusal at least once (design, section 5)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from plaza.catalogue import TABLES
from plaza.entry.rest import mounted
from tests.server import Running

SUCCESS = ("200", "201")


def remember(server: Running, folder: Path) -> None:
    """Writes down what a server did, as its own metrics tell it."""
    reached: set[str] = set()
    for family in text_string_to_metric_families(server.plaza.meter.exposition().decode()):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "plaza_request_seconds_count" and labels["status"] in SUCCESS:
                reached.add(f"{labels['method']} {labels['route']}")
            elif sample.name == "plaza_socket_events_total" and labels["outcome"] == "done":
                reached.add(f"event {labels['event']}")
            elif sample.name == "plaza_refusals_total":
                reached.add(f"refusal {labels['reason']}")
    (folder / f"reached-{os.getpid()}-{server.port}.json").write_text(json.dumps(sorted(reached)))


def missing(folder: Path) -> list[str]:
    """What the tables offer and no test reached."""
    reached = {name for file in folder.glob("reached-*.json") for name in json.loads(file.read_text())}
    return sorted(set(_offered()) - reached)


def _offered() -> Iterable[str]:
    for path, route in mounted(TABLES):
        yield f"{route.method} {path}"
    for table in TABLES:
        for errors in (*(route.errors for route in table.routes), *(event.errors for event in table.events)):
            yield from (f"refusal {error.reason}" for error in errors)
        yield from (f"event {event.name}" for event in table.events)
