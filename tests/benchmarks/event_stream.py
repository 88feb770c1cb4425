"""How long the parser of event streams takes, beside those of other clients of the index.

Run it with ``python tests/benchmarks/event_stream.py``, with as many of ``httpx-sse``, ``httpx2``,
``sseclient-py`` and ``launchdarkly-eventsource`` installed as are to be compared. Each is given the
same bytes in the same pieces, and does all that it does between the bytes and its events; nothing
moves them. Of the others that is their inner parser: how they are asked is below. The best of many
runs, in turn.

The bytes' own cost is what ``bytes.splitlines`` takes, and what it takes to make text of them and
split that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rxsocket.transports.event_stream import EventStreamParser

RUNS = 40
PIECE = 64 * 2**10

_TRADE = (
    b'{"id": 12345, "price": 101.25, "size": 3, "symbol": "BTC-USD", "side": "buy", '
    b'"time": 1735689600.123}'
)
_TOKEN = b'{"choices": [{"index": 0, "delta": {"content": "' + b"word " * 40 + b'"}}]}'
STREAMS = {
    "data": b"data: " + _TRADE + b"\n\n",
    "long data": b"data: " + _TOKEN + b"\n\n",
    "type, id": b"id: 12345\nevent: trade\ndata: " + _TRADE + b"\n\n",
    "CRLF": b"id: 12345\r\nevent: trade\r\ndata: " + _TRADE + b"\r\n\r\n",
    "two lines": b"data: " + _TRADE + b"\ndata: " + _TRADE + b"\n\n",
}

Parse = Callable[[list[bytes]], Iterable[Any]]


def rxsocket(pieces: list[bytes]) -> Iterable[Any]:
    parser = EventStreamParser(2**20)
    return [message for piece in pieces for message in parser.feed(piece)]


def httpx_sse(pieces: list[bytes]) -> Iterable[Any]:
    decoders: Any = import_module("httpx_sse._decoders")
    import codecs

    text, lines = codecs.getincrementaldecoder("utf-8")("replace"), decoders.SSELineDecoder()
    decode = decoders.SSEDecoder().decode
    every = (line for piece in pieces for line in lines.decode(text.decode(piece)))
    return [event for line in every if (event := decode(line)) is not None]


def httpx2(pieces: list[bytes]) -> Iterable[Any]:
    import codecs

    module: Any = import_module("httpx2._sse")
    text, parser = codecs.getincrementaldecoder("utf-8")("replace"), module._SSEParser(2**20)
    return [event for piece in pieces for event in parser.decode(text.decode(piece))]


def sseclient(pieces: list[bytes]) -> Iterable[Any]:
    return list(import_module("sseclient").SSEClient(pieces).events())


def ld_eventsource(pieces: list[bytes]) -> Iterable[Any]:
    reader: Any = import_module("ld_eventsource.reader")
    return list(
        reader._SSEReader(reader._BufferedLineReader.lines_from(pieces)).events_and_comments()
    )


OTHERS: dict[str, Parse] = {
    name: parse
    for name, parse in (
        ("httpx_sse", httpx_sse),
        ("httpx2", httpx2),
        ("sseclient", sseclient),
        ("ld_eventsource", ld_eventsource),
    )
    if find_spec(name)
}


def split_bytes(pieces: list[bytes]) -> Iterable[Any]:
    return [line for piece in pieces for line in piece.splitlines()]


def split_text(pieces: list[bytes]) -> Iterable[Any]:
    return [line for piece in pieces for line in piece.decode(errors="replace").splitlines()]


def cut(event: bytes) -> tuple[list[bytes], int]:
    """A stream of such events in pieces as they come from the network, and their number."""
    count = 4 * PIECE // len(event)
    stream = event * count
    return [stream[at : at + PIECE] for at in range(0, len(stream), PIECE)], count


def measure(event: bytes, runs: int = RUNS) -> dict[str, float]:
    """Nanoseconds for each event, by who reads them."""
    pieces, count = cut(event)
    contestants: dict[str, Parse] = {
        "bytes split": split_bytes,
        "text split": split_text,
        "rxsocket": rxsocket,
        **OTHERS,
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(runs):
        for name, parse in contestants.items():
            start = time.perf_counter()
            events = parse(pieces)
            best[name] = min(best[name], time.perf_counter() - start)
            if "split" not in name:
                assert len(list(events)) == count, name
    return {name: spent / count * 1e9 for name, spent in best.items()}


def main() -> None:
    """Print a line for each kind of stream."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    for kind, event in STREAMS.items():
        found = measure(event, runs)
        listed = "  ".join(f"{name} {spent:.0f}" for name, spent in found.items())
        print(f"{kind:10} {listed}  ns an event")


if __name__ == "__main__":
    main()
