"""``rxsocket collect``: what it writes and shows, and what it never shows (C44)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from collecting import (
    CANARY,
    KEYS,
    SINKS,
    SUMMARY,
    config,
    counts,
    fed,
    is_whole,
    run_until,
)
from conftest import Run
from deadlines import stretched
from terminal import PATIENCE, Terminal
from venue import VenueServer

from rxsocket.cli.collect.run import Collector
from rxsocket.testing import reject, server


@pytest.mark.slow
def test_lost_channels_are_told(tmp_path: Path, venue: VenueServer, run: Run) -> None:
    """And when they are back, with the gap."""

    def cut() -> None:
        fed(venue, 3)
        venue.drop()
        venue.wait_for(lambda v: len(v.handshakes) == 8 and v.has_exactly(KEYS))

    done = run_until(cut, run, config(tmp_path, venue.url, 'to = "file"\npath = "out"'))
    assert done.code == 143, done.text
    lost = [line for line in done.err if "Lost" in line]
    assert len(lost) == 4 and all("5 channels (K" in line for line in lost), done.text
    back = [line for line in done.err if "Restored" in line]
    assert back and all("is missing" in line for line in back), done.text


@pytest.mark.slow
def test_lines_go_to_stdout(tmp_path: Path, venue: VenueServer) -> None:
    """Messages as they came; what happens goes to stderr."""
    with Terminal("collect", config(tmp_path, venue.url), "--count", "50") as terminal:
        assert terminal.end() == 0, terminal
    lines = [json.loads(line) for line in terminal.out]
    assert len(lines) == counts(terminal)[1] >= 50
    assert is_whole([(it["id"], it["key"], json.dumps(it["data"]).encode()) for it in lines])


@pytest.mark.slow
def test_lines_go_to_a_file(tmp_path: Path, venue: VenueServer) -> None:
    """It is appended to; a line that was cut by whoever wrote before stays alone."""
    (tmp_path / "out.jsonl").write_text('{"id": "cu')
    path = config(tmp_path, venue.url, 'to = "file"\npath = "out.jsonl"')
    stored = 0
    for _ in range(2):
        with Terminal("collect", path, "--count", "50") as terminal:
            assert terminal.end() == 0, terminal
        stored += counts(terminal)[1]
    cut, *lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert cut == '{"id": "cu'
    assert len([json.loads(line)["data"]["seq"] for line in lines]) == stored


@pytest.mark.slow
def test_nobody_reads_stdout(tmp_path: Path, venue: VenueServer) -> None:
    """With ``| head`` it ends quietly."""
    command = [sys.executable, "-m", "rxsocket", "collect", config(tmp_path, venue.url)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        noise = process.stderr.read().decode()
        assert process.wait(stretched(PATIENCE)) == 0
    for word in ("Traceback", "BrokenPipe", "Exception"):
        assert word not in noise


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
def test_a_line_is_rewritten_on_a_terminal(tmp_path: Path, venue: VenueServer) -> None:
    """With channels, sockets, and what became of the messages."""
    terminal, end = os.openpty()
    path = config(tmp_path, venue.url, 'to = "file"\npath = "out"')
    command = [sys.executable, "-m", "rxsocket", "collect", path]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment) as process:
        os.close(end)
        written = b""
        with suppress(OSError):  # Linux says so that nobody writes any more
            while chunk := os.read(terminal, 65536):
                written += chunk
                if written.count(b"messages/s") == 4:
                    process.send_signal(signal.SIGTERM)
        assert process.wait(stretched(PATIENCE)) == 143
        os.close(terminal)
    text = written.decode()
    assert "\x1b[2K" in text
    assert re.search(
        r"20 of 20 channels live; 4 of 4 sockets open; [\d,]+ messages/s; [\d,]+ stored", text
    )
    assert SUMMARY.search(text)


def test_a_refused_credential(tmp_path: Path, run: Run) -> None:
    """It says what ``explain()`` says, without the credential."""
    with server(tokens=["good"]) as s:
        path = config(
            tmp_path, s.url, more='[auth]\ntoken = "env:TOKEN"\n[socket]\nstable_after = 0.1'
        )
        done = run("collect", path, environment={"TOKEN": CANARY})
    assert done.code == 1
    assert "refused" in done.text and "you can: " in done.text
    assert CANARY not in done.text


def test_a_hangup_reads_the_credential_anew(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections follow it; what cannot be read changes nothing, and says so."""
    was_read, reload = threading.Event(), Collector._reload

    def reloads(collector: Collector) -> None:
        reload(collector)
        was_read.set()

    monkeypatch.setattr(Collector, "_reload", reloads)
    token = tmp_path / "token"
    token.write_text("first-T0ken-0123")
    with server(tokens=["first-T0ken-0123", CANARY]) as s:
        path = config(tmp_path, s.url, more='[auth]\ntoken = "file:token"')

        def rotate() -> None:
            s.wait_for(lambda s: s.live == 4)
            token.write_text("")
            os.kill(os.getpid(), signal.SIGHUP)
            assert was_read.wait(stretched(PATIENCE))
            token.write_text(CANARY)
            os.kill(os.getpid(), signal.SIGHUP)
            s.wait_for(lambda s: [it.credential for it in s.handshakes].count(CANARY) == 4)

        done = run_until(rotate, run, path)
    assert done.code == 143, done.text
    assert ": auth.token: the value is empty" in done.text
    assert CANARY not in done.text


def test_the_log_shows_no_secret(tmp_path: Path, run: Run) -> None:
    """A canary, in the credential, the address and a header, also when the server repeats it."""
    refuse = reject(401, {"WWW-Authenticate": f"Bearer {CANARY}"}, CANARY)
    with server(*[refuse] * 20) as s:
        more = '[auth]\ntoken = "env:TOKEN"\n[socket.additional_headers]\nX-Key = "env:TOKEN"'
        path = config(tmp_path, f"{s.url}?key={CANARY}", more=more)
        done = run("collect", path, "--verbose", environment={"TOKEN": CANARY})
    assert done.code == 1 and "Explained" in done.text, done.text
    assert CANARY not in done.text


def test_the_plan(tmp_path: Path, run: Run) -> None:
    """``--check`` shows it on stdout, and connects to nothing."""
    more = '[run]\nsockets = 4\n[auth]\ntoken = "env:TOKEN"'
    path = config(tmp_path, "wss://127.0.0.1:1/", more=more)
    done = run("collect", path, "--check", environment={"TOKEN": CANARY})
    assert (done.code, done.err) == (0, [])
    assert done.out[0] == "plan         20 channels on 4 sockets in 1 place, 5 each"
    assert done.out[1] == "loop/1       5 channels: K0, K4, K8, K12, ..."
    assert done.out[5:] == [
        "caps         5 of 5 channels a connection",
        "connecting   4 dials from one address, 20 in 1 s: at once",
        "subscribing  1 message on the fullest socket, all at once: limits.pace is not set",
        "sink         <lines on standard output>",
    ]
    assert CANARY not in done.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("connections = 4", "there can be 3 connections, and 4 would be needed"),
        ("connections_per_credential = 3", "there can be 2 connections, and 4 would be needed"),
    ],
)
def test_an_impossible_plan(tmp_path: Path, run: Run, more: str, said: str) -> None:
    """It says which cap is in the way, and by how much."""
    path = Path(config(tmp_path, "wss://127.0.0.1:1/"))
    path.write_text(path.read_text().replace("[limits]", f"[limits]\n{more}"))
    done = run("collect", str(path), "--check")
    assert (done.code, done.out) == (2, [])
    assert said in done.text and more.partition(" ")[0] in done.text


def test_an_error_in_the_config(tmp_path: Path, run: Run) -> None:
    """It has file, line and key; exit code 2."""
    path = config(tmp_path, "wss://127.0.0.1:1/", more="[run]\non_ = 1")
    done = run("collect", path)
    assert done.code == 2
    assert done.err == [f"rxsocket: {path}:21: run.on_: [run] has no such key; did you mean on?"]


def test_a_client_that_is_not_installed(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    sink = SINKS["redis_streams"].format(url="redis://127.0.0.1:1")
    for more in ((), ("--check",)):
        done = run("collect", config(tmp_path, "wss://127.0.0.1:1/", sink), *more)
        assert (done.code, len(done.err)) == (2, 1)
        assert "pip install 'rxsocket[redis]'" in done.text


@pytest.mark.slow
def test_a_credential_that_is_refused_later(tmp_path: Path, venue: VenueServer) -> None:
    """It says so once, and goes on: another credential may come."""
    first, second = "first-T0ken-0123", "second-T0ken-0123"
    token = tmp_path / "token"
    token.write_text(first)
    venue.tokens = {first}
    more = '[auth]\ntoken = "file:token"'
    path = config(tmp_path, venue.url, 'to = "file"\npath = "out"', more)
    with Terminal("collect", path) as terminal:
        terminal.until("20 of 20 channels live")
        venue.tokens = {second}
        venue.drop()
        terminal.until("SIGHUP reads the credential anew", patience=30.0)
        assert "refused" in terminal.text
        token.write_text(second)
        terminal.process.send_signal(signal.SIGHUP)
        terminal.until("Complete", times=2, patience=30.0)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 143, terminal
    assert terminal.text.count("SIGHUP reads the credential anew") == 1
    assert "T0ken" not in terminal.text
