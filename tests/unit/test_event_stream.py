"""The parser of event streams does what the specification says, wherever a read ends (C50)."""

from __future__ import annotations

import itertools
import time

import pytest
from event_stream_reference import Reference
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxsocket.sse import EventText, event_id, event_type
from rxsocket.transports.event_stream import EventStreamParser

ENDS = (b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r")
WORDS = (
    b"data",
    b"data:",
    b"data: ",
    b"data:  ",
    b" data:",
    b"dataa: x",
    b"data: one",
    b"data:two",
    b"event: trade",
    b"event:",
    b"event",
    b"id: 7",
    b"id",
    b"id:",
    b"id: a\0b",
    b"retry: 10",
    b"retry: 007",
    b"retry: +5",
    b"retry: ",
    b"retry: \xd9\xa1",
    b"retry: 99999999999999999999",
    b": ping",
    b":",
    b"unknown: x",
    b"\xef\xbb\xbf",
    "data: grüße €😀\u2028\x85\x0b".encode(),
    b"data: \xff\xf0\x9f",
    b"\xe2\x82",
    b"",
    b"\0",
)
PIECES = st.sampled_from((*WORDS, *ENDS, *ENDS, b"data: {}\n\n", b"data: 1\r\n\r\n"))
STREAMS = st.lists(PIECES, max_size=25).map(b"".join)


def parts(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream, cut at some places."""
    at = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[one:other] for one, other in itertools.pairwise(at)]


def played(parser: EventStreamParser, chunks: list[bytes]) -> list[tuple[str, str, str]]:
    """What comes of a stream in these pieces: type, data and id of each event."""
    messages = [message for chunk in chunks for message in parser.feed(chunk)]
    return [(event_type(one), str(one), event_id(one)) for one in messages]


@settings(max_examples=150)
@given(STREAMS, st.lists(st.integers(0, 400), max_size=6), st.sampled_from(("", "7", "ü")))
@example(b"\xef\xbb\xbfdata: 1\n\n", [1, 2, 3], "")
@example(b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n", [4], "")
@example(b"data: 1\r\n\r\ndata: 2\r\r\n\n", list(range(20)), "")
@example(b"id\n\ndata: 1\n\ndata: 2\n\n", [], "7")
@example(b"id\ndata: 1\n\ndata: 2\n\n", [3], "7")
@example(b"data\n\ndata\ndata\n\ndata:", [], "")
@example(b"data: a\n\ndata: b\n: c\n\ndata: d\n\n", [], "")
def test_the_parser_agrees_with_the_specification(
    stream: bytes, cuts: list[int], last_event_id: str
) -> None:
    """Whatever the bytes are and wherever they are cut, the events are those of the reference."""
    expected = Reference(last_event_id=last_event_id).read(stream)
    parser = EventStreamParser(None, last_event_id)
    assert played(parser, parts(stream, cuts)) == expected.events
    assert parser.last_event_id == expected.last_event_id
    assert parser.retry == expected.retry and not parser.failure


@settings(max_examples=150)
@given(STREAMS, st.lists(st.integers(0, 400), max_size=6), st.integers(1, 24))
@example(b"data: 12345\ndata: 67890\n\n", [], 11)
@example(b"data: 12345\ndata: 67890\n\n", [], 10)
@example(b"data: 1\n\n:" + 40 * b"x", [9, 20], 5)
def test_the_bound(stream: bytes, cuts: list[int], max_size: int) -> None:
    """With a bound, the same events come until something is larger, however it is cut."""
    expected = Reference(max_size=max_size).read(stream)
    parser = EventStreamParser(max_size)
    assert played(parser, parts(stream, cuts)) == expected.events
    assert bool(parser.failure) == expected.failed


@given(STREAMS)
@settings(max_examples=50)
def test_one_byte_at_a_time(stream: bytes) -> None:
    """Each boundary there is."""
    expected = Reference().read(stream)
    parser = EventStreamParser()
    assert played(parser, [bytes((byte,)) for byte in stream]) == expected.events


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_the_examples_of_the_specification(end: str) -> None:
    """Section 9.2.6 of the HTML standard, with each of the three line ends."""

    def events(*lines: str) -> list[tuple[str, str, str]]:
        return played(EventStreamParser(), [end.join((*lines, "")).encode()])

    assert events("data: YHOO", "data: +2", "data: 10", "") == [("message", "YHOO\n+2\n10", "")]
    four = (": test stream", "", "data: first event", "id: 1", "", "data:second event", "id", "")
    assert events(*four, "data:  third event", "") == [
        ("message", "first event", "1"),
        ("message", "second event", ""),
        ("message", " third event", ""),
    ]
    assert events("data", "", "data", "data", "", "data:") == [
        ("message", "", ""),
        ("message", "\n", ""),
    ]
    assert events("data:test", "", "data: test", "") == [("message", "test", "")] * 2


def test_an_event_is_there_with_its_blank_line() -> None:
    """After CR CR nobody waits for a LF that may follow."""
    parser = EventStreamParser()
    assert parser.feed(b"data: 1\r\r") == ["1"]
    assert parser.feed(b"\n") == []
    assert parser.feed(b"data: 2\r") == []
    assert parser.feed(b"\n\r") == ["2"]


def test_what_has_neither_type_nor_id_is_a_plain_string() -> None:
    """That is what makes a stream of mere data quick; an id goes on until another one."""
    plain, with_id, after_it = EventStreamParser().feed(b"data: 1\n\nid: 7\ndata: 2\n\ndata: 3\n\n")
    assert type(plain) is str
    assert type(with_id) is type(after_it) is EventText and event_id(after_it) == "7"


def test_large_events_in_small_pieces_take_no_time() -> None:
    """It takes as long as there are bytes, not as their square."""
    line = EventStreamParser(2**20)
    lines = EventStreamParser(2**20)
    began = time.process_time()
    for _ in range(30_000):
        line.feed(b"data: 7890")
        lines.feed(b"data:\n")
    assert len(line.feed(b"\n\n")[0]) == 10 * 30_000 - 6
    assert len(lines.feed(b"\n")[0]) == 30_000 - 1
    assert time.process_time() - began < 3.0
