"""A report: tables and words on the terminal, and the same as a Markdown file with the raw figures beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Rich

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Table:
    """Rows of text; figures stand to the right."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Report:
    """What a scenario found: `name` is that of its files, `data` has every single figure."""

    name: str
    title: str
    tables: list[Table]
    notes: list[str]
    machine: dict[str, Any]
    data: dict[str, Any]


def ratio(ours: float, theirs: float) -> str:
    """`3.02 ×`."""
    return f"{ours / theirs:.2f} ×"


def show(report: Report, console: Console) -> None:
    """Prints the tables and the words."""
    for table in report.tables:
        drawn = Rich(title=table.title, title_justify="left")
        for place, column in enumerate(table.columns):
            drawn.add_column(column, justify="right" if _figures(table, place) else "left")
        before = None
        for row in table.rows:
            if before is not None and before[0] != row[0] and len(table.rows) > len({one[0] for one in table.rows}):
                drawn.add_section()
            drawn.add_row(*row)
            before = row
        console.print(drawn)
    for note in report.notes:
        console.print(f"- {note}", highlight=False)


def write(report: Report) -> Path:
    """Writes `bench/results/<date>-<name>.md` and `.json`; the Markdown's place."""
    RESULTS.mkdir(exist_ok=True)
    place = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{report.name}.md"
    place.write_text(_markdown(report), encoding="utf-8")
    raw = {"machine": report.machine, **report.data}
    place.with_suffix(".json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return place


def _markdown(report: Report) -> str:
    parts = [f"# {report.title}"]
    for table in report.tables:
        ruler = ["---:" if _figures(table, place) else "---" for place in range(len(table.columns))]
        lines = [table.columns, ruler, *table.rows]
        parts += [f"## {table.title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    parts += ["\n".join(f"- {note}" for note in report.notes), "## Machine"]
    parts.append("\n".join(f"- {name}: {value}" for name, value in report.machine.items()))
    return "\n\n".join(parts) + "\n"


def _figures(table: Table, place: int) -> bool:
    """Whether a column holds figures."""
    return all(row[place][:1].isdigit() for row in table.rows)
