"""Streams of frames as servers send them, good and bad, for tests that compare transports."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

MAX_SIZE = 200
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
NOT_UTF_8 = b"\xc3\x28"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = None,
) -> bytes:
    """One frame, with whatever bits (RFC 6455, section 5.2)."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    masked = 0x80 if mask is not None else 0
    if len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 2**16:
        head += struct.pack("!BH", masked | 126, len(payload))
    else:
        head += struct.pack("!BQ", masked | 127, len(payload))
    if mask is not None:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + (mask or b"") + payload


@dataclass(frozen=True)
class FrameStream:
    """What a server sends, and how it is cut.

    Attributes:
        frames: One after the other.
        cuts: Where the bytes are cut into writes, in thousandths of them all.
        each_byte: Whether each byte is a write of its own instead.
        broken: Whether one of the frames breaks a rule.
    """

    frames: tuple[bytes, ...]
    cuts: tuple[int, ...]
    each_byte: bool
    broken: bool

    def chunks(self, before: bytes) -> list[bytes]:
        """The writes, with what goes before the first frame."""
        data = before + b"".join(self.frames)
        if self.each_byte:
            return [data[at : at + 1] for at in range(len(data))]
        places = sorted({len(data) * cut // 1000 for cut in self.cuts} | {0, len(data)})
        return [data[start:end] for start, end in pairwise(places)]


control = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))


@st.composite
def message(draw: st.DrawFn, payload: bytes | None = None, opcode: int | None = None) -> bytes:
    """A data message: one frame, or fragments with control frames in between."""
    if payload is None:
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        if opcode == TEXT:
            payload = draw(st.text(max_size=MAX_SIZE // 4)).encode()
        else:
            payload = draw(st.binary(max_size=MAX_SIZE))
    assert opcode is not None
    cuts = draw(st.lists(st.integers(0, len(payload)), max_size=4))
    places = [0, *sorted(cuts), len(payload)]
    parts = [payload[start:end] for start, end in pairwise(places)]
    found = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        found += frame(opcode if number == 0 else CONTINUATION, part, fin=last)
        if not last:
            found += b"".join(draw(st.lists(control, max_size=2)))
    return found


good_close = st.one_of(
    st.just(frame(CLOSE)),
    st.builds(
        lambda code, reason: frame(CLOSE, struct.pack("!H", code) + reason.encode()),
        st.sampled_from([1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4401, 4999]),
        st.text(max_size=20),
    ),
)

BEGUN = frame(TEXT, b"begun", fin=False)
TOO_MUCH = b"x" * (MAX_SIZE + 1)
# What breaks a rule, and the code that says so (RFC 6455, sections 5, 7.4 and 8.1).
VIOLATIONS: dict[str, tuple[int, bytes]] = {
    **{
        f"reserved bit {bit} of {opcode}": (1002, frame(opcode, b"", reserved=bit))
        for bit in (1, 2, 4)
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
    },
    **{
        f"masked {opcode}": (1002, frame(opcode, b"masked", mask=b"abcd"))
        for opcode in (TEXT, BINARY, PING, PONG)
    },
    **{f"opcode {opcode}": (1002, frame(opcode, b"x")) for opcode in (3, 7, 11, 15)},
    **{
        f"control {opcode} in fragments": (1002, frame(opcode, b"x", fin=False))
        for opcode in (CLOSE, PING, PONG)
    },
    **{
        f"control {opcode} of 126 bytes": (1002, frame(opcode, b"x" * 126))
        for opcode in (CLOSE, PING, PONG)
    },
    "continuation of nothing": (1002, frame(CONTINUATION, b"orphan")),
    "first continuation of nothing": (1002, frame(CONTINUATION, b"orphan", fin=False)),
    "message in a message": (1002, BEGUN + frame(TEXT, b"y")),
    "message begun in a message": (1002, BEGUN + frame(BINARY, b"y", fin=False)),
    "reserved bit of a continuation": (1002, BEGUN + frame(CONTINUATION, b"y", reserved=4)),
    "text that is not UTF-8": (1007, frame(TEXT, NOT_UTF_8)),
    "text that ends in the middle": (1007, frame(TEXT, b"abc\xe2\x82")),
    "fragments that are not UTF-8": (1007, BEGUN + frame(CONTINUATION, NOT_UTF_8)),
    "message too big": (1009, frame(BINARY, TOO_MUCH)),
    "fragment too big": (1009, frame(TEXT, TOO_MUCH, fin=False)),
    "fragments too big": (1009, BEGUN + frame(PING) + frame(CONTINUATION, TOO_MUCH[5:])),
    **{
        f"close with {code}": (1002, frame(CLOSE, struct.pack("!H", code)))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
    "close with half a code": (1002, frame(CLOSE, b"\x03")),
    "close with a reason that is not UTF-8": (1007, frame(CLOSE, b"\x03\xe8" + NOT_UTF_8)),
}

violation = st.one_of(
    st.sampled_from([data for _, data in VIOLATIONS.values()]),
    message(NOT_UTF_8 + b"tail", TEXT),
    message("é".encode() * 20 + b"\xc3", TEXT),
    message(TOO_MUCH, TEXT),
)


@st.composite
def streams(draw: st.DrawFn) -> FrameStream:
    """Good frames, then maybe a bad one or a close frame, then maybe more good ones."""
    good = st.lists(st.one_of(message(), control), max_size=5)
    frames = draw(good)
    turn = draw(st.sampled_from(["break", "break", "close", "cut"]))
    if turn == "break":
        frames += [draw(violation), *draw(good)]
    elif turn == "close":
        frames += [draw(good_close), *draw(good)]
    each_byte = draw(st.booleans())
    cuts = () if each_byte else tuple(draw(st.lists(st.integers(0, 1000), max_size=8)))
    return FrameStream(tuple(frames), cuts, each_byte, turn == "break")
