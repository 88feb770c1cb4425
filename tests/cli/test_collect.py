"""``rxsocket collect``: from a real server into real brokers, ended by signals."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Broker, Nats, Valkey, needs_brokers, running
from conftest import Run
from deadlines import stretched
from stored import stored_in
from terminal import PATIENCE, Terminal
from venue import Caps, VenueServer

from rxsocket.testing import server

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


def counts(terminal: Terminal) -> list[int]:
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


@needs_brokers
@pytest.mark.parametrize(
    ("sink", "number"),
    [
        ("jetstream", signal.SIGTERM),
        pytest.param("jetstream", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("redis_streams", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("redis_streams", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
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


CANARY = "c4n4ry-S3cret-0123456789"


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
