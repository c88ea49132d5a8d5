"""The codecs without a socket: round trips, and every rule that a client can break.

All their lines and branches are walked here. Measured apart from the ordinary suite:
`coverage run --branch --source=plaza.realtime -m pytest` with this file, then
`coverage report -m --fail-under=100 --include='*/rfc6455.py,*/engineio.py,*/socketio.py'`.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaza.realtime import engineio, rfc6455, socketio
from plaza.realtime.errors import Violation
from plaza.realtime.rfc6455 import CLOSE, CONTINUATION, PING, PONG, TEXT, Reader

settings.register_profile("realtime", deadline=None, database=None, max_examples=60)
settings.load_profile("realtime")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
names = st.text(min_size=1).filter(lambda name: name not in socketio.RESERVED)
namespaces = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), max_size=20).map("/{}".format)


def masked(payload: bytes, opcode: int = TEXT, *, final: bool = True, mask: bytes = b"\1\2\3\4") -> bytes:
    """A client's frame."""
    size = len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def read(data: bytes, limit: int = 100_000) -> list[tuple[int, bytes]]:
    """All messages in these bytes."""
    reader = Reader(limit)
    reader.feed(data)
    return rest(reader)


def rest(reader: Reader) -> list[tuple[int, bytes]]:
    """All messages a reader has."""
    messages = []
    while (message := reader.next()) is not None:
        messages.append(message)
    return messages


def broken(code: int, data: bytes, limit: int = 100_000) -> str:
    """These bytes break a rule; the reason."""
    with pytest.raises(Violation) as violation:
        read(data, limit)
    assert violation.value.code == code
    return violation.value.reason


# RFC 6455


@given(st.lists(st.binary(max_size=300), max_size=5), st.binary(min_size=4, max_size=4), st.data())
def test_messages_survive_any_masking_and_any_cutting(payloads: list[bytes], mask: bytes, data: st.DataObject) -> None:
    stream = b"".join(masked(payload, mask=mask) for payload in payloads)
    reader, got, at = Reader(1000), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[at : at + step])
        got += rest(reader)
        at += step
    assert got == [(TEXT, payload) for payload in payloads]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=6))
def test_fragments_are_joined_and_control_frames_may_stand_between_them(parts: list[bytes]) -> None:
    stream = b""
    for at, part in enumerate(parts):
        stream += masked(part, CONTINUATION if at else TEXT, final=at == len(parts) - 1)
        if at < len(parts) - 1:
            stream += masked(b"?", PING)
    assert [message for message in read(stream) if message[0] == TEXT] == [(TEXT, b"".join(parts))]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_a_frame_gives_its_payload_back_at_every_length_of_its_head(size: int) -> None:
    payload = b"x" * size
    frame = rfc6455.text_frame(payload)
    assert rfc6455.payload_of(frame) == payload
    assert read(masked(payload)) == [(TEXT, payload)]


beginnings = st.builds(
    lambda opcode, length, rest: bytes((opcode, length)) + rest, *(st.integers(0, 255),) * 2, st.binary()
)


@given(
    st.builds(masked, st.binary(max_size=300), st.sampled_from((TEXT, PING, CLOSE)), final=st.booleans())
    | beginnings
    | st.binary(max_size=300)
)
def test_one_whole_frame_is_read_at_once_as_a_reader_reads_it(data: bytes) -> None:
    whole = rfc6455.whole(data, 200)
    if whole is not None:
        reader = Reader(200)
        reader.feed(data)
        assert rest(reader) == [(TEXT, whole)]
        assert reader.idle


@pytest.mark.parametrize("size", [0, 125, 126, 65_535])
def test_most_frames_are_read_at_once(size: int) -> None:
    frame = masked(b"x" * size)
    assert rfc6455.whole(frame, 65_535) == b"x" * size
    for other in (frame[:-1], frame + b"x", frame[:1], b"", masked(b"x" * size, final=False)):
        assert rfc6455.whole(other, 65_535) is None
    assert rfc6455.whole(frame, size - 1) is None
    assert rfc6455.whole(masked(b"x" * 65_536), 100_000) is None
    assert rfc6455.whole(rfc6455.text_frame(b"x" * 4), 100) is None  # without a mask


def test_a_reader_waits_for_a_new_message_or_is_in_the_midst_of_one() -> None:
    reader = Reader(100)
    assert reader.idle
    for piece, idle in ((masked(b"a", final=False), False), (masked(b"b", CONTINUATION), True), (b"\x81", False)):
        reader.feed(piece)
        rest(reader)
        assert reader.idle == idle


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader_but_by_a_violation(data: bytes) -> None:
    reader = Reader(200)
    reader.feed(data)
    try:
        messages = rest(reader)
    except Violation:
        return
    assert all(len(payload) <= 200 for _, payload in messages)


def test_a_frame_that_is_not_whole_waits() -> None:
    whole = masked(b"x" * 70_000)
    for cut in (0, 1, 2, 5, 9, 13, 14, 1000):
        assert read(whole[:cut]) == []
    assert read(masked(b"x" * 300)[:3]) == []


def test_what_the_reader_refuses() -> None:
    assert broken(1002, b"\xc1\x80") == "reserved bits"
    assert broken(1002, b"\x81\x00") == "frame without mask"
    assert broken(1003, b"\x82\x80") == "binary frame"
    assert broken(1002, b"\x83\x80") == "unknown opcode"
    assert broken(1002, b"\x8b\x80") == "unknown opcode"
    assert "control frame" in broken(1002, b"\x09\x80")
    assert "control frame" in broken(1002, b"\x89\xfe")
    assert broken(1002, masked(b"x", CONTINUATION)) == "fragment out of order"
    assert broken(1002, masked(b"x", final=False) + masked(b"y")) == "fragment out of order"


def test_the_limit_holds_for_a_frame_and_for_joined_fragments_before_they_have_come() -> None:
    assert read(masked(b"x" * 100), limit=100)
    assert broken(1009, masked(b"x" * 101)[:2], limit=100)
    assert broken(1009, b"\x81\xff" + (2**63).to_bytes(8, "big"))
    half = masked(b"x" * 60, final=False)
    assert read(half + masked(b"x" * 40, CONTINUATION), limit=100)
    assert broken(1009, half + masked(b"x" * 41, CONTINUATION)[:2], limit=100)


def test_fragments_without_end_are_refused_even_if_empty() -> None:
    stream = masked(b"", final=False) + masked(b"", CONTINUATION, final=False) * rfc6455.MOST_FRAGMENTS
    assert "fragments" in broken(1008, stream)


def test_control_frames_come_through_with_their_payload() -> None:
    assert read(masked(b"a", PING) + masked(b"b", PONG) + masked(b"c", CLOSE)) == [
        (PING, b"a"),
        (PONG, b"b"),
        (CLOSE, b"c"),
    ]
    assert rfc6455.payload_of(rfc6455.pong_frame(b"a")) == b"a"


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 3000, 4999])
def test_a_close_frame_carries_code_and_reason(code: int) -> None:
    frame = rfc6455.close_frame(code, "why")
    assert rfc6455.close_code(rfc6455.payload_of(frame)) == code
    assert frame.endswith(b"why")


def test_a_close_frame_without_a_code_is_empty_and_a_long_reason_is_cut_at_a_character() -> None:
    assert rfc6455.close_code(rfc6455.payload_of(rfc6455.close_frame(rfc6455.NO_CODE))) == rfc6455.NO_CODE
    long = rfc6455.payload_of(rfc6455.close_frame(4000, "ä" * 100))
    assert len(long) == 124
    assert long[2:].decode() == "ä" * 61


@pytest.mark.parametrize("payload", [b"\x03", b"\0\0", b"\x03\xe7", b"\x03\xec", b"\x03\xed", b"\x03\xee", b"\xff\xff"])
def test_close_codes_that_may_not_be_sent_are_refused(payload: bytes) -> None:
    with pytest.raises(Violation):
        rfc6455.close_code(payload)


def test_text_and_close_reasons_must_be_utf8() -> None:
    assert rfc6455.text_of("ä".encode()) == "ä"
    for invalid in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
        with pytest.raises(Violation) as violation:
            rfc6455.text_of(invalid)
        assert violation.value.code == 1007
        with pytest.raises(Violation):
            rfc6455.close_code(b"\x03\xe8" + invalid)


# Engine.IO 4


@given(st.lists(st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"])), min_size=1, max_size=16))
def test_a_payload_gives_its_packets_back(messages: list[str]) -> None:
    payload = engineio.encode_payload([b"4" + message.encode() for message in messages])
    assert engineio.decode_payload(payload) == [("4", message) for message in messages]


@given(st.binary(max_size=60))
def test_no_bytes_break_the_payload_but_by_a_violation(body: bytes) -> None:
    try:
        packets = engineio.decode_payload(body)
    except Violation:
        return
    assert all(kind in "12345" for kind, _ in packets)


@pytest.mark.parametrize("packet", ["1", "2probe", "3", "4", "4text", "5"])
def test_a_client_may_send(packet: str) -> None:
    assert engineio.decode_packet(packet.encode()) == (packet[0], packet[1:])


@pytest.mark.parametrize("packet", ["", "0", "0{}", "1x", "2", "2other", "3probe", "5x", "6", "7", "a", "😀"])
def test_a_client_may_not_send(packet: str) -> None:
    with pytest.raises(Violation) as violation:
        engineio.decode_packet(packet.encode())
    assert violation.value.code == 1002


def test_binary_packets_and_endless_payloads_are_refused() -> None:
    with pytest.raises(Violation) as violation:
        engineio.decode_payload(b"4hello\x1ebAQIDBA==")
    assert violation.value.code == 1003
    assert len(engineio.decode_payload(b"\x1e".join([b"4"] * engineio.MOST_HEARD))) == engineio.MOST_HEARD
    with pytest.raises(Violation) as violation:
        engineio.decode_payload(b"\x1e".join([b"4"] * (engineio.MOST_HEARD + 1)))
    assert violation.value.code == 1008


def test_the_open_packet_has_milliseconds() -> None:
    packet = engineio.Opening(["websocket"], 25.0, 0.2, 65_536).packet("abc")
    assert packet == (
        b'0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":200,"maxPayload":65536}'
    )


# Socket.IO 5


@given(namespaces, names, st.lists(json_values, max_size=5), st.none() | st.integers(0, 10**16 - 1))
def test_an_event_comes_back_as_it_went(namespace: str, name: str, arguments: list[Any], id_: int | None) -> None:
    wire = socketio.encode(socketio.EVENT, namespace, socketio.event_body(name, arguments), id_)
    assert wire[:1] == b"4"
    assert socketio.decode(wire[1:].decode()) == socketio.Packet(socketio.EVENT, namespace, id_, [name, *arguments])


@given(namespaces, st.lists(json_values, max_size=5), st.integers(0, 10**16 - 1))
def test_an_acknowledgement_comes_back_as_it_went(namespace: str, arguments: list[Any], id_: int) -> None:
    wire = socketio.acknowledged(namespace, id_, arguments)
    assert socketio.decode(wire[1:].decode()) == socketio.Packet(socketio.ACK, namespace, id_, arguments)


@given(st.text(max_size=40) | st.text('0123456/,-[]{}"ab', max_size=20))
def test_no_text_breaks_the_decoder_but_by_a_violation(text: str) -> None:
    try:
        packet = socketio.decode(text)
    except Violation:
        return
    assert packet.namespace.startswith("/")


def test_a_client_connects_and_leaves() -> None:
    assert socketio.decode("0") == socketio.Packet(socketio.CONNECT, "/", None, None)
    assert socketio.decode("0/chat") == socketio.Packet(socketio.CONNECT, "/chat", None, None)
    assert socketio.decode('0/chat,{"a":1}') == socketio.Packet(socketio.CONNECT, "/chat", None, {"a": 1})
    assert socketio.decode("0[1]").data == [1]  # the server answers this with a connect error
    assert socketio.decode("1/chat,") == socketio.Packet(socketio.DISCONNECT, "/chat", None, None)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "7", "9[]", "0{", "01{}", "0/chat,5", '1{"a":1}', "12", "2", "2{}", "2[]", "2[1]", "2[null]",
        "2[[\"a\"]]", '2["connect"]', '2["error"]', '2["disconnect",1]', "2abc[\"a\"]", '2["a"', '2["a"]x',
        "2" + "1" * 17 + '["a"]', '2["\\ud800"', "3[1]", "31{}", "31", "4", '4{"message":"no"}',
        "31[" + "1," * 64 + "1]", "2/" + "n" * 300 + ',["a"]', "2" + "[" * 50_000, '2["a",NaN]', '2["a",-Infinity]',
        '2["\\ud800",NaN]', '2{"a":"\\ud800"}', '1"\\ud800"',
    ],
)  # fmt: skip
def test_a_packet_is_refused(text: str) -> None:
    with pytest.raises(Violation) as violation:
        socketio.decode(text)
    assert violation.value.code == 1002


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('2["a","\\ud83d"]', ["a", socketio.UNREADABLE]),
        ('2["a","\\uDD00",{"b":1},2]', ["a", socketio.UNREADABLE]),
        ('2["a",{"b":[{"\\ud83d":1}]}]', ["a", socketio.UNREADABLE]),
        ('2["a\\ud83d"]', ["a?", socketio.UNREADABLE]),
        ('2["a",1e400]', ["a", socketio.UNREADABLE]),
        ('2["a",' + "[" * 32 + "]" * 33, ["a", socketio.UNREADABLE]),
        ('2 [ "a\\"[", ' + '{"b":' * 50_000, ['a"[', socketio.UNREADABLE]),
        ("0" + '{"a":' * 33 + "1" + "}" * 33, socketio.UNREADABLE),
        ('0{"token":"\\ud83d"}', socketio.UNREADABLE),
        ('2["a","\\ud83d\\ude00","\\\\ud83d"]', ["a", "😀", "\\ud83d"]),
    ],
)
def test_json_that_holds_what_no_text_or_number_can_is_marked(text: str, data: object) -> None:
    assert socketio.decode(text).data == data


def test_binary_packets_and_too_many_arguments_are_refused() -> None:
    for text in ('51-["a",{"_placeholder":true,"num":0}]', "61-[]", "5", "6"):
        with pytest.raises(Violation) as violation:
            socketio.decode(text)
        assert violation.value.code == 1003
    event = '2["a"' + ",1" * socketio.MOST_ARGUMENTS
    assert len(socketio.decode(event + "]").data) == 1 + socketio.MOST_ARGUMENTS  # type: ignore[arg-type]
    with pytest.raises(Violation) as violation:
        socketio.decode(event + ",1]")
    assert violation.value.code == 1008


def test_what_the_server_says() -> None:
    assert socketio.connected("/", "abc") == b'40{"sid":"abc"}'
    assert socketio.connected("/chat", "abc") == b'40/chat,{"sid":"abc"}'
    assert socketio.refused("/chat", "no") == b'44/chat,{"message":"no"}'
    assert socketio.refused("/", "no", {"a": 1}) == b'44{"message":"no","data":{"a":1}}'
    assert socketio.acknowledged("/", 7, ("ä",)) == '437["ä"]'.encode()
    assert socketio.encode(socketio.DISCONNECT, "/chat") == b"41/chat,"
    assert socketio.event_body("a", [1]) == b'["a",1]'
    assert socketio.event_body("error", []) == b'["error"]'
    with pytest.raises(ValueError, match="connect"):
        socketio.event_body("connect", [])
