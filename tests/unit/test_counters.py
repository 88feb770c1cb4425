"""Bytes are those of payloads, however the messages came (C45)."""

from __future__ import annotations

from typing import Any

from byte_stream_client import BINARY, PING, TEXT, compressed, frame
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.publishing.counters import Counters
from rxsocket.transports.base import Batch
from rxsocket.transports.frame_reader import FrameReader

texts = st.text(max_size=300)
messages = st.lists(texts, max_size=30) | st.lists(texts | st.binary(max_size=300), max_size=30)


def size(message: str | bytes) -> int:
    return len(message.encode()) if isinstance(message, str) else len(message)


class Behind:
    """Keeps the lists that a frame reader makes; its parser goes on after anything."""

    def __init__(self) -> None:
        self.lists: list[list[str | bytes]] = []

    def push(self, messages: list[str | bytes], /) -> None:
        self.lists.append(messages)

    def leave_to_parser(self, data: bytes, /, *, between: bool = False) -> bool:
        return True

    def fail(self, code: int, reason: str, /) -> None:
        """Nothing comes after that."""


@given(messages)
def test_any_messages(messages: list[str | bytes]) -> None:
    """Text and binary ones, few and many: the sum of their sizes, of text in UTF-8."""
    counters = Counters()
    counters.on_read(messages)
    assert counters.messages_received == len(messages)
    assert counters.bytes_received == sum(map(size, messages))


def test_text_that_is_none() -> None:
    """Half a surrogate pair, as a transport of a user's may give it, breaks nothing."""
    counters = Counters()
    counters.on_read(["\ud800"])
    counters.on_read(["\ud800"] * 10)
    assert (counters.messages_received, counters.bytes_received) == (11, 33)


@given(
    st.lists(
        st.builds(frame, st.just(TEXT), st.text(max_size=150).map(str.encode))
        | st.builds(frame, st.just(BINARY), st.binary(max_size=150))
        | st.builds(frame, st.just(BINARY), st.integers(125, 300).map(bytes))
        | st.builds(frame, st.just(BINARY), st.integers(65_530, 65_540).map(bytes))
        | st.builds(frame, st.just(PING), st.just(b"?"))
        | st.builds(compressed, st.just(TEXT), st.just(b"compressed"))
        | st.just(frame(TEXT, b"\xff")),
        max_size=12,
    ),
    st.lists(st.integers(0, 200_000), max_size=6),
)
def test_a_batch_knows_its_bytes(frames: list[bytes], places: list[int]) -> None:
    """Wherever the stream is cut, what a batch says is what its messages have."""
    stream: Any = b"".join(frames)
    ends = sorted({min(place, len(stream)) for place in places} | {len(stream)})
    behind = Behind()
    reader = FrameReader(behind, 100_000)
    for start, end in zip([0, *ends], ends, strict=False):
        reader.feed(stream[start:end])
    for batch in behind.lists:
        if isinstance(batch, Batch):
            assert batch.size == sum(map(size, batch))
