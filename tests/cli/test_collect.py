"""``rxsocket collect``: from a real server into real brokers, ended by signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from brokers import Broker, Nats, Valkey, needs_brokers, running
from conftest import Done, Run
from deadlines import stretched
from extras import needs
from stored import stored_in
from terminal import PATIENCE, Terminal
from venue import Caps, VenueServer

from rxsocket.testing import reject, server

CANARY = "c4n4ry-S3cret-0123456789"
KEYS = [f"K{number}" for number in range(20)]

CONFIG = """\
url = "{url}"
channels = {keys}

[channel]
subscribe = {{op = "sub", args = ["{{key}}"]}}
unsubscribe = {{op = "unsub", args = ["{{key}}"]}}
key = "key"
id = "seq"
accepted = {{re = "sub"}}
answered = "ok"

[limits]
channels = 5
batch = 5
connects = "20/s"

[sink]
{sink}
"""
SUMMARY = re.compile(
    r"([\d,]+) messages? received: ([\d,]+) stored, ([\d,]+) duplicate, ([\d,]+) failed, "
    r"([\d,]+) dropped"
)


def config(
    folder: Path, url: str, sink: str = 'to = "stdout"', more: str = "", keys: list[str] = KEYS
) -> str:
    """Write a config, and return its path."""
    path = folder / "collect.toml"
    text = CONFIG.format(url=url, keys=json.dumps(keys), sink=sink)
    path.write_text(f"{text}\n{more}\n", encoding="utf-8")
    return str(path)


def counts(terminal: Terminal | Done) -> list[int]:
    """Received, stored, duplicate, failed and dropped, as the summary says."""
    found = SUMMARY.search(terminal.text)
    assert found is not None, terminal.text
    return [int(number.replace(",", "")) for number in found.groups()]


@pytest.fixture
def venue() -> Iterator[VenueServer]:
    with VenueServer(Caps(channels=5, connects="20/s", slack=0.5)) as server:
        server.feed(rate=20.0, tick=0.02)
        yield server


def fed(venue: VenueServer, count: int) -> None:
    """Wait until each channel has had so many messages, of which the venue has no event."""
    deadline = time.monotonic() + stretched(PATIENCE)
    while min(venue.numbers.values(), default=0) < count:
        assert time.monotonic() < deadline, venue.numbers
        time.sleep(0.02)


SINKS = {
    "jetstream": 'to = "jetstream"\nserver = "{url}"\nstream = "TRADES"\ncreate = true',
    "redis_streams": 'to = "redis_streams"\nserver = "{url}"\nstream = "TRADES"',
}


def broker_of(name: str, folder: Path) -> Broker:
    return Nats(folder) if name == "jetstream" else Valkey(folder)


def is_whole(entries: list[tuple[str, str, bytes]]) -> bool:
    """Whether each entry is a message of its channel, once, in order, and none is missing."""
    newest: dict[str, int] = {}
    for id, key, data in entries:
        message = json.loads(data)
        assert (message["key"], id) == (key, f"{key}:{message['seq']}")
        if key in newest and message["seq"] != newest[key] + 1:
            return False
        newest[key] = message["seq"]
    return set(newest) == set(KEYS)


def run_until(body: Callable[[], None], run: Run, path: str) -> Done:
    """Collect in this process, until a body on another thread is over: then it gets a SIGTERM."""
    errors: list[BaseException] = []

    def end() -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # if it comes too early or too late
    thread = threading.Thread(target=end)
    thread.start()
    try:
        done = run("collect", path)
    finally:
        thread.join()
        signal.signal(signal.SIGTERM, before)
    assert not errors, (errors, done.text)
    return done


@needs_brokers
@pytest.mark.parametrize("sink", ["jetstream", "redis_streams"])
def test_told_to_end_in_this_process(
    tmp_path: Path, venue: VenueServer, run: Run, sink: str
) -> None:
    """Each message is accounted for, and in the broker once; the handlers are those from before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with running(broker_of(sink, tmp_path)) as broker:
        path = config(tmp_path, venue.url, SINKS[sink].format(url=broker.url))
        done = run_until(lambda: fed(venue, 5), run, path)
        entries = asyncio.run(stored_in(broker, "TRADES"))
    assert done.code == 143, done.text
    received, stored, *others = counts(done)
    assert received == stored == len(entries) > 20 and others == [0, 0, 0]
    assert is_whole(entries)
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


@needs_brokers
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("sink", ["jetstream", "redis_streams"])
def test_what_was_counted_is_in_the_broker(
    tmp_path: Path, venue: VenueServer, sink: str, number: signal.Signals
) -> None:
    """Told to end in the middle, it ends in order: each message is accounted for, once."""
    with running(broker_of(sink, tmp_path)) as broker:
        path = config(tmp_path, venue.url, SINKS[sink].format(url=broker.url))
        with Terminal("collect", path) as terminal:
            terminal.until("20 of 20 channels live")
            fed(venue, 10)
            terminal.process.send_signal(number)
            assert terminal.end() == 128 + number, terminal
        entries = asyncio.run(stored_in(broker, "TRADES"))
    received, stored, *others = counts(terminal)
    assert received == stored == len(entries) > 20 * 5 and others == [0, 0, 0]
    assert is_whole(entries)
    assert len({id for id, _, _ in entries}) == len(entries)
    venue.wait_for(lambda v: not v.live)
    assert {close.code for close in venue.closes} == {1000}
    assert not venue.violations and "Traceback" not in terminal.text


@needs_brokers
@pytest.mark.slow
@pytest.mark.timeout(240)  # Ray takes half a minute to start on a busy machine
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("on", ["processes", pytest.param("ray", marks=needs("ray"))])
def test_sockets_elsewhere(
    tmp_path: Path, venue: VenueServer, on: str, number: signal.Signals
) -> None:
    """In two processes, or actors of Ray: it ends as it does on one loop, and so do they.

    The credential is there, and shows nowhere.
    """
    with running(Nats(tmp_path)) as broker:
        sink = SINKS["jetstream"].format(url=broker.url)
        more = f'[run]\non = "{on}"\nshards = 2\n[auth]\ntoken = "env:TOKEN"'
        path = config(tmp_path, venue.url, sink, more)
        with Terminal("collect", path, environment={"TOKEN": CANARY}) as terminal:
            terminal.until("20 of 20 channels live", patience=120.0)
            fed(venue, 10)
            terminal.process.send_signal(number)
            assert terminal.end() == 128 + number, terminal
        entries = asyncio.run(stored_in(broker, "TRADES"))
    received, stored, *others = counts(terminal)
    assert received == stored == len(entries) > 20 * 5 and others == [0, 0, 0]
    assert is_whole(entries)
    venue.wait_for(lambda v: not v.live)
    assert {it.credential for it in venue.handshakes} == {CANARY}
    assert not venue.violations
    assert "Traceback" not in terminal.text and CANARY not in terminal.text


@needs_brokers
@pytest.mark.slow
@pytest.mark.parametrize("signals", [1, 2])
def test_a_broker_that_does_not_answer_keeps_nobody(
    tmp_path: Path, venue: VenueServer, signals: int
) -> None:
    """What is under way is awaited for ``settle``, or until a second signal; then it is told."""
    with running(Nats(tmp_path)) as broker:
        sink = SINKS["jetstream"].format(url=broker.url)
        settle = 0.3 if signals == 1 else 60
        path = config(tmp_path, venue.url, sink, f"[run]\nsettle = {settle}")
        with Terminal("collect", path) as terminal:
            terminal.until("20 of 20 channels live")
            fed(venue, 3)
            broker.freeze()
            fed(venue, max(venue.numbers.values()) + 3)
            for _ in range(signals):
                terminal.process.send_signal(signal.SIGINT)
                time.sleep(0.5)  # or two of them are one
            assert terminal.end() == 1, terminal
        broker.thaw()
        entries = asyncio.run(stored_in(broker, "TRADES"))
    received, stored, *others = counts(terminal)
    unknown = received - stored
    assert unknown > 0 and others == [0, 0, 0]
    assert f"{unknown:,} of which nothing is known" in terminal.text
    assert stored <= len(entries) <= received and "Traceback" not in terminal.text


@needs_brokers
@pytest.mark.slow
def test_an_outage_of_the_broker_is_told(tmp_path: Path, venue: VenueServer) -> None:
    """Once, and its end; everything is stored, once."""
    with running(Nats(tmp_path)) as broker:
        sink = SINKS["jetstream"].format(url=broker.url)
        with Terminal("collect", config(tmp_path, venue.url, sink)) as terminal:
            terminal.until("20 of 20 channels live")
            fed(venue, 3)
            broker.kill()
            terminal.until("does not store")
            broker.start()
            terminal.until("stores again")
            fed(venue, max(venue.numbers.values()) + 3)
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.end() == 143, terminal
        entries = asyncio.run(stored_in(broker, "TRADES"))
    received, stored, duplicate, failed, dropped = counts(terminal)
    assert received == stored + duplicate and (failed, dropped) == (0, 0)
    assert len(entries) == received and is_whole(entries)


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
    command = [sys.executable, "-m", "rxsocket.cli", "collect", config(tmp_path, venue.url)]
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
    command = [sys.executable, "-m", "rxsocket.cli", "collect", path]
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


@needs_brokers
@pytest.mark.slow
def test_a_broker_that_is_not_there(tmp_path: Path, venue: VenueServer) -> None:
    """It is an error within its timeout, and nothing was asked of the server."""
    broker = Nats(tmp_path)  # which is not started
    sink = SINKS["jetstream"].format(url=broker.url.replace("//", "//u:C4n4ry-0123456@"))
    with Terminal("collect", config(tmp_path, venue.url, f"{sink}\ntimeout = 0.3")) as terminal:
        assert terminal.end() == 1
    assert f"{broker.url} does not answer within 0.3 s" in terminal.text
    assert "C4n4ry" not in terminal.text and "Traceback" not in terminal.text
    assert not venue.handshakes


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


def test_a_hangup_reads_the_credential_anew(tmp_path: Path, run: Run) -> None:
    """The connections follow it; what cannot be read changes nothing, and says so."""
    token = tmp_path / "token"
    token.write_text("first-T0ken-0123")
    with server(tokens=["first-T0ken-0123", CANARY]) as s:
        path = config(tmp_path, s.url, more='[auth]\ntoken = "file:token"')

        def rotate() -> None:
            s.wait_for(lambda s: s.live == 4)
            token.write_text("")
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.5)  # or the file is written before it was read
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
