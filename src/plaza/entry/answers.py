"""The bodies of refusals (contract, decision 24)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from plaza.kernel.errors import Detail, Refusal


class ErrorBody(msgspec.Struct, rename="camel", omit_defaults=True):
    """A refusal on the wire: `error` is the status phrase, `message` for people, `reason` for programs."""

    status_code: Annotated[int, Meta(ge=400, le=599)]
    error: Annotated[str, Meta(max_length=50)]
    message: Annotated[str, Meta(max_length=1_000)]
    reason: Annotated[str, Meta(max_length=64)]
    path: Annotated[str, Meta(max_length=2_048)]
    request_id: Annotated[str, Meta(max_length=64)]
    details: Annotated[Sequence[Detail], Meta(max_length=50)] = ()


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
