"""The examples of the README and of the guide that are whole programs run as they stand."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import reactivex
from brokers import Nats, needs_brokers, running
from deadlines import took, without_slow_callbacks
from pages import guide
from reactivex import operators as ops

from rxsocket import Socket
from rxsocket.sinks import into
from rxsocket.testing import accept, server

pytestmark = pytest.mark.only("websockets")  # programs of their own


PLUGIN = """
def pytest_configure(config):
    if not config.pluginmanager.hasplugin("rxsocket"):  # a source tree that was not installed
        config.pluginmanager.import_plugin("_rxsocket_pytestplugin")
"""


def block(heading: str, place: int = 1) -> str:
    """A Python example, by the heading above it and its place there."""
    (found,) = [page for page in guide() if heading in page.headings()]
    return found.example(heading, place)


def test_the_ten_lines_are_a_plain_script() -> None:
    """It connects, changes the credential, prints what happened, and ends by itself."""
    done = subprocess.run(
        [sys.executable, "-c", block("Ten lines")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line != "hello"] == [
        "connected with token",
        "disconnected",
        "connected with token",
        "InEffect(epoch=2)",
        "disconnected",
    ]
    assert "hello" in lines


@pytest.mark.parametrize(
    ("heading", "printed"),
    [
        (
            "Sending",
            ["Sent(epoch=1)", "['hello', '1', '2', '3', 'one message in fragments']"],
        ),
        ("Topics", ["room 1: hello", '{"topic":"time"}']),
        (
            "Channels",
            [
                """['{"op":"subscribe","channel":"trades"}', """
                """'{"op":"unsubscribe","channel":"trades"}']""",
            ],
        ),
        ("Requests", ["sum"]),
        (
            "Addresses that move",
            [
                "wss://c.example.com/link?ticket=***",
                "['a.example.com', 'b.example.com', 'c.example.com']",
            ],
        ),
        (
            "Going on where it was",
            ["{'seq': 1}", "{'seq': 2}", "{'seq': 3}", "['0', '2']"],
        ),
        (
            "When the server says so",
            [
                "Cause.RENEW 0.0",
                "took over from connection 1 without a gap: renew() was called: "
                "'the server said goaway'",
            ],
        ),
        (
            "A fleet",
            [
                '{"symbol": "ETH", "price": 1, "id": 1}',
                "running: 5 of 5 channels live on 3 sockets, 3 of them open",
                "  loop/1: open, 2 channels",
                "  loop/2: open, 2 channels",
                "  loop/3: open, 1 channel",
            ],
        ),
        ("A gate", ["State.OPEN", "State.GATED", "an attempt, as soon as gate= says True"]),
    ],
)
def test_what_is_said_is_shown(heading: str, printed: list[str]) -> None:
    """The examples of sending, topics, channels and requests print what they say."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block(heading)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, without_slow_callbacks(done.stderr)) == (0, "")
    assert done.stdout.splitlines() == printed


@needs_brokers
def test_a_stream_is_stored(tmp_path: Path) -> None:
    """C40: the example of storing, with a real broker at the address that it names."""
    with running(Nats(tmp_path)) as broker:
        program = block("Store a stream").replace("nats://127.0.0.1:4222", broker.url)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert (done.returncode, without_slow_callbacks(done.stderr)) == (0, "")
    assert done.stdout == "Counter({'Stored': 1000})\n"


def test_a_sink_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """C40: the example for Kafka does with its client what it says; there is no server."""
    sent: list[tuple[str, bytes, bytes]] = []

    class TooLarge(Exception):
        pass

    class Producer:
        def __init__(self, **options: object) -> None: ...

        async def start(self) -> None: ...

        async def stop(self) -> None: ...

        async def send_and_wait(self, topic: str, data: bytes, key: bytes) -> object:
            if data == b"large":
                raise TooLarge
            sent.append((topic, data, key))
            return SimpleNamespace(offset=len(sent))

    client = SimpleNamespace(AIOKafkaProducer=Producer)
    monkeypatch.setitem(sys.modules, "aiokafka", client)
    errors = SimpleNamespace(MessageSizeTooLargeError=TooLarge)
    monkeypatch.setitem(sys.modules, "aiokafka.errors", errors)
    example = block("Store a stream", 2)
    names: dict[str, Any] = {}
    exec(example.rpartition("\nsocket.")[0], names)

    async def main() -> list[Any]:
        storing = into(names["Kafka"]("127.0.0.1:9092", "trades"), id=str, key=lambda one: "k")
        receipts: list[Any] = await reactivex.of("a", "large", "b").pipe(storing, ops.to_list())
        return receipts

    kinds = [type(one).__name__ for one in asyncio.run(main())]
    assert (kinds, sent[0]) == (["Stored", "Failed", "Stored"], ("trades", b"a", b"k"))


def test_the_users_tests_pass(pytester: pytest.Pytester) -> None:
    """The file of the guide, run by pytest as it stands: three tests in under half a second."""
    text = block("Testing your own code")
    assert len([line for line in text.splitlines() if line.strip()]) <= 30
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(text)
    seconds: list[float] = []

    class CpuTime:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self) -> Generator[None, object, object]:
            start = time.process_time()  # others may be using the machine
            result = yield
            seconds.append(time.process_time() - start)
            return result

    arguments = ("-q", "-p", "no:randomly", "-p", "no:rerunfailures", "-W", "error")
    pytester.inline_run(*arguments, plugins=[CpuTime()]).assertoutcome(passed=3)
    assert len(seconds) == 3
    took(sum(seconds), 0.5)


def test_a_session_is_recorded_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example records a real connection, and each way to replay it gives what came."""
    monkeypatch.chdir(tmp_path)
    with server(accept().send("one", "two").close(1000)) as feed:
        names: dict[str, Any] = {"Socket": Socket, "socket": Socket(feed.url)}
        exec(block("Recording and replaying"), names)
        for name in ("again", "mine"):
            received: list[Any] = []
            names[name].messages.subscribe(received.append)
            assert names[name].wait(10)
            assert received == ["one", "two"]
