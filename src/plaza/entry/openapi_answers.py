"""The answers of the document: the record of a success, and every refusal that a route can answer with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from plaza.entry.answers import ErrorBody
from plaza.entry.auth import OrganisationMissing, Unverified
from plaza.entry.concurrency import TooManyAtOnce
from plaza.entry.openapi_schemas import Schemas
from plaza.kernel import routes
from plaza.kernel.errors import (
    AnswerGone,
    Detail,
    InFlight,
    Invalid,
    Mismatch,
    Missing,
    Refusal,
    StaffOnly,
    StoreFull,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    Waiting,
)
from plaza.kernel.routes import Route

HEADERS = {
    "RequestId": {
        "description": "The request's id, also in the server's log; what you send as `X-Request-Id` is taken over.",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    },
    "RetryAfter": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 1},
    },
}
_REQUEST_ID = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_RETRY_AFTER = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}


def refusals(route: Route, admission: Iterable[type[Refusal]]) -> list[type[Refusal]]:
    """Every refusal that a route can answer with, each reason once; `admission` are those of whoever lets it in."""
    found: list[type[Refusal]] = [Invalid, OrganisationMissing, Missing, TooMany, TooManyAtOnce, Unavailable]
    if route.auth in ("public", "session"):
        found += [refusal for refusal in admission if issubclass(refusal, Missing)]
    else:
        found += [Unauthenticated, *admission]
    if route.auth in ("member", "optional", "staff"):
        found.append(Unverified)
    if route.auth == "staff":
        found.append(StaffOnly)
    if route.writes:
        found += [StoreFull, TooLarge, UnsupportedMedia, *routes.refusals(route.per_byte)]
    if route.keyed:
        found += [InFlight, Mismatch] if route.again is None else [InFlight, Mismatch, AnswerGone]
    by_reason: dict[str, type[Refusal]] = {refusal.reason: refusal for refusal in [*found, *route.errors]}
    return list(by_reason.values())


class Answers:
    """The responses of routes; those that say the same everywhere are components."""

    def __init__(self, schemas: Schemas, admission: Sequence[type[Refusal]]) -> None:
        self._schemas = schemas
        self._admission = admission
        self._shared: dict[str, list[str]] = {}
        self.responses: dict[str, Any] = {}
        self.examples: dict[str, Any] = {}

    def of(self, route: Route) -> dict[str, Any]:
        """The responses of one route by status."""
        grouped: dict[HTTPStatus, list[type[Refusal]]] = {}
        for refusal in refusals(route, self._admission):
            grouped.setdefault(refusal.status, []).append(refusal)
        statuses = [HTTPStatus.OK, route.status] if route.signature.finds else [route.status]
        found = {str(status.value): self._success(route) for status in statuses}
        for status, group in sorted(grouped.items()):
            own = any(refusal in route.errors for refusal in group)
            found[str(status.value)] = self._refused(status, group) if own else self._common(status, group, route)
        return found

    def _success(self, route: Route) -> dict[str, Any]:
        schema = self._schemas.of(route.signature.returns)
        said = self._schemas.component(route.signature.returns) if "$ref" in schema else schema
        return {
            "description": said.get("description", route.signature.summary),
            "headers": _REQUEST_ID,
            "content": {"application/json": {"schema": schema}},
        }

    def _common(self, status: HTTPStatus, group: Sequence[type[Refusal]], route: Route) -> dict[str, Any]:
        plain, reasons = status.phrase.replace(" ", ""), [refusal.reason for refusal in group]
        names = (plain, plain + route.auth.capitalize(), f"{plain}{route.auth.capitalize()}{route.method.capitalize()}")
        name = next(name for name in names if self._shared.setdefault(name, reasons) == reasons)
        if name not in self.responses:
            self.responses[name] = self._refused(status, group)
        return {"$ref": f"#/components/responses/{name}"}

    def _refused(self, status: HTTPStatus, group: Sequence[type[Refusal]]) -> dict[str, Any]:
        for refusal in group:
            self.examples.setdefault(refusal.reason, _example(refusal))
        waits = any(issubclass(refusal, Waiting) for refusal in group)
        narrowed = {"statusCode": {"const": status.value}, "reason": {"enum": [refusal.reason for refusal in group]}}
        return {
            "description": "\n".join(f"- `{refusal.reason}`: {refusal.message}" for refusal in group),
            "headers": _REQUEST_ID | (_RETRY_AFTER if waits else {}),
            "content": {
                "application/json": {
                    "schema": {"allOf": [self._schemas.of(ErrorBody), {"properties": narrowed}]},
                    "examples": {
                        refusal.reason: {"$ref": f"#/components/examples/{refusal.reason}"} for refusal in group
                    },
                }
            },
        }


def _example(refusal: type[Refusal]) -> dict[str, Any]:
    details = [Detail("limit", "Expected `int`, got `str`")] if refusal is Invalid else []
    body = ErrorBody(
        refusal.status.value,
        refusal.status.phrase,
        refusal.message,
        refusal.reason,
        "/client/community/messages",
        "5f2b9c0d1e7a4c38",
        details,
    )
    return {"summary": refusal.message, "value": msgspec.to_builtins(body)}
