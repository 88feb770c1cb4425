"""C24 on real connections: one snippet, unchanged, wherever Python runs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from textwrap import indent
from threading import Thread
from typing import Any

import pytest
from deadlines import without_slow_callbacks
from internals import Server

from rxsocket.testing import server

pytestmark = pytest.mark.only("websockets")  # what is told apart here is Python's surroundings
ROOT = Path(__file__).resolve().parents[2]

SNIPPET = """
from rxsocket import Socket

socket = Socket(url, auth=None)  # logged out, until everybody is there
socket.on_open(lambda event: print("open", event.epoch, flush=True))
socket.on_close(lambda: print("closed", flush=True))
socket.messages.subscribe(lambda message: print("got", message, flush=True))
socket.on_open(lambda event: event.epoch == 1 and socket.set_auth({"token": "updated"}))
socket.on_message(lambda message: message == "for updated" and socket.close())
socket.set_auth({"token": "initial"})
"""

PRINTED = ["open 1", "closed", "open 2", "got for updated", "closed"]

SCRIPT = f"""
import sys
url = sys.argv[1]
{SNIPPET}
socket.wait()
assert "nest_asyncio" not in sys.modules
"""

COROUTINE = f"""
import asyncio, sys
url = sys.argv[1]

async def main():
{indent(SNIPPET, "    ")}
    await socket.wait_closed()

asyncio.run(main())
assert "nest_asyncio" not in sys.modules
"""

UVLOOP = COROUTINE.replace("import asyncio, sys", "import uvloop, sys").replace(
    "asyncio.run(", "uvloop.run("
)


@pytest.fixture
def greeter() -> Iterator[Server]:
    """A server that greets the client that comes with the updated credential."""
    with server(tokens={"initial", "updated"}) as peer:

        def greet() -> None:
            # The first connection may be gone before it can be greeted; the second stays.
            peer.wait_for(lambda peer: "#2 open" in peer.history, timeout=30)
            peer.push("for updated")

        thread = Thread(target=greet)
        thread.start()
        yield peer
        thread.join()


def run(code: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, strictly."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, url],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


PROGRAMS = {"script": SCRIPT, "asyncio.run": COROUTINE}
if importlib.util.find_spec("uvloop") is not None:
    PROGRAMS["uvloop"] = UVLOOP


@pytest.mark.parametrize("kind", PROGRAMS)
def test_one_snippet_in_programs(greeter: Server, kind: str) -> None:
    """C24: connect, subscribe, set_auth and close do the same in a script and on any loop."""
    done = run(PROGRAMS[kind], greeter.url)
    assert without_slow_callbacks(done.stderr) == ""
    assert done.returncode == 0
    assert done.stdout.splitlines() == PRINTED
    assert [handshake.credential for handshake in greeter.handshakes] == ["initial", "updated"]
    greeter.wait_for(lambda peer: [left.code for left in peer.closes] == [1000, 1000])


class Kernel:
    """A real IPython kernel, in a process of its own."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        # The interpreter of the tests, not a kernel that happens to be installed.
        self._manager: Any = KernelManager()
        self._manager.kernel_spec.argv = [
            *(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
        ]
        self._manager.start_kernel(env={**os.environ, "PYTHONDEVMODE": "", "PYTHONPATH": str(ROOT)})
        self._client: Any = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=30)

    def run(self, code: str) -> str:
        """Run a cell; what was printed until it was over."""
        return self.wait(self._client.execute(code))

    def wait(self, cell: str, timeout: float = 15.0) -> str:
        """Wait for a cell to be over; what was printed meanwhile, by whomever."""
        printed = ""
        while True:
            message = self._client.get_iopub_msg(timeout=timeout)
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif (
                kind == "status"
                and content["execution_state"] == "idle"
                and message["parent_header"].get("msg_id") == cell
            ):
                return printed + self._rest()

    def _rest(self) -> str:
        printed = ""
        try:
            while True:
                message = self._client.get_iopub_msg(timeout=0.3)
                if message["msg_type"] == "stream":
                    printed += message["content"]["text"]
        except Empty:
            return printed

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel; for the module, because its client keeps a loop of its own for good (C26)."""
    started = Kernel()
    try:
        yield started
    finally:
        started.stop()


def test_one_snippet_in_a_notebook(greeter: Server, kernel: Kernel) -> None:
    """C24: the same snippet in a cell; what is printed later arrives."""
    printed = kernel.run(f"url = {greeter.url!r}\n{SNIPPET}")
    # The next cell blocks the kernel's own loop while the rest happens.
    printed += kernel.run(
        "import time\n"
        "end = time.monotonic() + 10\n"
        "while socket.state.value.value != 'closed' and time.monotonic() < end: time.sleep(0.01)\n"
    )
    assert printed.splitlines() == PRINTED
    checks = kernel.run(
        "import sys, threading\n"
        "print('nest_asyncio' in sys.modules, socket.state.value.value)\n"
        "print(socket.wait(5))\n"
    )
    assert checks.splitlines() == ["False closed", "True"]
    greeter.wait_for(lambda peer: [left.code for left in peer.closes] == [1000, 1000])


def test_a_blocking_cell_does_not_stall_the_connection(kernel: Kernel) -> None:
    """C24: while a cell sleeps, messages are delivered, pings answered and receipts settled."""
    with server() as peer:
        kernel.run(
            "import time, threading\n"
            "from rxsocket import Socket\n"
            f"socket = Socket({peer.url!r}, auth='a')\n"
            "times = []\n"
            "came = threading.Event()\n"
            "socket.on_message(lambda: (times.append(time.monotonic()), came.set()))\n"
        )
        peer.wait_for(lambda peer: peer.connections == 1)
        cell = kernel._client.execute(
            "assert socket.send('asleep').result(5).epoch == 1\n"
            "start = time.monotonic(); came.wait(5); time.sleep(0.2)\n"
            "print('while busy:', len(times), times[0] < time.monotonic() - 0.15)\n"
            "print(socket.set_auth('b').result(5))\n"
        )
        peer.wait_for(lambda peer: len(peer.received) == 1)
        peer.push("wake up")
        assert kernel.wait(cell).splitlines() == ["while busy: 1 True", "InEffect(epoch=2)"]
        assert kernel.run("print(await socket.set_auth('c'))") == "InEffect(epoch=3)\n"
        assert kernel.run("await socket.close()\nprint(socket.state.value.value)") == "closed\n"
