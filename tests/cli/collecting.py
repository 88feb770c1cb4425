"""A collector of a scripted venue: its config, how to end it, and what it counted."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from brokers import Broker, Nats, Valkey
from conftest import Done, Run
from deadlines import stretched
from terminal import PATIENCE, Terminal
from venue import VenueServer

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


def is_whole(entries: list[tuple[str, str, bytes]], keys: Collection[str] = KEYS) -> bool:
    """Whether each entry is a message of its channel, once, in order, and none is missing."""
    newest: dict[str, int] = {}
    for id, key, data in entries:
        message = json.loads(data)
        assert (message["key"], id) == (key, f"{key}:{message['seq']}")
        if key in newest and message["seq"] != newest[key] + 1:
            return False
        newest[key] = message["seq"]
    return set(newest) == set(keys)


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
