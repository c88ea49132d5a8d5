"""Answers to HTTP requests that no application gets: a status, a stable reason and a sentence."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import NamedTuple

import msgspec

_SECURITY = (
    b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
)


class HttpError(NamedTuple):
    """Why a connection is closed: what its client is answered, where it can be, and the label it is counted under."""

    status: int
    reason: str
    message: str
    retry_after: int | None = None

    def wire(self) -> bytes:
        """The whole answer; the body has the fields of every refusal of REST."""
        phrase = HTTPStatus(self.status).phrase
        request_id = secrets.token_hex(8)
        body = msgspec.json.encode(
            {
                "statusCode": self.status,
                "error": phrase,
                "message": self.message,
                "reason": self.reason,
                "path": "",
                "requestId": request_id,
            }
        )
        retry = "" if self.retry_after is None else f"retry-after: {self.retry_after}\r\n"
        head = (
            f"HTTP/1.1 {self.status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\n{retry}connection: close\r\n"
        )
        return head.encode() + _SECURITY + b"\r\n" + body


MALFORMED = HttpError(400, "request.malformed", "This is not a valid HTTP request.")
HEAD_TOO_LARGE = HttpError(431, "request.head_too_large", "The head of the request has too many bytes or lines.")
HEAD_TIMEOUT = HttpError(408, "request.head_timeout", "The head of the request did not arrive in time.")
BODY_TOO_LARGE = HttpError(413, "request.too_large", "The body is too large.")
BODY_TIMEOUT = HttpError(408, "request.body_timeout", "The body of the request did not arrive in time.")
MESSAGE_TIMEOUT = HttpError(408, "message.timeout", "The message did not arrive in time.")
WRITE_TIMEOUT = HttpError(408, "response.unread", "The response was not read in time.")
ADDRESS_FULL = HttpError(429, "connections.address", "Too many requests of this network are incomplete.", 2)
PROCESS_FULL = HttpError(503, "connections.process", "The server has as many connections as it can.", 2)
ALL = (
    MALFORMED,
    HEAD_TOO_LARGE,
    HEAD_TIMEOUT,
    BODY_TOO_LARGE,
    BODY_TIMEOUT,
    MESSAGE_TIMEOUT,
    WRITE_TIMEOUT,
    ADDRESS_FULL,
    PROCESS_FULL,
)
