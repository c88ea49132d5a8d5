"""Schemathesis on the served document: for a stranger and a member, the server does what it says (guarantees, c.4)."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from plaza.entry.rest import LONGEST_KEY
from plaza.kernel import ids, paging
from tests.world import World

EXAMPLES = int(os.environ.get("PLAZA_TEST_EXAMPLES", "20"))
"""Of each operation; a night's run takes 2,000."""
SLOWEST_SECONDS = 5
"""Nothing answers in more; generous, since the tests share the machine."""

_NUMBERS = itertools.count(1)
schemathesis.openapi.format("cursor", strategies.integers(0, ids.HIGHEST).map(paging.encode))


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case[Any], **_more: Any) -> None:
    """Gives every write a key of its own: the engine repeats keys with other bodies, and 422 says nothing new."""
    headers: Any = case.headers or {}
    if 0 < len(headers.get("Idempotency-Key", "")) <= LONGEST_KEY:
        headers["Idempotency-Key"] = f"key-{next(_NUMBERS)}"


@schemathesis.check
def understood(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]) -> None:
    """What the document allows may break a rule of the route, and is never called malformed."""
    meta = case.meta
    if meta is None or meta.generation.mode.is_negative or response.status_code not in (400, 413, 415):
        return
    if None in (case.path_parameters or {}).values():
        # An account without a person has no id, and the engine tries what it was answered as a path.
        return
    refusal = response.json()
    # JSON Schema counts 1.0 among the integers; no client of ours writes one so.
    if refusal["reason"].startswith("request.") and not refusal["message"].endswith("got `float`"):
        raise AssertionError(refusal["message"])


def configured(world: World, token: str | None) -> SchemathesisConfig:
    """The same cases in every run, with and without a person's token."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "cache": {"enabled": False},
            "continue-on-failure": True,
            "auth": {} if token is None else {"openapi": {"bearer": {"bearer": token}}},
            "parameters": {"header.orgid": world.north.slug},
            # NUL is refused everywhere, which no schema says.
            "generation": {"deterministic": True, "database": "none", "max-examples": EXAMPLES, "allow-x00": False},
            "checks": {
                "max_response_time": SLOWEST_SECONDS,
                # `understood` is stricter about the form, and leaves the rules of a route to the route.
                "positive_data_acceptance": {"enabled": False},
                # `DELETE messages/threads` deletes the message of that id: the paths overlap, and Allow says so.
                "allow_header_conformance": {"enabled": False},
            },
        }
    )


def complaints(url: str, config: SchemathesisConfig, caller: str) -> Iterator[str]:
    """What the engine finds: examples, boundaries, fuzzing, and what a creation answered used and used after.

    A stranger tries one prefix, since all that both refuse is refused before they differ; a member leaves out the
    routes that look at no token.
    """
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    if caller == "stranger":
        schema = schema.exclude(path_regex="^/community/")
    else:
        schema = schema.include(lambda ctx: bool(ctx.operation.definition.raw["security"]))
    for event in from_schema(schema).execute():
        if isinstance(event, events.FatalError | events.NonFatalError):
            yield repr(event)
        elif isinstance(event, events.ScenarioFinished):
            yield from _failures(event)


def _failures(event: events.ScenarioFinished) -> Iterator[str]:
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                answer: Any = event.recorder.interactions[case_id].response
                said = b"" if answer is None else answer.content[:400]
                yield f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}\n{said!r}"


@pytest.mark.parametrize("caller", ["stranger", "member"])
async def test_the_server_does_what_the_document_says(world: World, caller: str) -> None:
    (alice,) = await world.north.people("alice")
    config = configured(world, alice.token if caller == "member" else None)
    found = await asyncio.to_thread(lambda: sorted(set(complaints(world.url, config, caller))))
    assert not found, "\n\n".join(found[:20])
