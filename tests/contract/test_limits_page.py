"""The table of limits, in the document, at /docs and in docs/limits.md, is that of the routes and events themselves.

`python -m tests.contract.test_limits_page` writes the file's section anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from plaza.catalogue import TABLES, document
from plaza.entry.docs import FOLDER, render
from plaza.entry.openapi_limits import every, page
from plaza.entry.rest import mounted
from plaza.entry.sockets import TABLE as SOCKETS
from plaza.kernel.limits import EVENTS, READS, SIGN_INS, STRANGERS, WRITES, Limit
from plaza.kernel.routes import Route, Table
from plaza.kernel.wire import Ok
from plaza.settings import Settings

FILE = Path(__file__).parents[2] / "docs" / "limits.md"
BEGINS, ENDS = "<!-- rates: made by tests/contract/test_limits_page.py -->\n", "<!-- end of rates -->\n"
SERVED = (*TABLES, SOCKETS)
DOCUMENT = document()


def test_the_file_says_what_the_tables_say() -> None:
    assert FILE.read_text("utf-8").split(BEGINS)[1].split(ENDS)[0] == f"\n{page(SERVED)}\n"


def test_every_route_and_event_names_its_limits_in_the_document() -> None:
    for path, route in mounted(TABLES):
        operation = DOCUMENT["paths"][_written(path)]
        assert operation[route.method.lower()]["x-limits"] == [limit.name for limit in route.limits]
    named = {event["name"]: event["limits"] for event in DOCUMENT["x-socket-events"]["client"]}
    for event in (event for table in TABLES for event in table.events):
        assert named[event.name] == [limit.name for limit in event.limits]
    assert named["sync"] == named["authenticate"] == ["events"]


def _written(path: str) -> str:
    return "/" + "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in path.split("/"))


def test_the_document_and_the_page_have_every_number() -> None:
    style, script = (FOLDER / "docs.css").read_text("utf-8"), (FOLDER / "docs.js").read_text("utf-8")
    shown = render(DOCUMENT, style, script)
    described = {limit["name"]: limit for limit in DOCUMENT["x-limits"]}
    assert list(described) == [limit.name for limit in every(SERVED)]
    for limit in every(SERVED):
        entry = described[limit.name]
        assert (entry["amount"], entry["seconds"], entry["burst"]) == (limit.amount, limit.seconds, limit.capacity)
        assert entry["reason"] == limit.refusal.reason
        row = shown.split(f'id="limit-{limit.name}"')[1].split("</tr>")[0]
        assert entry["rate"] in row
        assert f"<td>{limit.capacity:,}</td>" in row


def test_the_ordinary_limits_are_those_of_the_guarantees() -> None:
    """Guarantees, c.8: reads 20 a second and 100 at once, socket events 20 and 60."""
    assert [(each.amount, each.seconds, each.capacity) for each in (READS, EVENTS)] == [(20, 1, 100), (20, 1, 60)]
    assert every(SERVED)[0] == STRANGERS
    for _, route in mounted(TABLES):
        ordinary = (SIGN_INS if route.auth in ("public", "session") else WRITES) if route.writes else READS
        assert (route.auth == "public" and not route.writes) or ordinary in route.limits


def test_two_limits_of_one_name_are_a_mistake() -> None:
    async def verb(ctx: object) -> Ok:
        """Do it."""
        return Ok()

    one, other = Limit("one", 1, 1, "One."), Limit("one", 2, 1, "Another.")
    routes = tuple(Route("POST", path, verb, limits=(limit,)) for path, limit in (("a", one), ("b", other)))
    with pytest.raises(ValueError, match="two limits are called one"):
        every([Table("test", routes)])


@pytest.mark.parametrize("setting", ["person_bytes_a_day", "organisation_bytes_a_day", "free_space_percent"])
def test_the_file_has_the_defaults_of_what_bounds_the_store(setting: str) -> None:
    row = f"| `{setting}` | `PLAZA_{setting.upper()}` | {getattr(Settings(), setting):,g} "
    assert row.replace("1e+08", "100,000,000").replace("1e+10", "10,000,000,000") in FILE.read_text("utf-8")


if __name__ == "__main__":
    before, rest = FILE.read_text("utf-8").split(BEGINS)
    FILE.write_text(f"{before}{BEGINS}\n{page(SERVED)}\n{ENDS}{rest.split(ENDS)[1]}", "utf-8")
