"""The types of the test kit and of recordings, as mypy and pyright see them."""

from __future__ import annotations

from typing import Any, assert_type

from reactivex import Observable
from reactivex.testing import TestScheduler

from rxsocket import Credential, Event, Opened, Request, Signal, Socket, json_codec
from rxsocket.recording import Recorder, Replay, record, replay
from rxsocket.testing import (
    Faults,
    Watch,
    assert_marbles,
    corrupt,
    drop_every,
    fake,
    faults,
    marbles,
    refuse,
    server,
    slow,
    watch,
)


def recorded(socket: Socket) -> None:
    with record(socket, "s.jsonl", rotate_size=10**6, rotate_after=3600) as recorder:
        assert_type(recorder, Recorder)
        assert_type(recorder.messages, int)
        assert_type(recorder.last, Event | None)
        assert_type(recorder.wait(1), bool)
    record(socket)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def replayed(request: Request) -> None:
    recording = replay("s.jsonl", "max", TestScheduler(), partial=True)
    assert_type(recording, Replay)
    assert_type(recording.events, Observable[Event])
    assert_type(recording.auth, Observable[Credential])
    assert_type(recording.socket(), Socket)
    assert_type(recording(request), Observable[Signal])
    Socket("ws://host/", transport=recording, auth=recording.auth)
    assert_type(recording.frame(library="polars", codec=None), Any)
    recording.to_parquet("s.parquet", codec=json_codec())
    recording.frame(library="dask")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    replay("s.jsonl", "fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def watched(socket: Socket) -> None:
    seen = watch(socket)
    assert_type(seen, Watch)
    assert_type(seen.wait(Opened), Opened)
    assert_type(seen.of(Opened), list[Opened])
    assert_type(seen.messages, list[Any])
    assert_type(marbles(seen, "opens", tick=0.5), str)
    assert_marbles(seen, "opens  o--o", values={"a": {"op": "a"}}, auth={"A": "token"})


def faulty() -> None:
    feed = fake()
    Socket(feed.url, transport=drop_every(3)(slow(0.1)(corrupt(every=2)(refuse(503)(feed)))))
    network = faults(feed)
    assert_type(network, Faults)
    Socket(feed.url, transport=network)


def by_hand() -> None:
    with server() as feed:
        assert_type(feed.expect("a"), str | bytes)
        feed.reject(503, times=2)
        feed.delay(1)
