"""Any stream of bytes, cut anywhere, gives what plain ``websockets`` makes of it (C2, C16)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from byte_stream_client import (
    BINARY,
    CLOSE,
    LIMIT,
    PING,
    PONG,
    TEXT,
    compressed,
    frame,
    plain,
    pushing,
)
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from rxsocket.transports.frame_reader import FrameReader
from rxsocket.transports.websockets_connection import (
    WebSocketsConnection,
    can_read_frames,
)

FIN, MORE = 0x80, 0x00
BAD = b"ab\xff\xfe"
HALF = "☃".encode()[:2]


@pytest.fixture(autouse=True)
def plain_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are masked with zeros, so that what is written can be compared."""
    monkeypatch.setattr("websockets.frames.secrets.token_bytes", bytes)


payloads = st.binary(max_size=140) | st.binary(min_size=LIMIT - 1, max_size=LIMIT + 1)
texts = st.text(max_size=40).map(str.encode) | st.just(b"x" * 126) | st.just(b"y" * LIMIT)
forms = st.sampled_from((0, 0, 0, 126, 127))


@st.composite
def fragments(draw: Any) -> bytes:
    """One message in pieces, with control frames between them; its text may be bad."""
    opcode = draw(st.sampled_from((TEXT, BINARY)))
    pieces = draw(st.lists(st.sampled_from((b"", b"one", HALF, "☃".encode()[2:], BAD)), min_size=2))
    between = draw(st.sampled_from((b"", frame(PING, b"?"), frame(PONG, b"!"))))
    frames = [frame(opcode, pieces[0], bits=MORE)]
    frames += [frame(0x0, piece, bits=MORE) for piece in pieces[1:-1]]
    frames.append(frame(0x0, pieces[-1], bits=FIN))
    return between.join(frames)


plain_frames = st.builds(frame, st.just(TEXT), texts, form=forms) | st.builds(
    frame, st.just(BINARY), payloads, form=forms
)
others = st.one_of(
    fragments(),
    st.builds(frame, st.sampled_from((PING, PONG)), st.binary(max_size=125)),
    st.just(frame(PONG, b"ours")),
    st.builds(compressed, st.sampled_from((TEXT, BINARY)), texts | st.just(BAD)),
)
wrong = st.one_of(
    st.builds(
        frame,
        st.sampled_from((TEXT, BINARY, 0x0)),
        payloads,
        bits=st.sampled_from(range(0, 256, 16)),
    ),
    st.builds(frame, st.integers(0, 15), st.binary(max_size=8), form=forms),
    st.just(frame(TEXT, BAD)),
    st.just(frame(TEXT, HALF)),
    st.just(b"\x81\x85mask12345"),
    st.just(b"\x81\x7f" + b"\xff" * 8),
    st.builds(
        lambda code, reason: frame(CLOSE, code.to_bytes(2, "big") + reason),
        st.sampled_from((999, 1000, 1012, 4401)),
        st.sampled_from((b"", b"bye", BAD)),
    ),
    st.just(frame(CLOSE)),
    st.binary(max_size=6),
)
streams = st.lists(plain_frames | plain_frames | others | wrong, max_size=8).map(b"".join)
good_streams = st.lists(plain_frames | others, min_size=1, max_size=8).map(b"".join)


def split(stream: bytes, places: list[int]) -> list[bytes]:
    """A stream in chunks that end at these places."""
    ends = sorted({min(place, len(stream)) for place in places} | {len(stream)})
    return [stream[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]


places = st.lists(st.integers(0, 1500), max_size=8)


@pytest.mark.parametrize("examples", [60, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_any_stream_split_anywhere(examples: int) -> None:
    """Messages, what is written, and the close seen and sent, are those of plain websockets."""

    @example(
        frame(TEXT, HALF, bits=MORE) + frame(0x0, b"then") + b"\x81\x85mask12345", [8], False, False
    )
    @example(frame(TEXT, b"?", bits=MORE) + frame(TEXT, b"new"), [2], False, False)
    @example(
        frame(TEXT, b"", bits=MORE) + frame(PONG, b"!") + frame(TEXT, b"new"), [], False, False
    )
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(streams | good_streams, places, st.booleans(), st.booleans())
    def agree(stream: bytes, places: list[int], deflate: bool, eof: bool) -> None:
        async def both() -> None:
            expected = await plain(stream, deflate=deflate, eof=eof)
            seen = await pushing(split(stream, places), deflate=deflate, eof=eof)
            assert seen.cut
            if expected.sent != seen.sent and expected.sent and expected.sent[0] == 1009:
                return  # plain websockets counts control frames between fragments as a part
            assert seen == expected
            event(f"sent {expected.sent and expected.sent[0]}, {len(expected.messages)} messages")

        asyncio.run(both())

    agree()


EVERYTHING = b"".join(
    (
        frame(TEXT, b"first"),
        frame(BINARY, bytes(range(130))),
        frame(PING, b"are you there"),
        frame(TEXT, "snow ☃".encode(), form=126),
        frame(TEXT, b"fragm", bits=MORE),
        frame(PONG, b"ours"),
        frame(0x0, b"ents", bits=FIN),
        frame(BINARY, b"long form", form=127),
        compressed(TEXT, b"compressed" * 5),
        frame(TEXT),
        frame(BINARY),
        frame(TEXT, b"last"),
        frame(CLOSE, (1012).to_bytes(2, "big") + b"restart"),
        frame(TEXT, b"too late"),
    )
)


def test_a_chunk_boundary_at_every_byte() -> None:
    """Two chunks, with the boundary at each byte of a stream of all kinds of frames."""

    async def every() -> None:
        expected = await plain(EVERYTHING, deflate=True)
        assert len(expected.messages) == 9 and expected.pong and expected.received
        for place in range(len(EVERYTHING) + 1):
            assert await pushing(split(EVERYTHING, [place]), deflate=True) == expected, place

    asyncio.run(every())


def test_a_chunk_boundary_at_every_byte_of_the_handshake() -> None:
    """What comes in one chunk with the end of the handshake's answer is not lost."""
    welcome = frame(TEXT, b"hello") + frame(TEXT, b"wel", bits=MORE) + frame(0x0, b"come")
    welcome += frame(PING, b"?") + frame(BINARY, b"!")

    async def every() -> None:
        expected = await plain(welcome, deflate=True)
        assert expected.messages == ["hello", "welcome", b"!"]
        for place in range(300):
            seen = await pushing([welcome], deflate=True, handshake=place)
            assert seen.cut and seen.messages == expected.messages, place
            assert seen.written[0] == expected.written[1], place  # before and after our ping

    asyncio.run(every())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_chunks_of_one_size(size: int) -> None:
    """The same stream in chunks of one size."""

    async def play() -> None:
        chunks = [EVERYTHING[at : at + size] for at in range(0, len(EVERYTHING), size)]
        assert await pushing(chunks, deflate=True) == await plain(EVERYTHING, deflate=True)

    asyncio.run(play())


@pytest.mark.parametrize("eof", [False, True])
@pytest.mark.parametrize("length", range(0, 170, 13))
def test_a_stream_that_stops_within_a_frame(length: int, eof: bool) -> None:
    """What is not whole is not delivered, and the end of the stream is told as websockets does."""

    async def play() -> None:
        stream = EVERYTHING[:length]
        assert await pushing([stream] if stream else [], eof=eof) == await plain(stream, eof=eof)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("stream", "sent"),
    [
        (frame(TEXT, b"good") + frame(TEXT, BAD), (1007, "invalid start byte at position 2")),
        (frame(TEXT, HALF), (1007, "unexpected end of data at position 0")),
        (frame(TEXT, bits=MORE) + frame(0x0, BAD), (1007, "invalid start byte at position 2")),
        (frame(BINARY, b"x" * (LIMIT + 1)), (1009, "")),  # each version has another wording
        (frame(TEXT, b"x", bits=0xC0), (1002, "reserved bits must be 0")),
        (b"\x81\x81mask!", (1002, "incorrect masking")),
        (frame(0x3), (1002, "invalid opcode")),
        (frame(0x0, b"of nothing"), (1002, "unexpected continuation frame")),
    ],
)  # fmt: skip
def test_a_failure_is_the_same_code_and_reason(stream: bytes, sent: tuple[int, str]) -> None:
    """The close frame of a failure, and the end that the socket is told of (C16)."""

    async def play() -> None:
        expected = await plain(stream + frame(TEXT, b"after"))
        assert expected.sent is not None and expected.sent[0] == sent[0]
        assert expected.sent[1] == sent[1] or not sent[1]
        for chunks in ([stream + frame(TEXT, b"after")], split(stream, [1, 2, 3, 5, 9])):
            seen = await pushing(chunks)
            assert seen.sent == expected.sent and seen.written == expected.written
            assert seen.messages == expected.messages
            assert seen.end is not None and seen.end.sent == sent[0]
            assert seen.sent is not None and seen.end.reason == seen.sent[1]

    asyncio.run(play())


def test_any_number_of_fragments() -> None:
    """Bytes bound a message, not its pieces: empty ones take no memory."""
    stream = frame(TEXT, b"x", bits=MORE) + frame(0x0, bits=MORE) * 10_000 + frame(0x0, b"y")
    seen = asyncio.run(pushing([stream, frame(TEXT, b"after")]))
    assert seen.messages == ["xy", "after"] and seen.sent is None


@pytest.mark.parametrize("control", [frame(PING, b"p" * 125), frame(PONG, b"p" * 125)])
def test_a_control_frame_is_no_part_of_a_message(control: bytes) -> None:
    """RFC 6455, section 5.4: between fragments it does not count against max_size."""
    begun = frame(TEXT, b"x" * (LIMIT - 1), bits=MORE)
    stream = begun + control * 2 + frame(0x0, b"y")
    for place in range(len(begun), len(stream)):
        seen = asyncio.run(pushing(split(stream + frame(TEXT, b"after"), [place])))
        assert seen.messages == ["x" * (LIMIT - 1) + "y", "after"] and seen.sent is None
    too_much = begun + control + frame(0x0, b"yz")
    assert asyncio.run(pushing([too_much])).sent is not None


@pytest.mark.parametrize("before", [b"", frame(PING), frame(TEXT, b"x", bits=MORE) + frame(PING)])
def test_a_length_that_is_none(before: bytes) -> None:
    """RFC 6455, section 5.2: its highest bit is 0; such a frame would never be whole."""
    messages = Messages()
    reader = FrameReader(messages, None)
    reader.feed(before + b"\x82\x7f" + b"\xff" * 8 + b"more")
    reader.feed(b"and more")
    assert messages.failed == 1002


def test_the_messages_of_one_read_come_as_one_list() -> None:
    """Lists end where the network's reads end, or where the parser had to be asked (batches)."""
    one, two, three = (frame(TEXT, text) for text in (b"1", b"2", b"3"))
    seen = asyncio.run(pushing([one + two + three[:1], three[1:], one + frame(PING) + two + three]))
    assert seen.reads == [["1", "2"], ["3"], ["1"], ["2", "3"]]


class BytesInAnotherWay(WebSocketsConnection, asyncio.BufferedProtocol):
    """What is left of our connection when websockets reads into a buffer of its own."""

    def get_buffer(self, sizehint: int) -> bytearray:
        self._buffer = bytearray(sizehint)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        ClientConnection.data_received(self, bytes(self._buffer[:nbytes]))


def test_without_the_seam_the_parser_gets_everything() -> None:
    """A websockets whose bytes do not come through data_received: slower, the same outcome."""

    async def play() -> None:
        expected = await plain(EVERYTHING, deflate=True)
        chunks = split(EVERYTHING, [10, 20, 99])
        seen = await pushing(chunks, deflate=True, kind=BytesInAnotherWay)
        assert not seen.cut and seen == expected

    asyncio.run(play())


def test_without_word_of_the_parser_nothing_is_cut_out() -> None:
    """A websockets that does not say when its parser has stopped gets all bytes."""

    async def play() -> None:
        connection = WebSocketsConnection(ClientProtocol(parse_uri("ws://localhost/")))
        assert can_read_frames(connection)
        del connection.protocol.parser_exc
        assert not can_read_frames(connection)

    asyncio.run(play())


def test_frames_that_are_logged_go_through_the_parser(caplog: pytest.LogCaptureFixture) -> None:
    """With DEBUG on, the log of websockets shows every frame, so none is cut out."""
    caplog.set_level("DEBUG", "websockets.client")
    seen = asyncio.run(pushing([EVERYTHING], deflate=True))
    assert not seen.cut and len(seen.messages) == 9
    assert sum("< TEXT" in record.getMessage() for record in caplog.records) >= 5


class Messages(list[Any]):
    """What is behind a cutter when nothing is wrong."""

    push = list.extend
    failed: int | None = None

    def leave_to_parser(self, data: bytes, *, between: bool = False) -> bool:
        """It always goes on."""
        return True

    def fail(self, code: int, reason: str) -> None:
        """A rule was broken."""
        self.failed = code


def test_a_large_message_in_many_chunks_is_copied_a_few_times_only() -> None:
    """Of 16 times the size it takes some 16 times as long, not 256 times."""

    def seconds(size: int) -> float:
        stream, taken = frame(BINARY, bytes(size)), []
        for _ in range(3):
            messages = Messages()
            cutter = FrameReader(messages, None)
            start = time.process_time()
            for at in range(0, len(stream), 1024):
                cutter.feed(stream[at : at + 1024])
            taken.append(time.process_time() - start)
            assert len(messages) == 1 and len(messages[0]) == size
        return min(taken)

    assert seconds(2**24) < 100 * seconds(2**20)


def test_a_chunk_of_many_small_frames_is_copied_a_few_times_only() -> None:
    """Frames that are the parser's, between messages, do not copy the rest of the chunk."""

    def seconds(count: int) -> float:
        stream, taken = (frame(PING) + frame(TEXT, b"x")) * count, []
        for _ in range(3):
            messages = Messages()
            cutter = FrameReader(messages, None)
            start = time.process_time()
            cutter.feed(stream)
            taken.append(time.process_time() - start)
            assert len(messages) == count
        return min(taken)

    assert seconds(80_000) < 100 * seconds(5_000)
