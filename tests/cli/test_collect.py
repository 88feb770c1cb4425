"""``rxsocket collect``: from a real server into real brokers, ended by signals (C44)."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from brokers import Nats, needs_brokers, running
from collecting import (
    CANARY,
    KEYS,
    SINKS,
    broker_of,
    config,
    counts,
    fed,
    is_whole,
    run_until,
)
from conftest import Run
from extras import needs
from stored import stored_in
from terminal import Terminal
from venue import VenueServer


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
@pytest.mark.timeout(400)  # on a busy machine, Ray takes a minute to start
@pytest.mark.parametrize(
    ("on", "number"),
    [
        ("processes", signal.SIGTERM),
        ("processes", signal.SIGINT),
        pytest.param("ray", signal.SIGTERM, marks=needs("ray")),
    ],
)
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
            terminal.until("20 of 20 channels live", patience=240.0)
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
@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_a_process_that_is_killed_comes_back(tmp_path: Path, venue: VenueServer) -> None:
    """Who died and what was lost is told; nothing is stored twice, or missing elsewhere."""
    psutil = pytest.importorskip("psutil")
    with running(Nats(tmp_path)) as broker:
        sink = SINKS["jetstream"].format(url=broker.url)
        path = config(tmp_path, venue.url, sink, '[run]\non = "processes"\nshards = 2')
        with Terminal("collect", path) as terminal:
            terminal.until("20 of 20 channels live", patience=60.0)
            shards = [
                child
                for child in psutil.Process(terminal.process.pid).children()
                if "spawn_main" in " ".join(child.cmdline())
            ]
            assert len(shards) == 2
            shards[0].kill()
            terminal.until("ShardFailed")
            terminal.until("Complete", times=2, patience=60.0)
            fed(venue, max(venue.numbers.values()) + 3)
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.end() == 143, terminal
        entries = asyncio.run(stored_in(broker, "TRADES"))
    received, stored, *others = counts(terminal)
    assert received == stored == len(entries) and others == [0, 0, 0]
    assert len({id for id, _, _ in entries}) == len(entries)
    lost = {key for key in KEYS if not is_whole([it for it in entries if it[1] == key], [key])}
    assert len(lost) == 10, lost
    assert "it is started again" in terminal.text and "is missing" in terminal.text


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
                venue.wait_for(lambda venue: not venue.live)  # or two of them are one
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


@needs_brokers
@pytest.mark.slow
def test_a_broker_that_is_not_there(tmp_path: Path, venue: VenueServer) -> None:
    """It is an error within its timeout, and nothing was asked of the server."""
    broker = Nats(tmp_path)  # which is not started
    (tmp_path / "broker").write_text(broker.url.replace("//", "//u:C4n4ry-0123456@"))
    sink = SINKS["jetstream"].format(url="file:broker")
    with Terminal("collect", config(tmp_path, venue.url, sink)) as terminal:
        assert terminal.end() == 1
    assert f"{broker.url} cannot be reached: " in terminal.text
    assert "start it, or check server" in terminal.text and "url=" not in terminal.text
    assert "C4n4ry" not in terminal.text and "Traceback" not in terminal.text
    assert not venue.handshakes
