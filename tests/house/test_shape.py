"""The shape of the house: small files, short functions, no import inside a function (design, section 5)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import plaza

ROOT = Path(plaza.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE = 330
LONGEST_FUNCTION = 45
FORBIDDEN = ("manager", "helper", "util", "process_", "handle_")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_can_be_read_at_one_sitting(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    tree = ast.parse(text)
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions(tree) if node.end_lineno}
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FUNCTION} == {}
    if text.strip():
        assert ast.get_docstring(tree), "a module says in a sentence what it is"
    for node in functions(tree):
        assert not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)), node.name
        assert not node.name.lower().startswith(FORBIDDEN), node.name


def test_every_domain_has_the_same_rooms() -> None:
    for domain in sorted((ROOT / "domains").iterdir()):
        if domain.is_dir() and domain.name != "__pycache__":
            names = {file.name for file in domain.glob("*.py")}
            assert {"__init__.py", "queries.py", "service.py"} <= names, domain.name


LOG_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
TAKEN = {"event", "level", "logger", "timestamp", "exception", "self"}
"""Keywords that a log call may not have: the logger's own arguments, and the fields that it writes itself."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_log_call_does_not_use_the_names_of_the_logger_itself(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_LEVELS:
            assert not {keyword.arg for keyword in node.keywords} & TAKEN, f"line {node.lineno}"


def test_every_decision_has_a_number_of_its_own_and_says_it() -> None:
    records = sorted((Path(__file__).parents[2] / "decisions").glob("*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1))
    for record, number in zip(records, numbers, strict=True):
        assert record.read_text("utf-8").startswith(f"# {number}. "), record.name
