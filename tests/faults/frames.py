"""What nobody's client sends: whole offences, odd requests, and good conversations with something changed in them."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence

from tests.faults.wire import NAMESPACE
from tests.realtime.test_realtime_hostile import AFTER, FRAMES, PACKETS

OFFENCES = {name: commit for name, (_, commit) in (FRAMES | PACKETS).items()}
"""Each of them ends the connection at once; the package's own tests say with which code."""
OFFENCES_INSIDE = {name: commit for name, (_, commit) in AFTER.items()} | {
    "entering twice as another organisation": lambda c: c.text(f'40{NAMESPACE},{{"token":"x","orgId":"other"}}'),
}
EVENTS = ("sendMessage", "typing", "markRead", "getOnlineUsers", "sync", "authenticate", "joinGroup", "__proto__", "")
NASTY: tuple[object, ...] = (
    None,
    True,
    -0.0,
    10**30,
    "",
    "x" * 70_000,
    "\x00",
    "\u202e\u200b",
    [],
    [[]] * 50,
    {},
    {"$gt": ""},
    {"__proto__": {"admin": True}},
    {"toString": ""},
    {"to": "nobody@faults.test", "content": ["x"]},
    {"to": {"toString": ""}, "content": "x"},
    {"to": "nobody@faults.test", "content": "x", "clientId": 1},
    {"since": "9" * 19},
    {"since": "-1"},
    {"token": "x.y.z"},
    {"token": "x" * 8_192},
)


class Script:
    """Bytes as a WebSocket client writes them, whatever it means by it."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.writer = self

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self.frames.append(data)

    def frame(self, payload: bytes, opcode: int = 1, *, final: bool = True, mask: bool = True, rsv: int = 0) -> None:
        """One frame."""
        size, bit = len(payload), 0x80 if mask else 0
        wide = 0 if size < 126 else 2 if size < 65_536 else 8
        short, long = {0: size, 2: 126, 8: 127}[wide], size.to_bytes(wide, "big") if wide else b""
        head = bytes([(0x80 if final else 0) | rsv << 4 | opcode, bit | short])
        self.frames.append(head + long + (b"\0\0\0\0" if mask else b"") + payload)

    def text(self, text: str) -> None:
        """One message."""
        self.frame(text.encode())


def offence(commit: Callable[[Script], object]) -> bytes:
    """What a client sends who commits it."""
    script = Script()
    commit(script)
    return b"".join(script.frames)


def conversation(dice: random.Random, enter: str) -> list[bytes]:
    """What a client could send, most of it in order and some of it nonsense."""
    script = Script()
    for _ in range(dice.randrange(1, 12)):
        word = dice.choice((_event, _event, _event, _packet, _control, lambda _script, _dice: script.text(enter)))
        word(script, dice)
    return script.frames


def _event(script: Script, dice: random.Random) -> None:
    number = dice.choice(("", "1", str(dice.randrange(10**15)), "9" * 100))
    arguments = [dice.choice(NASTY) for _ in range(dice.choice((0, 1, 1, 1, 2, 64, 10_000)))]
    event: object = dice.choice((*EVENTS, 1, None, {}, "connect", "disconnect"))
    text = f"42{NAMESPACE},{number}{json.dumps([event, *arguments][:65], ensure_ascii=dice.random() < 0.5)}"
    for _ in range(dice.choice((1, 1, 1, 200))):
        script.text(text[:65_536])


def _packet(script: Script, dice: random.Random) -> None:
    kind = dice.choice("0123456789b") + dice.choice(("", *"0123456789"))
    place = dice.choice(("", "/,", "/admin,", NAMESPACE + ",", "/" + "x" * 300, "/__proto__,"))
    script.text(kind + place + dice.choice(("", "1", "1[]", "{}", '["x"]', "[", "probe", "1" * 100)))


def _control(script: Script, dice: random.Random) -> None:
    opcode = dice.choice((0, 1, 2, 3, 8, 9, 10, 15))
    payload = dice.randbytes(dice.choice((0, 1, 2, 125, 126, 1_000)))
    for _ in range(dice.choice((1, 1, 1, 70))):
        script.frame(
            payload, opcode, final=dice.random() < 0.7, mask=dice.random() < 0.9, rsv=dice.choice((0, 0, 0, 4))
        )


def spoilt(dice: random.Random, frames: Sequence[bytes]) -> bytes:
    """A conversation in which frames are lost, doubled or in another order, and bytes are changed."""
    kept = [frame for frame in frames for _ in range(dice.choice((0, 1, 1, 1, 1, 2)))]
    if dice.random() < 0.2:
        dice.shuffle(kept)
    data = bytearray(b"".join(kept))
    for _ in range(dice.choice((0, 0, 1, 3, 20)) if data else 0):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data[: dice.randrange(len(data) + 1)] if dice.random() < 0.2 else data)


def upgrade(query: str = "EIO=4&transport=websocket") -> bytes:
    """The request that opens a WebSocket."""
    key = base64.b64encode(b"sixteen bytes...").decode()
    return (
        f"GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


OPEN = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""The request that opens a session over long-polling."""


def request(dice: random.Random, sid: str) -> bytes:
    """A request to the sockets' path, of a session or of none, that may be good, odd, or a lie."""
    version = dice.choice(("4",) * 8 + ("3", "5", "", "__proto__", "4&EIO=3"))
    transport = dice.choice(("polling",) * 6 + ("websocket", "", "flashsocket", "constructor"))
    named = dice.choice((sid,) * 6 + ("", "__proto__", "constructor", "%00", "x" * 3_000))
    odd = dice.choice(("", "", "", "", "&j=0", "&t=1", "&b64=1", "&" * 40))
    if dice.random() < 0.3:
        script = Script()
        for _ in range(dice.randrange(3)):
            script.text(dice.choice(("2probe", "5", "2", "40", "")))
        return upgrade(f"EIO={version}&transport=websocket&sid={named}{odd}") + b"".join(script.frames)
    query = f"EIO={version}&transport={transport}&sid={named}{odd}"
    body = dice.choice(_BODIES)
    length = dice.choice((len(body), len(body), len(body), 0, len(body) + 10, -1, "x", 10**12))
    extra = dice.choice(("", "", "Transfer-Encoding: chunked\r\n", "Content-Type: application/octet-stream\r\n"))
    method = dice.choice(("GET", "POST", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "BREW"))
    head = f"{method} /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{extra}\r\n"
    return head.encode() + body


_BODIES = (
    b"",
    b"40",
    b"2",
    b"1",
    f"40{NAMESPACE},{{}}".encode(),
    b"\x1e".join([b"40/x"] * 17),
    b"\x1e" * 2_000,
    b"\x00\x01\xff binary",
    b"bAQIDBA==",
    b"4" + b"x" * 262_144,
    b"9",
    b"42[" + b"[" * 30_000,
    b"d=40",
)
