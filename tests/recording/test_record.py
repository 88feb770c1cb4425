"""``record()``: what is in the file, and what is not."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from rxsocket import Event, Message, ObserverFailed, Opened, Socket, State, header, query
from rxsocket import json as json_codec
from rxsocket.recording import BadRecording, record, replay, writer
from rxsocket.recording.format import AuthSeen, LostMessages
from rxsocket.recording.reader import read_entries
from rxsocket.recording.writer import size_in_memory
from rxsocket.testing import VirtualClock, accept, fake, reject, server

SECRET = "s3cr3t/wörd-7f3a"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_it_only_looks(clock: VirtualClock, tmp_path: Path) -> None:
    """Recording does not connect, and keeps nobody connected (C1)."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    recorder = record(socket, tmp_path / "session.jsonl")
    clock.advance(1)
    assert feed.dials == 0 and socket.state.value is State.IDLE
    held = socket.connect()
    clock.advance(1)
    held.dispose()
    clock.advance(1)
    assert socket.state.value is State.IDLE
    recorder.dispose()
    assert [line["type"] for line in lines(recorder.path)] == [
        "Header",
        "AuthSeen",
        "Connecting",
        "Opened",
        "Closed",
        "End",
    ]


def test_the_first_messages_are_held_all_the_same(clock: VirtualClock, tmp_path: Path) -> None:
    """Who subscribes to the messages later still gets the first ones (C4), recorder or not."""
    feed = fake(accept().send("welcome"))
    socket = Socket(feed.url, transport=feed)
    with record(socket, tmp_path / "session.jsonl") as recorder:
        held = socket.connect()
        clock.advance(1)
        received: list[Any] = []
        subscription = socket.messages.subscribe(received.append)
        assert received == ["welcome"]
        subscription.dispose()
        held.dispose()
        clock.advance(1)
    assert recorder.messages == 1


def test_every_event_is_a_line(clock: VirtualClock, tmp_path: Path) -> None:
    """Events, binary payloads, changes of the credential: in the order in which they came."""
    feed = fake(accept().send("text", b"\x00\xff").close(1012), tokens={"tok-a", "tok-b"})
    socket = Socket(feed.url + "?room=7", auth={"token": "tok-a"}, transport=feed)
    events: list[Event] = []
    with record(socket, tmp_path / "session.jsonl") as recorder:
        socket.events.subscribe(events.append)
        clock.advance(10)
        socket.set_auth({"token": "tok-b"})
        clock.advance(1)
        socket.set_auth({"token": "tok-a"})
        clock.advance(1)
        socket.close()
        clock.advance(1)
    written = lines(recorder.path)
    head, auth, *_ = written
    assert head["version"] == 1 and head["url"] == "ws://fake.test/?room=***"
    assert auth["names"] == ["token"]
    assert [line["credential"] for line in written if line["type"] == "AuthSeen"] == [1, 2, 1]
    assert [line["base64"] for line in written if "base64" in line] == ["AP8="]
    kinds = [line["type"] for line in written if line["type"] not in ("Header", "AuthSeen", "End")]
    assert kinds == [type(event).__name__ for event in events]
    assert [line["at"] for line in written if line["type"] in kinds] == [e.at for e in events]


@pytest.mark.parametrize("carrier", [query(), header(), header("X-Key", scheme=None)])
@pytest.mark.parametrize("name", ["session.jsonl", "session.jsonl.gz"])
def test_no_credential_is_in_the_file(carrier: Any, name: str, tmp_path: Path) -> None:
    """Not even when the server repeats it: in a text, in bytes, in a reason, in an error (C28)."""
    # Not hexadecimal: the file has a random id, in which a few such digits come up by chance.
    first, second = "first-s3cr3t%zq7v", "second-s3cr3t-zq7v"
    echo = f'{{"hello": "{first}"}}'
    welcome = accept().send(echo, echo.encode(), "first-s3cr3t%25zq7v").stay()

    def bad_observer(event: object) -> None:
        raise ValueError(f"the token {first} is bad")

    with server(welcome) as feed:
        feed.default = accept().send(f"you are {second}").close(4401, second)
        socket = Socket(feed.url, auth={"token": first}, carrier=carrier, compression=None)
        with record(socket, tmp_path / name) as recorder:
            socket.messages.subscribe(lambda _: None)  # who raises leaves, and may be alone
            socket.opens.subscribe(bad_observer)
            feed.wait_for(lambda s: s.live)
            wait_for(lambda: recorder.messages == 3)
            socket.set_auth({"token": second})
            wait_for(lambda: socket.state.value is State.AWAITING_AUTH)
            socket.close().result(5)
            recorder.wait(5)
    kept = list(read_entries(recorder.path))
    text = repr(kept) + "".join(repr(event.data) for event in kept if isinstance(event, Message))
    assert sum("***" in repr(entry) for entry in kept) >= 5
    assert any(isinstance(entry, ObserverFailed) for entry in kept)
    for secret in ("s3cr3t", "zq7v", first, second):
        assert secret not in text
        assert secret.encode() not in recorder.path.read_bytes()


def wait_for(happened: Any, timeout: float = 8.0) -> None:
    until = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.005)


def test_other_secrets_are_masked_by_a_function(
    clock: VirtualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """``mask=`` sees each payload; when it raises, the payload is left out, of the log too."""
    feed = fake(accept().send("password=hunter2", "plain", "boom 4711"))
    socket = Socket(feed.url, transport=feed)

    def mask(payload: str) -> str:
        if payload.startswith("boom"):
            raise ValueError(payload)
        return payload.replace("hunter2", "?")

    with record(socket, tmp_path / "session.jsonl", mask=mask) as recorder, socket:
        clock.advance(1)
    data = [entry.data for entry in read_entries(recorder.path) if isinstance(entry, Message)]
    assert data == ["password=?", "plain", "***"]
    assert "mask= raised ValueError" in caplog.text and "4711" not in caplog.text


def test_what_a_codec_decoded_is_masked(clock: VirtualClock, tmp_path: Path) -> None:
    """A credential is found in decoded payloads, too, in their texts and keys (C28)."""
    feed = fake(accept().send(f'{{"echo": ["{SECRET}"], "{SECRET}": 1, "price": 2.5}}'))
    socket = Socket(feed.url, auth={"token": SECRET}, transport=feed, codec=json_codec())
    with record(socket, tmp_path / "session.jsonl") as recorder, socket:
        clock.advance(1)
    data = [e.data for e in read_entries(recorder.path) if isinstance(e, Message)]
    assert data == [{"echo": ["***"], "***": 1, "price": 2.5}]


@pytest.mark.parametrize(
    ("payload", "written"),
    [
        ('{"price": 123456, "by": "123456"}', '{"price": "***", "by": "***"}'),
        ('{"price": 0.1234567}', '{"price": "***"}'),
        ("[123456]", '["***"]'),
        ('{"a": "12", "b": 7}', '{"a": "12", "b": 7}'),
        ("code 123456 is yours", "code *** is yours"),
        ('{"code": 123456', '{"code": ***'),
    ],
)
def test_masked_json_is_still_json(
    clock: VirtualClock, tmp_path: Path, payload: str, written: str
) -> None:
    """A value of digits may turn up as a number: what is written instead can be parsed."""
    feed = fake(accept().send(payload))
    socket = Socket(feed.url, auth={"token": "123456"}, transport=feed)
    with record(socket, tmp_path / "session.jsonl") as recorder, socket:
        clock.advance(1)
    assert [e.data for e in read_entries(recorder.path) if isinstance(e, Message)] == [written]


def test_flags_and_words_of_json_stay(clock: VirtualClock, tmp_path: Path) -> None:
    """C28: whatever an entry is called, a recording of JSON keeps its booleans and null."""
    payload = '{"live": true, "dead": false, "last": null, "auth": "true", "key": "a***b"}'
    feed = fake(accept().send(payload))
    auth = {"token": "true", "key": "null", "auth": "False", "live": True, "secret": "None"}
    socket = Socket(feed.url, auth=auth, transport=feed)
    with record(socket, tmp_path / "session.jsonl") as recorder, socket:
        clock.advance(1)
    assert [e.data for e in read_entries(recorder.path) if isinstance(e, Message)] == [payload]


def test_a_credential_of_before_the_recording_is_masked(
    clock: VirtualClock, tmp_path: Path
) -> None:
    """The server may repeat one that was replaced before the recording began (C28)."""
    feed = fake()
    socket = Socket(feed.url, auth={"token": SECRET}, transport=feed)
    held = socket.connect()
    clock.advance(1)
    socket.set_auth({"token": "another"})
    clock.advance(1)
    with record(socket, tmp_path / "session.jsonl") as recorder:
        feed.push(f"you were {SECRET}")
        clock.advance(1)
    held.dispose()
    clock.advance(1)
    data = [e.data for e in read_entries(recorder.path) if isinstance(e, Message)]
    assert data == ["you were ***"]


def test_control_characters_stay_in_their_line(clock: VirtualClock, tmp_path: Path) -> None:
    """A line break, an escape sequence or half a surrogate pair forges no line, and is kept."""
    odd = 'a\n{"type": "End", "at": 0}\r\x1b[31m\u2028\ud800'
    feed = fake(accept().send(odd).close(4000, odd))
    socket = Socket(feed.url, transport=feed)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    with record(socket, tmp_path / "session.jsonl") as recorder:
        clock.advance(0.5)
        socket.close()
        clock.advance(1)
    kept = [e for e in read_entries(recorder.path) if not isinstance(e, AuthSeen)]
    assert kept == events
    assert all(line.isprintable() for line in recorder.path.read_text("ascii").splitlines())


def test_a_short_value_masks_nothing(clock: VirtualClock, tmp_path: Path) -> None:
    """A value such as ``7`` is no secret that could be told from other text."""
    feed = fake(accept().send("7 days"))
    socket = Socket(feed.url, auth={"token": "abc", "device": 7}, transport=feed)
    with record(socket, tmp_path / "session.jsonl") as recorder, socket:
        clock.advance(1)
    assert [e.data for e in read_entries(recorder.path) if isinstance(e, Message)] == ["7 days"]


@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz"])
def test_rotation_by_size(clock: VirtualClock, tmp_path: Path, name: str) -> None:
    """A big recording is several files, which are read as one."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    noise = random.Random(1)
    sent = [f"{number} {noise.randbytes(80).hex()}" for number in range(2000)]
    with record(socket, tmp_path / name, rotate_size=40_000) as recorder, socket:
        clock.advance(1)
        feed.push(*sent)
        clock.advance(1)
    files = sorted(tmp_path.iterdir())
    assert len(files) > 2
    assert {path.name.partition(".")[2] for path in files} >= {name.partition(".")[2]}
    received: list[Any] = []
    replay(tmp_path / name, "max").events.subscribe(received.append)
    clock.advance(0)
    assert [event.data for event in received if isinstance(event, Message)] == sent
    assert recorder.size == sum(path.stat().st_size for path in files)
    files[1].unlink()
    with pytest.raises(BadRecording, match="part 3 of the recording is missing"):
        replay(tmp_path / name)
    received.clear()
    replay(tmp_path / name, "max", partial=True).events.subscribe(received.append)
    clock.advance(0)
    assert 0 < len(received) < 2000
    with pytest.raises(BadRecording, match="pass the path of part 1"):
        replay(files[0])


def test_rotation_by_age(clock: VirtualClock, tmp_path: Path) -> None:
    """A file that is old enough is followed by the next one."""
    feed = fake()
    socket = Socket(feed.url, transport=feed, ping_interval=None)
    with record(socket, tmp_path / "s.jsonl", rotate_after=3600) as recorder, socket:
        for _ in range(3):
            clock.advance(3600)
            feed.push("tick")
            clock.advance(0)
            size = recorder.size
            wait_for(lambda size=size: recorder.size > size)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "s.0002.jsonl",
        "s.0003.jsonl",
        "s.0004.jsonl",
        "s.jsonl",
    ]
    assert sum(isinstance(entry, Message) for entry in read_entries(recorder.path)) == 3


KILLED = """
import sys
from rxsocket import Socket
from rxsocket.recording import record

socket = Socket(sys.argv[1])
recorder = record(socket, sys.argv[2])
socket.messages.subscribe(lambda text: print(text, flush=True))
socket.wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz"])
def test_a_killed_process_loses_its_last_second_at_most(tmp_path: Path, name: str) -> None:
    """What was received a second before SIGKILL can be played; the cut is told."""
    path = tmp_path / name
    with server(accept().send("early")) as feed:
        command = [sys.executable, "-c", KILLED, feed.url, str(path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"early\n"
            time.sleep(1.0)  # the promise itself: what came a second ago is in the file
            feed.push(*["late"] * 100)
            assert process.stdout.readline() == b"late\n"
            process.send_signal(signal.SIGKILL)
    with pytest.raises(BadRecording, match=r"line \d+: .*its process was killed"):
        replay(path)
    received: list[Event] = []
    replay(path, "max", partial=True).events.subscribe(received.append)
    assert [type(event).__name__ for event in received[:3]] == ["Connecting", "Opened", "Message"]


def test_a_file_that_is_there_is_not_lost(tmp_path: Path) -> None:
    """Without ``overwrite=True`` nothing is replaced; the file is for its owner alone."""
    path = tmp_path / "s.jsonl"
    socket = Socket("ws://example.test/")
    record(socket, path).dispose()
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        record(socket, path)
    assert path.read_bytes() == before
    record(socket, path, overwrite=True).dispose()
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rotate_size": 0}, "rotate_size: pass bytes"),
        ({"rotate_after": -1}, "rotate_after: pass a number of seconds"),
        ({"mask": "x"}, "mask: pass a function"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: str, tmp_path: Path) -> None:
    """They are told at once, and no file is left."""
    with pytest.raises((TypeError, ValueError), match=error):
        record(Socket("ws://example.test/"), tmp_path / "s.jsonl", **options)
    with pytest.raises(TypeError, match="socket: pass a Socket"):
        record("ws://example.test/", tmp_path / "s.jsonl")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_what_comes_too_fast_is_counted(
    clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The buffer is bounded; what does not fit is a number in the file, and events are kept."""
    monkeypatch.setattr(writer, "MAX_ENTRIES", 10)
    monkeypatch.setattr(writer, "PERIOD", 60.0)
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    with record(socket, tmp_path / "s.jsonl") as recorder, socket:
        socket.messages.subscribe(lambda _: None)
        clock.advance(1)
        feed.push(*map(str, range(100)))
        clock.advance(1)
    kept = list(read_entries(recorder.path))
    messages = [entry for entry in kept if isinstance(entry, Message)]
    lost = [entry.count for entry in kept if isinstance(entry, LostMessages)]
    assert 0 < len(messages) < 10 and len(messages) + sum(lost) == 100
    assert recorder.lost == sum(lost) and recorder.messages == 100
    assert [type(entry).__name__ for entry in kept[-2:]] == ["Closed", "Ended"]
    assert any(isinstance(entry, Opened) for entry in kept)


class Point(msgspec.Struct):
    name: str
    more: list[bytes]


@dataclass
class Node:
    text: str
    other: Any = None


def test_the_size_of_a_decoded_payload_is_that_of_all_in_it() -> None:
    """Whatever a codec makes: mappings, lists, structs, dataclasses, also in a circle."""
    big = "x" * 100_000
    circle = Node(big)
    circle.other = [circle]
    for value in (
        {"a": {"b": [big]}},
        {big: 1},
        (b"y" * 100_000, None),
        Point("p", [b"z" * 100_000]),
        circle,
        MappingProxyType({"a": big}),
    ):
        assert 100_000 <= size_in_memory(value) < 110_000
    assert size_in_memory(big) == 100_000


def test_decoded_payloads_count_by_their_size(
    clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits to be written is bounded in bytes, with a codec, too."""
    monkeypatch.setattr(writer, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(writer, "PERIOD", 60.0)
    feed = fake()
    socket = Socket(feed.url, transport=feed, codec=json_codec())
    with record(socket, tmp_path / "s.jsonl") as recorder, socket:
        socket.messages.subscribe(lambda _: None)
        clock.advance(1)
        feed.push(*[json.dumps({"text": "x" * 100_000})] * 20)
        clock.advance(1)
    assert recorder.messages == 20 and 10 <= recorder.lost <= 12


def test_events_that_a_server_can_cause_at_will_are_counted(
    clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C32: they wait no longer than messages do."""
    monkeypatch.setattr(writer, "MAX_ENTRIES", 50)
    monkeypatch.setattr(writer, "PERIOD", 60.0)
    feed = fake(accept().send(*["{"] * 1000).close(1000))
    socket = Socket(feed.url, transport=feed, codec=json_codec())
    with record(socket, tmp_path / "s.jsonl") as recorder:
        socket.messages.subscribe(lambda _: None)
        clock.advance(1)
    kept = [type(entry).__name__ for entry in read_entries(recorder.path)]
    assert 0 < kept.count("DecodeFailed") < 60 and 900 < recorder.lost < 1000
    assert kept[-2:] == ["Closed", "Ended"]


def test_a_full_disk_ends_the_recording_and_nothing_else(
    clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is on ``errors`` (C23), ``wait()`` raises it, and the socket goes on."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    problems: list[object] = []
    socket.errors.subscribe(problems.append)
    recorder = record(socket, tmp_path / "s.jsonl")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._writer._file, "write_lines", full)
    held = socket.connect()
    clock.advance(1)
    with pytest.raises(OSError, match="No space left"):
        recorder.wait(5)
    feed.push("more")
    clock.advance(1)
    assert [problem.error.errno for problem in problems] == [28]  # type: ignore[attr-defined]
    assert socket.state.value is State.OPEN
    held.dispose()
    clock.advance(1)


def test_in_a_coroutine(tmp_path: Path) -> None:
    """``async with`` returns when the file is whole, and never blocks the loop."""

    async def main() -> Path:
        with server(accept().send("hello")) as feed:
            socket = Socket(feed.url)
            async with record(socket, tmp_path / "s.jsonl") as recorder, socket:
                opened = asyncio.Event()
                socket.messages.subscribe(lambda _: opened.set())
                await opened.wait()
        return recorder.path

    path = asyncio.run(main())
    assert [e.data for e in read_entries(path) if isinstance(e, Message)] == ["hello"]


def test_the_end_of_the_program_ends_the_file(tmp_path: Path) -> None:
    """A script that just ends leaves a whole file."""
    path = tmp_path / "s.jsonl"
    script = (
        "import sys; from rxsocket import Socket; from rxsocket.recording import record\n"
        "recorder = record(Socket('ws://example.test/'), sys.argv[1])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)
    assert replay(path).url == "ws://example.test/"


def test_a_refused_handshake_is_kept_with_its_kind(clock: VirtualClock, tmp_path: Path) -> None:
    """What failed compares equal to what failed then."""
    feed = fake(reject(503, {"Retry-After": "3"}), accept())
    socket = Socket(feed.url, transport=feed)
    seen: list[Event] = []
    socket.events.subscribe(seen.append)
    with record(socket, tmp_path / "s.jsonl") as recorder:
        clock.advance(10)
        socket.close()
        clock.advance(1)
    failed = [entry for entry in read_entries(recorder.path) if "ConnectFailed" in repr(entry)]
    assert failed == [event for event in seen if "ConnectFailed" in repr(event)]
    assert failed[0].error.retry_after == "3"  # type: ignore[union-attr]
