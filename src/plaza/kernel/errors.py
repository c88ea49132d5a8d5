"""Refusals: what the server says no to, each with its status and its stable reason (contract, decision 24)."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta


class Detail(msgspec.Struct, frozen=True):
    """One bad field of a request: its name as the client wrote it, and what is wrong with it."""

    field: Annotated[str, Meta(max_length=200)]
    message: Annotated[str, Meta(max_length=500)]


class Refusal(Exception):  # noqa: N818 — a refusal is an answer, not a failure of the server
    """A clear no: `status` is the HTTP status, `reason` a stable code, the message a sentence for people."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    reason: ClassVar[str] = "request.refused"
    message: ClassVar[str] = "The request was refused."
    temporary: bool = False
    """Whether the same may be granted soon: a socket is then disconnected, so that its client tries again."""

    def __init__(self, message: str | None = None, *, details: Sequence[Detail] = ()) -> None:
        super().__init__(message or self.message)
        self.details = tuple(details)

    @property
    def headers(self) -> Mapping[str, str]:
        """Extra response headers."""
        return {}


class Invalid(Refusal):
    """The request is malformed: 400, `details` names the fields."""

    reason = "request.invalid"
    message = "The request is not valid."

    @classmethod
    def field(cls, field: str, message: str) -> Invalid:
        """The refusal of one field."""
        return cls(f"{field}: {message}", details=[Detail(field, message)])


class Unauthenticated(Refusal):
    """No usable token: 401."""

    status = HTTPStatus.UNAUTHORIZED
    reason = "auth.missing"
    message = "Sign in first: this needs a bearer token."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Refusal):
    """The caller is known and may not do this: 403."""

    status = HTTPStatus.FORBIDDEN
    reason = "request.forbidden"
    message = "You may not do this."


class StaffOnly(Forbidden):
    """The caller is a customer: 403."""

    reason = "auth.staff_only"
    message = "Only staff may do this."


class Missing(Refusal):
    """It does not exist, or the caller may not know that it does: 404."""

    status = HTTPStatus.NOT_FOUND
    reason = "request.not_found"
    message = "There is nothing here."


class MethodNotAllowed(Refusal):
    """The path exists, the method on it does not: 405."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    reason = "request.method_not_allowed"
    message = "This path does not take this method."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self.allowed = tuple(allowed)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class Conflict(Refusal):
    """The thing is not in a state that allows this: 409."""

    status = HTTPStatus.CONFLICT
    reason = "request.conflict"
    message = "This cannot be done now."


class TooLarge(Refusal):
    """The body is larger than the server reads: 413."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    reason = "request.too_large"
    message = "The body is too large."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Connection": "close"}  # the rest of the body is not read


class UnsupportedMedia(Refusal):
    """The body is not of a type that this route reads: 415."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    reason = "request.media_type"
    message = "Send the body as application/json."


class Mismatch(Refusal):
    """The idempotency key was used before with another body: 422."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "idempotency.mismatch"
    message = "This key was used before for a different request."


class AnswerGone(Refusal):
    """The key's request had its effect, and nothing is kept that its answer could be made of: 410."""

    status = HTTPStatus.GONE
    reason = "idempotency.answer_gone"
    message = "This request was done before, and its answer is no longer kept; read the thing itself."


class Waiting(Refusal):
    """A refusal that passes: `retry_after` is in whole seconds."""

    temporary = True

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after)}


class InFlight(Waiting):
    """The same key is being worked on at this moment: 409."""

    status = HTTPStatus.CONFLICT
    reason = "idempotency.in_flight"
    message = "The first request with this key is still running."


class TooMany(Waiting):
    """The caller is too fast: 429."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "rate.limited"
    message = "Too many requests; slow down."


class Unavailable(Waiting):
    """The store cannot be reached at this moment: 503."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "store.unavailable"
    message = "The server cannot reach its store; try again in a moment."


class StoreFull(Unavailable):
    """The store has no room to write: 503; reading goes on."""

    reason = "store.full"
    message = "The store has no room left: what is there can be read, nothing can be written for now."


def locate(error: BaseException) -> str:
    """The class of an error and the last two of our files that it came through, with their lines.

    Never its text, which may quote what somebody wrote.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "plaza" in Path(frame.filename).parts]
    lines = {"/".join(Path(frame.filename).parts[-2:]): frame.lineno for frame in frames}
    places = [f"{file}:{line}" for file, line in lines.items()][-2:]
    return " ".join([type(error).__name__, *places])
