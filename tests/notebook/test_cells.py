"""Cells of a real kernel: running them again, where their output lands, and being busy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from deadlines import within
from extras import needs
from kernels import Kernel

from rxsocket.testing import server

pytestmark = needs("ipykernel")

SETUP = """
import asyncio, threading, time
from rxsocket import Socket
from rxsocket.notebook import keep, peek
from rxsocket.testing import accept, server

peer = server().__enter__()

def say(text):
    "Push a message as soon as the socket is open."
    end = time.monotonic() + 10
    while socket.state.value.value != "open" and time.monotonic() < end:
        time.sleep(0.01)
    peer.push(text)
"""


@pytest.fixture(scope="module")
def started() -> Iterator[Kernel]:
    """A kernel; for the module, because its client keeps a loop of its own for good (C26)."""
    started = Kernel([])
    try:
        started.run(SETUP)
        yield started
    finally:
        started.stop()


@pytest.fixture
def kernel(started: Kernel) -> Iterator[Kernel]:
    """That kernel with a new socket."""
    started.run(
        "socket = Socket(peer.url, ping_interval=None)\nconnected = socket.connect()", "new"
    )
    yield started
    started.run("socket.close().result(5)")


def printed(said: list[dict[str, Any]]) -> dict[str, str]:
    """What was printed, by the run under which it lands."""
    texts: dict[str, str] = {}
    for message in said:
        if message["msg_type"] == "stream":
            run = message["parent_header"].get("msg_id", "")
            texts[run] = texts.get(run, "") + message["content"]["text"]
    return texts


def says(kernel: Kernel, word: str, times: int = 1) -> dict[str, str]:
    """What is printed from when the server says a word until that was printed so many times."""
    said = kernel.run(f"say({word!r})")
    end = time.monotonic() + 10.0
    while sum(text.count(word) for text in printed(said).values()) < times:
        assert time.monotonic() < end, f"{word!r} was not printed: {printed(said)}"
        said += kernel.listen(0.1)
    return printed(said)


def test_ten_runs_print_each_message_once(kernel: Kernel) -> None:
    """What an earlier run of the cell subscribed to is left; it lands under the last run."""
    for _ in range(10):
        run = kernel.begin(
            "heard = socket.messages.subscribe(lambda text: print('got', text))", "a"
        )
        kernel.until_over(run)
    assert says(kernel, "hello") == {run: "got hello\n"}


def test_a_cell_without_a_name_is_its_text(kernel: Kernel) -> None:
    """Front ends that name no cells have cells, too."""
    code = "unnamed = socket.messages.subscribe(lambda text: print('got', text))"
    kernel.run(code)
    run = kernel.begin(code)
    kernel.until_over(run)
    assert says(kernel, "twice") == {run: "got twice\n"}


def test_a_changed_cell_ends_what_it_had(kernel: Kernel) -> None:
    """A cell that does not subscribe any more leaves nothing behind."""
    kernel.run("socket.messages.subscribe(lambda text: print('got', text));", "c")
    kernel.run("1 + 1", "c")
    run = kernel.begin("other = socket.messages.subscribe(lambda text: print('only', text))", "d")
    kernel.until_over(run)
    assert says(kernel, "end") == {run: "only end\n"}


def test_what_is_kept(kernel: Kernel) -> None:
    """Running a cell again does not end what it subscribed to inside of ``keep()``."""
    code = "with keep(): kept = socket.messages.subscribe(lambda text: print('kept', text))"
    runs = [kernel.begin(code, "d"), kernel.begin(code, "d")]
    for run in runs:
        kernel.until_over(run)
    assert says(kernel, "all", times=2) == dict.fromkeys(runs, "kept all\n")


@pytest.mark.parametrize(
    ("make", "cells"),
    [
        ("made = Socket(other.url); made.connect()", ["e"] * 10),
        ("made = Socket(other.url, name='quotes'); made.connect()", list("klmnopqrst")),
        ("with keep(): made = Socket(other.url, name='quotes'); made.connect()", ["e", "u", "e"]),
    ],
    ids=["the same cell", "the same name", "the same name, kept"],
)
def test_a_socket_replaces_the_earlier_one(kernel: Kernel, make: str, cells: list[str]) -> None:
    """Ten runs leave one connection: of the cell that makes it, or of any that gives it a name."""
    kernel.run("other = server().__enter__()")
    for cell in cells:
        kernel.run(make, cell)
    count = """
end = time.monotonic() + 10
while time.monotonic() < end and (other.live != 1 or made.state.value.value != 'open'):
    time.sleep(0.02)
print(other.live, made.state.value.value)
made.close().result(5); other.__exit__(None, None, None)
"""
    assert "1 open" in "".join(printed(kernel.run(count)).values())


def test_a_name_is_taken_over(kernel: Kernel) -> None:
    """A socket with the name of another one takes its place, whichever cells made them."""
    kernel.run("one = Socket(peer.url, name='feed'); one.connect()", "n1")
    kernel.run("with keep(): two = Socket(peer.url, name='feed'); two.connect()", "n2")
    kernel.run("three = Socket(peer.url, name='other'); three.connect()", "n3")
    check = """
end = time.monotonic() + 10
names = lambda: [s.state.value.value for s in (one, two, three)]
while time.monotonic() < end and names() != ['closed', 'open', 'open']:
    time.sleep(0.02)
print(names()); two.close().result(5); three.close().result(5)
"""
    assert "['closed', 'open', 'open']\n" in printed(kernel.run(check)).values()


def test_a_task_of_an_earlier_run_ends_nothing_of_the_last(kernel: Kernel) -> None:
    """What it subscribes to is left at once; what the last run subscribed to stays."""
    code = """
async def late():
    await go.wait()
    socket.messages.subscribe(lambda text: print('late', text))
mine = socket.messages.subscribe(lambda text: print('got', text))
task = asyncio.get_running_loop().create_task(late())
await asyncio.sleep(0)
"""
    kernel.run("go = asyncio.Event()")
    kernel.run(code, "t")
    kernel.run("earlier = task")
    run = kernel.begin(code, "t")
    kernel.until_over(run)
    kernel.run("go.set(); await earlier; await task")
    assert says(kernel, "now", times=2) == {run: "got now\nlate now\n"}


def test_output_lands_under_its_cell_after_a_reconnect(kernel: Kernel) -> None:
    """Of whichever connection a message is, it is printed under the cell that subscribed."""
    run = kernel.begin("heard = socket.messages.subscribe(lambda text: print('got', text))", "r")
    kernel.until_over(run)
    assert says(kernel, "before") == {run: "got before\n"}
    kernel.run(
        "epochs = []; watching = socket.opens.subscribe(lambda opened: epochs.append(opened.epoch))"
    )
    kernel.run(
        "peer.drop(); end = time.monotonic() + 10\n"
        "while not epochs and time.monotonic() < end: time.sleep(0.02)"
    )
    assert says(kernel, "after") == {run: "got after\n"}


def test_a_failure_lands_under_its_cell(kernel: Kernel) -> None:
    """Within a second, also when the message comes while another cell runs."""
    run = kernel.begin("bad = socket.messages.subscribe(lambda text: 1 / 0)", "f")
    kernel.until_over(run)
    said = printed(kernel.run("say('x'); time.sleep(1.0)", "g"))
    assert "ZeroDivisionError" in said[run]


@pytest.mark.parametrize(
    "waiting",
    [
        "await peek(socket.messages, 1000, within=None)",
        "async for message in socket.messages: pass",
        "await socket.request('question', match=lambda answer: False, timeout=60)",
        "socket.messages.run()",
        "socket.wait()",
    ],
)
@pytest.mark.slow
def test_an_interrupt_leaves_a_usable_kernel(kernel: Kernel, waiting: str) -> None:
    """A cell that waits for messages that do not come is left at once, and the next one runs."""
    run = kernel.begin(waiting, "h")
    kernel.listen(0.5)
    kernel.interrupt()
    with within(3), pytest.raises(AssertionError, match=r"KeyboardInterrupt|CancelledError"):
        kernel.until_over(run)
    assert "2\n" in printed(kernel.run("print(1 + 1)")).values()


LIFE = """
import os, time
from rxsocket import Socket
from rxsocket.notebook import timeline
socket = Socket({url!r}, auth={{"token": "t"}})
heard = socket.messages.subscribe(lambda text: print('got', text))
end = time.monotonic() + 10
while socket.state.value.value != 'open' and time.monotonic() < end: time.sleep(0.01)
print('process', os.getpid()); timeline(socket); socket
"""


@pytest.fixture(scope="module")
def lives() -> Iterator[list[str]]:
    """What the same cell prints in a kernel before it is restarted, and afterwards."""
    kernel = Kernel([])
    try:
        with server() as feed:
            cell, texts = LIFE.format(url=feed.url), []
            for life in (1, 2):
                run = kernel.begin(cell, "life")
                said = kernel.until_over(run)
                feed.wait_for(lambda feed, life=life: feed.live == 1 and feed.dials == life)
                feed.push("hello")
                said += kernel.listen(1.0)
                # A kernel that starts may warn of something, which is of no cell.
                assert set(printed(said)) - {""} == {run}
                texts.append(printed(said)[run])
                if life == 1:
                    kernel.restart()
                    feed.wait_for(lambda feed: feed.live == 0)
            yield texts
            kernel.run("socket.close().result(5)")
    finally:
        kernel.stop()


@pytest.mark.slow
def test_a_restart_leaves_nothing_behind(lives: list[str]) -> None:
    """Its connection ends, nothing of the old life is heard, and the cell runs as before."""
    (before, *first), (after, *second) = (text.splitlines() for text in lives)
    assert before.startswith("process") and after.startswith("process") and before != after
    assert first == second == ["got hello"]


@pytest.mark.parametrize(
    "seconds", [3.0, pytest.param(60.0, marks=[pytest.mark.slow, pytest.mark.timeout(150)])]
)
@pytest.mark.slow
def test_a_busy_cell_does_not_cost_the_connection(kernel: Kernel, seconds: float) -> None:
    """The server's pings, which the test kit's sends none of, are answered; no message is lost."""
    interval = 20.0 if seconds >= 60 else seconds / 10
    said = kernel.run(
        f"""
from contextlib import suppress
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve
arrived = []
def numbers(connection):
    for number in range(int({seconds} * 10)):
        connection.send(str(number)); time.sleep(0.1)
    with suppress(ConnectionClosed): connection.recv()
busy_peer = serve(numbers, "127.0.0.1", 0, ping_interval={interval}, ping_timeout={interval})
threading.Thread(target=busy_peer.serve_forever, daemon=True).start()
busy = Socket("ws://127.0.0.1:%d" % busy_peer.socket.getsockname()[1])
closes = []
busy.on_close(closes.append)
busy.messages.subscribe(arrived.append)
time.sleep({seconds})
end = time.monotonic() + 10
while len(arrived) < int({seconds} * 10) and time.monotonic() < end:
    time.sleep(0.05)
print(arrived == [str(n) for n in range(int({seconds} * 10))], closes)
busy.close().result(5); busy_peer.shutdown()
"""
    )
    assert "True []\n" in printed(said).values()
