"""Schemathesis on the served document: for a stranger and a member, the server does what it says (guarantees, c.4)."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.errors import NoLinksFound
from schemathesis.engine import events, from_schema

from plaza.catalogue import TABLES
from plaza.entry.openapi import PARAMETERS
from plaza.entry.rest import mounted
from plaza.kernel import ids, paging
from tests.world import World

EXAMPLES = int(os.environ.get("PLAZA_TEST_EXAMPLES", "20"))
"""Of each operation; a night's run takes 2,000."""
SLOWEST_SECONDS = 5
"""Nothing answers in more; generous, since the tests share the machine."""
TAGS = [table.name for table in TABLES if any(route.auth != "public" for route in table.routes)]
STAFFS_OWN = {re.sub(r":\w+", "[^/]+", path) for path, route in mounted(TABLES) if route.auth == "staff"}


class Caller(NamedTuple):
    """Who asks, below which paths, and how thoroughly."""

    name: str
    paths: str = "^/(?!community/)"
    secured: bool = True
    """Whether they try the routes that need a token, or those that need none."""
    signed_in: bool = True
    thorough: bool = True
    role: str = "customer"


STRANGER = Caller("stranger", secured=False, signed_in=False)
MEMBER = Caller("member")
# Everything is refused before it is looked at.
INTRUDER = Caller("stranger-among-members", signed_in=False, thorough=False)
# The routes are those of the other prefix; what could differ is whether they are there.
BELOW_STAFF = Caller("member-below-staff", "^/community/", thorough=False)
STAFF = Caller("staff", f"^/({'|'.join(sorted(STAFFS_OWN))})$", role="staff")

_NUMBERS = itertools.count(1)
schemathesis.openapi.format("cursor", strategies.integers(0, ids.HIGHEST).map(paging.encode))


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
    # JSON Schema counts 1.0 among the integers; no client of ours writes one so. Nor can it say that one parameter
    # excludes another, or which characters stand for plain ones: the descriptions do.
    beyond = ("got `float`", "must be a whole number, in digits", "cannot stand beside", "stands for a plain one")
    if refusal["reason"].startswith("request.") and not any(part in refusal["message"] for part in beyond):
        raise AssertionError(refusal["message"])


def configured(caller: Caller, token: str) -> SchemathesisConfig:
    """The same cases in every run."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "cache": {"enabled": False},
            "continue-on-failure": True,
            "auth": {"openapi": {"bearer": {"bearer": token}}} if caller.signed_in else {},
            # NUL is refused everywhere, which no schema says.
            "generation": {
                "deterministic": True,
                "database": "none",
                "max-examples": EXAMPLES if caller.thorough else max(1, EXAMPLES // 5),
                "allow-x00": False,
            },
            "phases": {"coverage": {"enabled": caller.thorough}},
            "checks": {
                "max_response_time": SLOWEST_SECONDS,
                # `understood` is stricter about the form, and leaves the rules of a route to the route.
                "positive_data_acceptance": {"enabled": False},
                # `DELETE messages/threads` deletes the message of that id: the paths overlap, and Allow says so.
                "allow_header_conformance": {"enabled": False},
                # A badge that staff delete is retired: whoever has it can go on reading what it is.
                "use_after_free": {"enabled": caller.role != "staff"},
            },
        }
    )


@pytest.fixture
async def at_home(world: World) -> AsyncIterator[World]:
    """A world where well-formed requests go to an organisation that exists, and each write has a key of its own.

    The engine repeats keys with other bodies, and the 422 of it says nothing new.
    """

    def before_call(context: Any, case: schemathesis.Case[Any], kwargs: Any) -> None:
        headers: Any = case.headers or {}
        if re.fullmatch(PARAMETERS["orgid"]["schema"]["pattern"], headers.get("orgid", "")):
            headers["orgid"] = world.north.slug
        if 0 < len(headers.get("Idempotency-Key", "")) <= PARAMETERS["idempotencyKey"]["schema"]["maxLength"]:
            headers["Idempotency-Key"] = f"key-{next(_NUMBERS)}"

    schemathesis.hook(before_call)
    yield world
    hooks.unregister(before_call)


def complaints(url: str, caller: Caller, tag: str | None, config: SchemathesisConfig) -> Iterator[str]:
    """What the engine finds: examples, boundaries, fuzzing, and what a creation answered used and used after."""
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)

    def chosen(ctx: Any) -> bool:
        operation = ctx.operation.definition.raw
        return (
            bool(operation["security"]) is caller.secured
            and tag in (None, *operation["tags"])
            and re.match(caller.paths, ctx.operation.path) is not None
        )

    for event in from_schema(schema.include(chosen)).execute():
        match event:
            case events.NonFatalError(value=NoLinksFound()):
                pass
            case events.NonFatalError() | events.FatalError():
                yield repr(event)
            case events.ScenarioFinished():
                yield from _failures(event)


def _failures(event: events.ScenarioFinished) -> Iterator[str]:
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                answer: Any = event.recorder.interactions[case_id].response
                said = b"" if answer is None else answer.content[:400]
                yield f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}\n{said!r}"


@pytest.mark.parametrize(
    ("caller", "tag"),
    [(STRANGER, None), (INTRUDER, None), (BELOW_STAFF, None), (STAFF, None), *((MEMBER, tag) for tag in TAGS)],
    ids=lambda part: part.name if isinstance(part, Caller) else part or "all",
)
async def test_the_server_does_what_the_document_says(at_home: World, caller: Caller, tag: str | None) -> None:
    alice = await at_home.north.person("alice", role=caller.role).arrive()
    config = configured(caller, alice.token)
    found = await asyncio.to_thread(lambda: sorted(set(complaints(at_home.url, caller, tag, config))))
    assert not found, "\n\n".join(found[:20])
