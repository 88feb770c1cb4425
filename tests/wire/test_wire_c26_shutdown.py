"""C26 on real connections: closing is bounded, scripts say goodbye, and Ctrl-C exits at once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deadlines import stretched, took, within, without_slow_callbacks
from extras import needs
from internals import Script, Server
from reactivex import operators as ops

from rxsocket import Opened, Socket, State
from rxsocket.testing import accept, hang, reject, server

from .test_wire_messages import flood
from .wire_helpers import Raw, Watch, raw

ROOT = Path(__file__).resolve().parents[2]
EXIT = 1.5
"""Seconds from the signal to the exit: 1 s for the socket, the rest for the interpreter."""

NOISE = ("was destroyed", "never retrieved", "never awaited", "Warning", "Exception ignored")


class Child:
    """A Python program of its own, whose lines can be waited for."""

    def __init__(self, code: str, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", "error", "-c", code, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.errors = ""
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._errors.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.strip())
                self._changed.notify_all()
        with self._changed:
            self._lines.append("<end>")
            self._changed.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors = without_slow_callbacks(self._process.stderr.read())

    @property
    def lines(self) -> list[str]:
        """What it printed so far."""
        with self._changed:
            return list(self._lines)

    def wait_for(self, line: str, timeout: float = 15.0) -> None:
        """Block until it printed a line."""
        with self._changed:
            self._changed.wait_for(
                lambda: line in self._lines or "<end>" in self._lines, timeout=timeout
            )
            there = line in self._lines
        if not there:
            self._process.send_signal(signal.SIGABRT)
            pytest.fail(f"no {line!r}; printed {self.lines}; {self._said()}")

    def interrupt(self) -> float:
        """Press Ctrl-C; return how many seconds it took to exit."""
        start = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        return self.exited() - start

    def exited(self, timeout: float = 15.0) -> float:
        """Block until it exited; return when that was."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # it writes where its threads are
            pytest.fail(f"it did not exit; printed {self.lines}; {self._said()}")
        now = time.monotonic()
        self._join()
        return now

    @property
    def code(self) -> int | None:
        """Its exit status."""
        return self._process.returncode

    def stop(self) -> None:
        """Make sure that nothing is left of it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._join()

    def _join(self) -> None:
        self._reader.join()
        self._errors.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _said(self) -> str:
        self._process.wait(5)
        self._join()
        return self.errors


@contextmanager
def running(code: str, *arguments: str) -> Iterator[Child]:
    """A Python program that is stopped in the end."""
    child = Child(code, *arguments)
    try:
        yield child
    finally:
        child.stop()


MAKE = """
import asyncio, os, sys, time
from rxsocket import Socket

url, state = sys.argv[1:3]

def say(line):
    os.write(1, f"{line}\\n".encode())  # in one piece, from whatever thread

async def hanging():
    say("asked")
    await asyncio.Event().wait()

def blocking():
    say("asked")
    time.sleep(60)

auth = {"async provider": hanging, "sync provider": blocking, "logged out": None}.get(state, "a")
socket = Socket(url, auth=auth, transport=sys.argv[-1])
seen = set()

def told(event):
    name = type(event).__name__
    if name not in seen:
        seen.add(name)
        say(name)

def subscribe():
    if state == "flooded":
        socket.on_message(lambda: told(0))
    else:
        socket.events.subscribe(told, on_error=lambda error: None)
"""
# In a flood, observing must not cost more than the flood itself.

SCRIPT = f"""{MAKE}
subscribe()
say("ready")
socket.wait()
"""

COROUTINE = f"""{MAKE}
async def main():
    subscribe()
    async with socket:
        say("ready")
        await asyncio.Event().wait()

asyncio.run(main())
"""

STATES: dict[str, tuple[Script, str]] = {
    "connecting": (hang(), "Connecting"),
    "open": (accept(), "Opened"),
    "frozen": (accept().freeze(), "Opened"),
    "backoff": (reject(503, {"Retry-After": "60"}), "Waiting"),
    "awaiting auth": (reject(401), "AwaitingAuth"),
    "logged out": (accept(), "AwaitingAuth"),
    "async provider": (accept(), "asked"),
    "sync provider": (accept(), "asked"),
    "flooded": (accept(), "int"),
}


@contextmanager
def peer_in(state: str) -> Iterator[Server | Raw]:
    """The server that brings a client into a state."""
    if state == "flooded":
        with raw(flood) as flooding:
            yield flooding
    else:
        with server(STATES[state][0]) as peer:
            yield peer


KEPT = {  # the others differ little from one of these, and each is a process
    "script": ("open", "frozen", "flooded", "connecting", "backoff"),
    "coroutine": ("open", "flooded"),
}
WAYS = [
    pytest.param(state, form, marks=() if state in kept else pytest.mark.slow)
    for state in STATES
    for form, kept in KEPT.items()
]


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process only")
@pytest.mark.parametrize(("state", "form"), WAYS)
def test_ctrl_c(state: str, form: str, transport: str) -> None:
    """C26: Ctrl-C in any state exits within a second, with KeyboardInterrupt's traceback only."""
    with (
        peer_in(state) as peer,
        running(SCRIPT if form == "script" else COROUTINE, peer.url, state, transport) as child,
    ):
        child.wait_for("ready")
        child.wait_for(STATES[state][1])
        if state == "frozen" and isinstance(peer, Server):
            peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        if state == "connecting" and isinstance(peer, Server):
            peer.wait_for(lambda peer: len(peer.handshakes) == 1)
        seconds = child.interrupt()
        errors = child.errors
        took(seconds, EXIT, errors)
        assert errors.count("Traceback") <= 2, errors  # asyncio.run chains a CancelledError
        assert errors.rstrip().endswith("KeyboardInterrupt"), errors
        for noise in NOISE:
            assert noise not in errors, errors
        assert child.code in (-signal.SIGINT, 130, 1)
        if state == "open" and isinstance(peer, Server):
            peer.wait_for(lambda peer: [left.code for left in peer.closes] == [1000])


ENDS = """
import sys, threading
from rxsocket import Socket

opened = threading.Event()
socket = Socket(sys.argv[1], auth="a", transport=sys.argv[-1])
socket.on_open(opened.set)
assert opened.wait(10)
print("ends", flush=True)
"""


@pytest.mark.parametrize("script", [accept(), accept().freeze()], ids=["answering", "frozen"])
def test_a_script_that_just_ends(script: Script, transport: str) -> None:
    """C26: without wait() or close() the server still hears 1000, and the program exits at once."""
    with server(script) as peer, running(ENDS, peer.url, transport) as child:
        child.wait_for("ends")
        with within(EXIT):
            child.exited()
        assert child.code == 0
        assert child.errors == ""
        if script.steps == ():
            peer.wait_for(lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, "")])


BUSY = """
import sys, time
from rxsocket import Socket

def blocking():
    print("busy", flush=True)
    time.sleep(60)

socket = Socket(sys.argv[1], transport=sys.argv[-1])
socket.on_open(blocking)
with socket:
    socket.wait()
"""


def test_ctrl_c_with_a_busy_observer(transport: str) -> None:
    """C26: a function of the user's that blocks the thread of the socket keeps no program."""
    with server() as peer, running(BUSY, peer.url, transport) as child:
        child.wait_for("busy")
        took(child.interrupt(), EXIT, child.errors)
        assert child.errors.rstrip().endswith("KeyboardInterrupt"), child.errors


RAISES = """
import sys, threading
from rxsocket import Socket

opened = threading.Event()
socket = Socket(sys.argv[1], transport=sys.argv[-1])
socket.on_open(opened.set)
with socket:
    assert opened.wait(10)
    raise LookupError("the program's own")
"""


@pytest.mark.parametrize("script", [accept(), accept().freeze()], ids=["answering", "frozen"])
def test_a_with_block_that_raises(script: Script, transport: str) -> None:
    """C26: an exception leaves a with block within half a second, also with a frozen peer."""
    with server(script) as peer, running(RAISES, peer.url, transport) as child:
        peer.wait_for(lambda peer: len(peer.handshakes) == 1, timeout=15)
        with within(EXIT):
            child.exited()
        assert child.errors.rstrip().endswith("LookupError: the program's own")
        assert child.errors.count("Traceback") == 1


ABANDONED = """
import asyncio, sys
from rxsocket import Socket

async def main():
    opened = asyncio.Event()
    socket = Socket(sys.argv[1], transport=sys.argv[-1])
    socket.on_open(opened.set)
    await opened.wait()

asyncio.run(main())
print("ends", flush=True)
"""


def test_a_loop_that_ends_with_a_socket_open(transport: str) -> None:
    """C26: asyncio.run() that returns with a socket open makes no noise."""
    with server() as peer, running(ABANDONED, peer.url, transport) as child:
        child.wait_for("ends")
        child.exited()
        assert child.code == 0
        assert child.errors == ""
        peer.wait_for(lambda peer: peer.connections == 0)


@pytest.mark.parametrize("greets", [True, False], ids=["messages", "silence"])
def test_a_loop_that_ends_at_any_step(caplog: pytest.LogCaptureFixture, greets: bool) -> None:
    """C26: the end of asyncio.run(), or of an ``async for`` in it, at any step of a handshake."""

    async def read(socket: Socket) -> None:
        async for _ in socket.messages:
            break

    async def main(socket: Socket, turns: int) -> None:
        reading = asyncio.ensure_future(read(socket))
        for _ in range(turns):
            await asyncio.sleep(0)
        if greets:
            await reading

    with server(*[accept().send("x") if greets else accept()] * 30) as peer:
        for turns in range(0, 60, 2):
            socket = Socket(peer.url)
            asyncio.run(main(socket, turns))
            socket.close().result(5)
        peer.wait_for(lambda peer: peer.connections == 0)
    gc.collect()  # asyncio tells then what nobody asked for
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_loop_that_ends_while_a_proxy_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    """C26: no failed future is left of a tunnel that nobody wants any more, either."""

    async def main(socket: Socket, turns: int) -> None:
        socket.messages.subscribe()
        for _ in range(turns):
            await asyncio.sleep(0)

    with raw(lambda peer: peer.drain()) as proxy:
        for turns in range(0, 60, 2):
            socket = Socket("ws://nowhere.test/", proxy=proxy.url.replace("ws:", "http:"))
            asyncio.run(main(socket, turns))
            socket.close().result(5)
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_waiting_for_what_is_over() -> None:
    """C26: wait() returns at once after close(), and after the last subscriber left before it."""
    with server(accept().send("one")) as peer:
        never = Socket(peer.url)
        with pytest.raises(RuntimeError, match="nothing to wait for"):
            never.wait()
        never.close()
        assert never.wait(5)
        socket = Socket(peer.url)
        done = threading.Event()
        socket.messages.pipe(ops.take(1)).subscribe(on_completed=done.set)
        assert done.wait(5)
        peer.wait_for(lambda peer: peer.connections == 0)
        assert socket.state.value is State.IDLE
        assert socket.wait(5)


def test_closing_twice_and_disposing_twice() -> None:
    """C26: close() and dispose() may be called again, before, between and after."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        holding = socket.connect()
        watch.wait(Opened)
        holding.dispose()
        holding.dispose()
        receipts = [socket.close() for _ in range(3)]
        for receipt in receipts:
            assert receipt.result(5) is None
        watch.dispose()
        watch.dispose()
        assert socket.close().result(5) is None
        peer.wait_for(lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, "")])
        assert watch.names.count("Ended") == 1


def test_closing_with_a_code_and_a_reason() -> None:
    """C26: close(code, reason) is what the server hears."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        watch.wait(Opened)
        socket.close(4001, "lunch").result(5)
        peer.wait_for(lambda peer: [tuple(left) for left in peer.closes] == [(1, 4001, "lunch")])


def test_closing_a_frozen_peer_is_bounded() -> None:
    """C26: with the default close_timeout closing takes 2 s at most, and nothing is left."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        watch.wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        with within(2.3):
            socket.close().result(5)
        assert "rxsocket-blocking" not in {thread.name for thread in threading.enumerate()}


STATES_TO_CLOSE = [state for state in STATES if state != "flooded"]


@pytest.mark.parametrize("state", STATES_TO_CLOSE)
def test_nothing_is_left_on_the_loop(state: str) -> None:
    """C26: after close() in any state no task of the socket is left on a loop of the user's."""
    script, sign = STATES[state]
    release = threading.Event()

    async def hanging() -> None:
        asked.set()
        await asyncio.Event().wait()

    def blocking() -> None:
        loop.call_soon_threadsafe(asked.set)
        release.wait(10)

    async def main() -> None:
        nonlocal asked, loop
        asked, loop = asyncio.Event(), asyncio.get_running_loop()
        auth = {"async provider": hanging, "sync provider": blocking, "logged out": None}
        before = asyncio.all_tasks()
        socket = Socket(peer.url, auth=auth.get(state, "a"), close_timeout=0.2)  # type: ignore[call-overload]
        there = asyncio.Event()

        def told(event: object) -> None:
            if type(event).__name__ == sign:
                there.set()

        socket.events.subscribe(told)
        await (asked if sign == "asked" else there).wait()
        if state == "connecting":
            await peer.await_for(lambda peer: len(peer.handshakes) == 1)
        await socket.close()
        assert socket.state.value is State.CLOSED
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        release.set()

    asked: asyncio.Event
    loop: asyncio.AbstractEventLoop
    with server(script) as peer:
        asyncio.run(main())


HASTY = """
import sys
from rxsocket import Socket

socket = Socket(sys.argv[1], transport=sys.argv[-1])
socket.messages.subscribe(print)
"""
HASTY_LOOP = """
import asyncio, sys
from rxsocket import Socket

async def main():
    Socket(sys.argv[1], transport=sys.argv[-1]).messages.subscribe(print)

asyncio.run(main())
"""


@pytest.mark.parametrize(("code", "call"), [(HASTY, "wait()"), (HASTY_LOOP, "await wait_closed()")])
def test_a_program_that_waits_for_nothing_says_so(code: str, call: str, transport: str) -> None:
    """C26: it ends before anything could come, with one line that says what to call."""
    with server(hang()) as peer, running(code, peer.url, transport) as child:
        child.exited()
        assert child.code == 0
        text = "the program ends before the first connection was made; wait for it: call "
        assert child.errors == f"{peer.url}: {text}{call}\n"


RESOLVER = """
import asyncio, os, socket, sys, time
from rxsocket import Socket

proxy, excluded, transport = sys.argv[1:]
os.environ["ALL_PROXY"], os.environ["NO_PROXY"] = proxy, excluded
asked = asyncio.Event()

def hang(host, *args, **options):
    if options.get("flags"):
        raise socket.gaierror("it is no number")
    loop.call_soon_threadsafe(asked.set)
    time.sleep(60)

async def main():
    global loop
    loop = asyncio.get_running_loop()
    socket.getaddrinfo = hang
    made = Socket("ws://feed.test/", transport=transport)
    made.messages.subscribe(print)
    await asked.wait()
    print("asked", flush=True)
    await made.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("proxy", "excluded"),
    [
        ("", ""),
        ("http://proxy.test:3128", ""),
        pytest.param("https://proxy.test:3128", "", marks=pytest.mark.slow),
        pytest.param("http://proxy.test:3128", "feed.test", marks=pytest.mark.slow),
        pytest.param("socks5://127.0.0.1:9", "", marks=[needs("python_socks"), pytest.mark.slow]),
        pytest.param("socks5h://proxy.test:9", "", marks=needs("python_socks")),
    ],
)
def test_a_resolver_that_hangs_keeps_no_program(proxy: str, excluded: str, transport: str) -> None:
    """C26: neither that of the server's name nor that of a proxy's; exit does not wait for it."""
    with running(RESOLVER, proxy, excluded, transport) as child:
        child.wait_for("asked")
        start = time.monotonic()
        took(child.exited() - start, EXIT)
        assert child.code == 0 and child.errors == ""


CLOSED_LOOP = """
import asyncio, json, logging, sys
from rxsocket import NotConnected, Socket
from rxsocket.fleet import ChannelSpec, Fleet

logging.basicConfig(format="%(message)s", stream=sys.stdout)
loop = asyncio.new_event_loop()
if sys.argv[2] == "socket":
    it = Socket(sys.argv[1], loop=loop)
else:
    it = Fleet(sys.argv[1], channel=ChannelSpec(subscribe=json.dumps, by=len), loop=loop)
    it.want([5])
got = asyncio.Event()
it.messages.subscribe(lambda _: got.set(), on_completed=lambda: print("completed"))
loop.run_until_complete(got.wait())
sent = it.send("never") if sys.argv[2] == "socket" else None
loop.close()
it.close().result(1.0)
print("stopped", it.wait(1.0))
if sent is not None:
    try:
        sent.result(1.0)
    except NotConnected as error:
        print("not sent:", error)
it.messages.subscribe(on_error=print)
"""


@pytest.mark.parametrize("kind", ["socket", "fleet"])
def test_a_loop_that_was_closed_is_said(kind: str) -> None:
    """With ``loop=``: nothing can be closed on it any more, streams end, and receipts settle."""
    with server(accept().send("hello").stay()) as peer:
        done = subprocess.run(
            [sys.executable, "-c", CLOSED_LOOP, peer.url, kind],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=stretched(20),
        )
    said = done.stdout
    why = "the event loop was closed before the socket: close the socket first"
    assert why in said and "unexpectedly" not in said + done.stderr
    assert "completed" in said and "stopped True" in said
    assert (f"not sent: {why}" in said) is (kind == "socket")
    assert "the loop given as loop= is closed: pass another one" in said.splitlines()
