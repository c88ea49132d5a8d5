"""Kinds of facts: every class is known to the relay, and what was stored once decodes for good (fact_samples.json)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

import plaza.app
from plaza.kernel.outbox import KINDS, Fact

assert plaza.app  # importing the composition root makes every fact known
SAMPLES: dict[str, list[Any]] = json.loads((Path(__file__).parent / "fact_samples.json").read_text(encoding="utf-8"))
"""What versions stored, by kind. Entries are added, never changed: a kind that is given up keeps its own."""
GIVEN_UP: frozenset[str] = frozenset()
"""Kinds that have samples and no class any more; no new class may take them."""
OURS = {kind: fact for kind, fact in KINDS.items() if fact.__module__.startswith("plaza.")}
EVERY_MODULE = """
import importlib, json, pkgutil, plaza.app
from plaza.kernel.outbox import KINDS
first = set(KINDS)
for module in pkgutil.walk_packages(plaza.__path__, "plaza."):
    if not module.name.endswith("__main__") and ".migrations" not in module.name:
        importlib.import_module(module.name)
print(json.dumps([sorted(first), sorted(KINDS)]))
"""


def test_the_server_knows_every_class_of_fact_that_there_is() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, check=True, timeout=60)
    first, all_of_them = json.loads(done.stdout)
    assert first == all_of_them
    assert set(OURS) == set(first)


@pytest.mark.parametrize("kind", sorted(OURS))
def test_every_fact_has_a_sample_and_every_sample_decodes(kind: str) -> None:
    assert SAMPLES.get(kind), "add what this version stores to fact_samples.json"
    for sample in SAMPLES[kind]:
        msgspec.json.decode(json.dumps(sample), type=OURS[kind])


@pytest.mark.parametrize("kind", sorted(OURS))
def test_a_sample_has_a_value_for_every_field(kind: str) -> None:
    """The newest sample says what a field is for whoever reads this in years."""
    assert set(SAMPLES[kind][-1]) == {field.name for field in msgspec.structs.fields(OURS[kind])}


def test_a_kind_is_given_up_for_good() -> None:
    assert set(SAMPLES) - set(OURS) == GIVEN_UP
    assert not GIVEN_UP & set(OURS)


def test_two_facts_of_one_kind_are_refused() -> None:
    with pytest.raises(TypeError, match=r"message\.sent"):

        class Another(Fact):
            kind: ClassVar[str] = "message.sent"
