"""What goes wrong here: a namespace that does not let a client in, and a client that breaks a protocol."""


class Refused(Exception):  # noqa: N818 - errors say what is wrong
    """A namespace does not let a client in; it reads message and data in its `connect_error`."""

    def __init__(self, message: str, data: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class NotNow(Exception):  # noqa: N818
    """A namespace cannot let a client in at present: the connection ends with 1013, and official clients try again.

    `reason` is in the WebSocket close frame.
    """

    def __init__(self, reason: str = "not_now") -> None:
        super().__init__(reason)
        self.reason = reason


class Violation(Exception):  # noqa: N818 - errors say what is wrong
    """Bytes that no well-behaved client sends; code is the WebSocket close code, reason at most 123 bytes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
