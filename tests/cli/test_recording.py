"""``rxsocket record`` and ``rxsocket replay``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Run
from deadlines import took
from reactivex import operators as ops
from terminal import Terminal

from rxsocket import Message, Socket
from rxsocket.recording import record, replay
from rxsocket.testing import accept, clock, fake, reject, server

CANARY = "c4n4ry-7f3a"
ENV = {"CANARY": CANARY}
AUTH = ("--auth", "token=env:CANARY")


def messages(path: Path) -> list[object]:
    events = replay(path, "max").events.pipe(ops.to_list()).run()
    return [event.data for event in events if isinstance(event, Message)]


@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz"])
def test_a_session_into_a_file_and_out_of_it(run: Run, tmp_path: Path, name: str) -> None:
    """Progress goes to stderr; no credential goes anywhere; the messages come out again."""
    path = tmp_path / name
    with server(accept().send("one", b"\x00", CANARY).close(1000), tokens=[CANARY]) as s:
        recorded = run("record", s.url, str(path), *AUTH, environment=ENV)
    assert (recorded.code, recorded.out) == (0, [])
    assert any("Opened" in line for line in recorded.err)
    assert re.search(
        r"3 messages, 0\.00 MB in \d+\.\d s, .*; 1 connection, \d\.\d s without one",
        recorded.err[-1],
    )
    assert CANARY not in recorded.text
    assert messages(path) == ["one", b"\x00", "***"]
    played = run("replay", str(path), "--speed", "max")
    assert (played.code, played.out) == (0, ["one", "<1 bytes: 00>", "***"])
    assert any("Closed" in line for line in played.err)
    lines = run("replay", str(path), "--speed", "100", "--json")
    assert lines.code == 0
    kinds = [json.loads(line)["type"] for line in lines.out]
    assert kinds == ["Connecting", "Opened", *["Message"] * 3, "Closed", "Ended"]


def test_ctrl_c_leaves_a_whole_file(tmp_path: Path) -> None:
    """It ends with 130 within a second, and says goodbye to the server."""
    path = tmp_path / "s.jsonl"
    with server(accept().send("one")) as s:
        with Terminal("record", s.url, str(path)) as terminal:
            terminal.until("messages/s, last: Message")
            seconds = terminal.interrupt()
            assert terminal.end() == 130
            took(seconds, 1.5)
            assert "Traceback" not in terminal.text
        s.wait_for(lambda s: s.closes)
        assert s.closes[0].code == 1000
    assert messages(path) == ["one"]


def test_a_line_of_stdin_changes_the_credential(tmp_path: Path) -> None:
    """As with ``listen``; the count ends it."""
    path = tmp_path / "s.jsonl"
    with server(tokens=[CANARY, "second-token"]) as s:
        arguments = ("record", s.url, str(path), *AUTH, "--count", "1")
        with Terminal(*arguments, environment=ENV) as terminal:
            terminal.until("connection 1")
            terminal.say("token=second-token")
            terminal.until("in effect on connection 2")
            s.push("last")
            assert terminal.end() == 0
    assert messages(path) == ["last"]
    assert b"second-token" not in path.read_bytes() and CANARY.encode() not in path.read_bytes()


def test_a_socket_that_fails(run: Run, tmp_path: Path) -> None:
    """The exit code is 1, and the file says why."""
    path = tmp_path / "s.jsonl"
    with server(reject(410)) as s:
        assert run("record", s.url, str(path)).code == 1
    played = run("replay", str(path), "--speed", "max")
    assert played.code == 0
    assert "HTTP 410" in played.text


def test_a_file_that_is_there_already(run: Run, tmp_path: Path) -> None:
    """It is not replaced unless that is asked for."""
    path = tmp_path / "s.jsonl"
    path.write_text("mine")
    with server(accept().close(1000)) as s:
        refused = run("record", s.url, str(path))
        assert refused.code == 2
        assert "--overwrite" in refused.err[0] and len(refused.err) == 1
        assert path.read_text() == "mine" and not s.handshakes
        assert run("record", s.url, str(path), "--overwrite").code == 0
    assert messages(path) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("replay", "nothing.jsonl"), "No such file"),
        (("replay", "bad.jsonl"), "line 1: no header of a recording"),
        (("replay", "bad.jsonl", "--speed", "fast"), "--speed takes a number"),
        (("replay", "bad.jsonl", "--speed", "0"), "speed: pass a number"),
        (("record", "ws://x.test/", "nowhere/s.jsonl"), "cannot write nowhere/s.jsonl"),
        (("record", "ftp://x.test/", "s.jsonl"), "ws://"),
        (("record", "ws://x.test/", "s.jsonl", "--rotate-size", "0"), "--rotate-size"),
        (("record", "ws://x.test/", "s.jsonl", CANARY), "takes URL and FILE"),
    ],
)
def test_wrong_usage(
    run: Run,
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line says what is wrong, and the exit code is 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    done = run(*arguments)
    assert done.code == 2
    assert told in done.text and len(done.err) == 1
    assert CANARY not in done.text


def test_replay_is_interrupted_at_once(tmp_path: Path) -> None:
    """A long wait in a recording is not waited for."""
    path = tmp_path / "s.jsonl"
    with clock() as virtual:
        peer = fake(accept().send("one").wait(100).close(1000))
        socket = Socket(peer.url, transport=peer)
        with record(socket, path), socket:
            virtual.advance(101)
    with Terminal("replay", str(path)) as terminal:
        terminal.until("one")
        seconds = terminal.interrupt()
        assert terminal.end() == 130
        took(seconds, 1.5)
        assert "Traceback" not in terminal.text
