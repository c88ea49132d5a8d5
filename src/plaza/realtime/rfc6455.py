"""RFC 6455 without I/O, the server's side: text and control frames, no extensions, no binary messages."""

from typing import NamedTuple

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # in C, where there is a wheel for the machine

from plaza.realtime.errors import Violation

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
NO_CODE = 1005
INVALID_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
TRY_AGAIN = 1013

_WHOLE_TEXT = 0x80 | TEXT
_SHORT_HEADS = [bytes((_WHOLE_TEXT, size)) for size in range(126)]
_MASKED_HEADS = [bytes((_WHOLE_TEXT, 0x80 | size)) for size in range(127)]
MOST_FRAGMENTS = 1024  # empty fragments never reach the size limit, and each one costs a list entry
LONGEST_REASON = 123  # a control frame carries 125 bytes, two of them are the code


def whole(data: bytes, limit: int) -> bytes | None:
    """The payload where the bytes are one text frame and nothing else, as most are; None where a `Reader` must look."""
    start, size = 6, len(data) - 6
    if size < 126:
        right = size >= 0 and data[:2] == _MASKED_HEADS[size]
    else:
        start, size = 8, size - 2
        right = data[:2] == _MASKED_HEADS[126] and data[2] << 8 | data[3] == size
    return apply_mask(data[start:], data[start - 4 : start]) if right and size <= limit else None


class Head(NamedTuple):
    """What stands before a frame's payload; start and size are in bytes."""

    final: bool
    opcode: int
    start: int
    size: int


class Reader:
    """Turns a client's bytes into messages; a message is (opcode, payload) with its fragments joined."""

    __slots__ = ("_at", "_data", "_limit", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = b""
        self._at = 0
        self._parts: list[bytes] | None = None
        self._size = 0

    @property
    def idle(self) -> bool:
        """Whether it waits for a new message, and nothing of one has come."""
        return self._parts is None and self._at == len(self._data)

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._size + len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take bytes as they come; what was not asked for yet stays."""
        self._data = self._data[self._at :] + data
        self._at = 0

    def next(self) -> tuple[int, bytes] | None:
        """The next message, None until more bytes come; raises Violation where the client's stream breaks."""
        data = self._data
        while (head := self._head(data, self._at)) is not None:
            end = head.start + head.size
            if end > len(data):
                return None
            self._at = end
            message = self._joined(head, apply_mask(data[head.start : end], data[head.start - 4 : head.start]))
            if message is not None:
                return message
        if self._at == len(data):  # most readers wait most of the time, and then hold nothing
            self._data, self._at = b"", 0
        return None

    def _head(self, data: bytes, at: int) -> Head | None:
        if len(data) < at + 2:
            return None
        first, second = data[at], data[at + 1]
        opcode, size = first & 0x0F, second & 0x7F
        if first & 0x70:
            raise Violation(PROTOCOL_ERROR, "reserved bits")
        if not second & 0x80:
            raise Violation(PROTOCOL_ERROR, "frame without mask")
        _check_opcode(opcode, final=bool(first & 0x80), size=size)
        wide = 2 if size == 126 else 8 if size == 127 else 0
        if wide:
            if len(data) < at + 2 + wide:
                return None
            size = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
        if size + self._size > self._limit:
            raise Violation(TOO_BIG, f"message over {self._limit} bytes")
        return Head(bool(first & 0x80), opcode, at + 6 + wide, size)

    def _joined(self, head: Head, payload: bytes) -> tuple[int, bytes] | None:
        if head.opcode >= CLOSE:
            return head.opcode, payload
        if (head.opcode == CONTINUATION) != (self._parts is not None):
            raise Violation(PROTOCOL_ERROR, "fragment out of order")
        if self._parts is None:
            if head.final:
                return TEXT, payload
            self._parts = []
        self._parts.append(payload)
        self._size += len(payload)
        if len(self._parts) > MOST_FRAGMENTS:
            raise Violation(POLICY, f"more than {MOST_FRAGMENTS} fragments")
        if not head.final:
            return None
        whole = b"".join(self._parts)
        self._parts = None
        self._size = 0
        return TEXT, whole


def _check_opcode(opcode: int, *, final: bool, size: int) -> None:
    if opcode == BINARY:
        raise Violation(UNSUPPORTED, "binary frame")
    if opcode in (CONTINUATION, TEXT):
        return
    if opcode not in (CLOSE, PING, PONG):
        raise Violation(PROTOCOL_ERROR, "unknown opcode")
    if not final or size > 125:
        raise Violation(PROTOCOL_ERROR, "control frame too long or in fragments")


def text_frame(payload: bytes) -> bytes:
    """One unmasked text frame of UTF-8 bytes."""
    size = len(payload)
    return _SHORT_HEADS[size] + payload if size < 126 else _framed(TEXT, payload)


def payload_of(frame: bytes) -> bytes:
    """What `text_frame` was given: long-polling sends the payload without the frame's head."""
    size = frame[1]
    return frame[10:] if size == 127 else frame[4:] if size == 126 else frame[2:]


def pong_frame(payload: bytes) -> bytes:
    """The answer to a client's ping, with the ping's own payload (at most 125 bytes)."""
    return _framed(PONG, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a reason over 123 bytes is cut at a character, NO_CODE gives an empty frame."""
    if code == NO_CODE:
        return _framed(CLOSE, b"")
    text = reason.encode()[:LONGEST_REASON].decode(errors="ignore").encode()
    return _framed(CLOSE, code.to_bytes(2, "big") + text)


def close_code(payload: bytes) -> int:
    """The code in a client's close frame, NO_CODE for none; raises Violation for one that may not be sent."""
    if not payload:
        return NO_CODE
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (3000 <= code <= 4999 or code in _SENDABLE):
        raise Violation(PROTOCOL_ERROR, "close code")
    text_of(payload[2:])
    return code


_SENDABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


def text_of(payload: bytes) -> str:
    """A text message's characters; raises Violation for bytes that are not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_TEXT, "text is not UTF-8") from None


def _framed(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload
