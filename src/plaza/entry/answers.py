"""The bodies of refusals (contract, decision 24)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from plaza.kernel.errors import Detail, Refusal


class ErrorBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """A refusal on the wire: `error` is the status phrase, `message` for people, `reason` for programs."""

    status_code: int
    error: str
    message: str
    reason: str
    path: str
    request_id: str
    details: Sequence[Detail] = ()


def error_body(refusal: Refusal, path: str, request_id: str) -> bytes:
    """The JSON of a refusal."""
    return msgspec.json.encode(
        ErrorBody(
            refusal.status.value,
            refusal.status.phrase,
            str(refusal),
            refusal.reason,
            path,
            request_id,
            refusal.details,
        )
    )


def refused(refusal: Refusal) -> dict[str, object]:
    """The acknowledgement of a refused event."""
    answer: dict[str, object] = {"success": False, "error": str(refusal), "code": refusal.reason}
    if refusal.details:
        answer["details"] = msgspec.to_builtins(refusal.details)
    return answer
