"""C20, C24 to C26: every action of a bound socket runs on its loop, and every receipt settles."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from internals import SocketLoop, engine_of
from reactivex import operators as ops

from rxsocket import NotConnected, Socket, State
from rxsocket.testing import accept, server


@pytest.fixture
def strays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of actions that ran on another thread than that of the loop that was bound."""
    found: list[str] = []
    run_pending = SocketLoop._run_pending

    def watched(self: SocketLoop) -> None:
        before = self._loop
        if before is not None and not self.is_current and not before.is_closed():
            found.append(threading.current_thread().name)
        run_pending(self)

    monkeypatch.setattr(SocketLoop, "_run_pending", watched)
    return found


def test_a_send_on_an_idle_socket_starts_it_on_its_loop(strays: list[str]) -> None:
    """A plain script, and a thread that sends on an idle socket with ``loop=``."""
    with server() as far:
        for _ in range(50):
            socket = Socket(far.url)
            assert socket.send("x").result(5).epoch == 1
            socket.close().result(5)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="the user's loop")
        thread.start()
        try:
            for _ in range(50):
                socket = Socket(far.url, loop=loop)
                socket.send("x").result(5)
                socket.close().result(5)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
    assert strays == []


def test_threads_that_start_send_and_close_at_once(strays: list[str]) -> None:
    """8 threads on sockets of two kinds of loop: all receipts settle, and all is left empty."""
    interval = sys.getswitchinterval()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    receipts: list[object] = []

    def work(socket: Socket, number: int) -> None:
        for step in range(20):
            match (number + step) % 4:
                case 0:
                    receipts.append(socket.send(str(step)))
                case 1:
                    socket.messages.subscribe(on_error=lambda _: None).dispose()
                case 2:
                    receipts.append(socket.set_auth({"token": str(step)}))
                case _:
                    receipts.append(socket.close())

    try:
        sys.setswitchinterval(1e-5)
        with server() as far:
            for target in (None, loop):
                socket = Socket(far.url, auth={"token": "0"}, loop=target)
                workers = [threading.Thread(target=work, args=(socket, n)) for n in range(8)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join(20)
                socket.close().result(10)
            deadline = time.monotonic() + 10
            while not all(receipt.done for receipt in receipts):  # type: ignore[attr-defined]
                assert time.monotonic() < deadline, "a receipt never settled"
                time.sleep(0.01)
    finally:
        sys.setswitchinterval(interval)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert strays == []


def test_an_exit_in_an_action_holds_up_no_other() -> None:
    """It leaves the user's loop, which runs on: so does what was asked for after it."""
    loop, ran = asyncio.new_event_loop(), threading.Event()
    exits: list[BaseException] = []
    asked = threading.Barrier(2)

    def run() -> None:
        while not ran.is_set():
            try:
                loop.run_forever()
            except SystemExit as error:
                exits.append(error)

    def leave() -> None:
        socket_loop.run(lambda: inner_ran.append(None))
        asked.wait(5)
        sys.exit(3)

    inner_ran: list[None] = []
    socket_loop = SocketLoop(loop)
    socket_loop.bind()
    thread = threading.Thread(target=run)
    thread.start()
    socket_loop.run(leave)
    socket_loop.run(lambda: None)
    asked.wait(5)
    socket_loop.run(lambda: (ran.set(), loop.stop()))
    thread.join(5)
    loop.close()
    assert ran.is_set()
    assert [type(error) for error in exits] == [SystemExit]
    assert inner_ran == [None]


def test_no_lock_is_held_while_an_observer_runs() -> None:
    """Two idle sockets whose ``auth`` mirror each other, changed from two threads."""
    first = Socket("ws://127.0.0.1:1/", auth={"token": "0"})
    second = Socket("ws://127.0.0.1:1/", auth={"token": "0"})

    def mirror(other: Socket) -> Callable[[object], object]:
        return lambda _: other.set_auth({"token": "mirrored"})

    first.auth.subscribe(mirror(second))
    second.auth.subscribe(mirror(first))

    def change(socket: Socket) -> None:
        for step in range(300):
            socket.set_auth({"token": str(step)})

    threads = [threading.Thread(target=change, args=(one,), daemon=True) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    for socket in (first, second):
        socket.close().result(5)


def test_the_end_of_asyncio_run_beside_an_async_for() -> None:
    """The loop ends with a task in ``async for``: nothing is left, and ``close()`` settles."""
    with server() as far:
        for _ in range(10):
            socket = Socket(far.url)

            async def consume(socket: Socket = socket) -> None:
                async for _ in socket.messages:
                    pass

            async def main(consume: Callable[[], Any] = consume, socket: Socket = socket) -> None:
                opened = asyncio.Event()
                socket.state.pipe(ops.filter(lambda state: state is State.OPEN)).subscribe(
                    lambda _: opened.set()
                )
                task = asyncio.ensure_future(consume())
                await opened.wait()
                assert not task.done()

            asyncio.run(main())
            socket.close().result(5)
        far.wait_for(lambda far: far.connections == 0)


def test_an_action_that_raises_fails_its_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours must not make a caller wait for ever."""
    socket = Socket("ws://127.0.0.1:1/")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(engine_of(socket), "_close", broken)
    with pytest.raises(Exception, match="ZeroDivisionError: a bug"):
        socket.close().result(5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_starts_afresh() -> None:
    """A new socket of a child works, and those of its parent have ended there (C24)."""
    program = """
        import os, sys
        from rxsocket import NotConnected, Socket
        from rxsocket.testing import server

        with server() as far:
            parent = Socket(far.url)
            keep = parent.connect()
            parent.send("parent").result(5)
            child = os.fork()
            if child == 0:
                try:
                    Socket(far.url).send("child").result(5)
                    parent.close().result(5)  # ended, in this process
                    try:
                        parent.send("lost").result(5)
                    except NotConnected:
                        with parent:
                            parent.send("anew").result(5)
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    os._exit(1)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            parent.send("again").result(5)
            keep.dispose()
            far.wait_for(lambda far: len(far.received) == 4)
            assert [m for _, m in far.received] == ["parent", "child", "anew", "again"]
            assert len(far.handshakes) == 3  # the parent's connection was left alone
            sys.exit(os.waitstatus_to_exitcode(status))
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


CALLS: dict[str, Callable[[Socket], Any]] = {
    "subscribe": lambda socket: socket.messages.subscribe(print),
    "on_message": lambda socket: socket.on_message(print),
    "a listener": lambda socket: socket.listener("t").subscribe(print),
    "connect": lambda socket: socket.connect(),
    "send": lambda socket: socket.send("x").result(5),
    "request": lambda socket: socket.request("?", match=bool).run(),
}


def no_thread(monkeypatch: pytest.MonkeyPatch) -> str:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    return "the thread that sockets share cannot be started: can't start new thread"


def no_file(monkeypatch: pytest.MonkeyPatch) -> str:
    def new_event_loop() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio, "new_event_loop", new_event_loop)
    return "the thread that sockets share cannot be started: [Errno 24] Too many open files"


def greenlets(monkeypatch: pytest.MonkeyPatch) -> str:
    patched = SimpleNamespace(is_module_patched=lambda name: name == "select")
    monkeypatch.setitem(sys.modules, "gevent.monkey", patched)
    return "gevent has patched what asyncio needs"


@pytest.mark.parametrize("lacking", [no_thread, no_file, greenlets])
@pytest.mark.parametrize("name", CALLS)
def test_what_cannot_start_says_so_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, lacking: Any, name: str
) -> None:
    """C23, C24: the call fails in words; nobody is subscribed, and later calls work."""
    with server() as far:
        far.default = accept().echo()
        socket = Socket(far.url)
        with monkeypatch.context() as lack:
            text = lacking(lack)
            with pytest.raises((RuntimeError, NotConnected)) as failed:
                CALLS[name](socket)
        assert text in str(failed.value)
        assert socket.messages.passive() is not None and "0 observers" in repr(socket.messages)
        assert socket.send("again").result(5).epoch == 1
        far.wait_for(lambda far: far.connections == 0)  # nothing holds it open


@pytest.mark.parametrize("name", CALLS)
def test_a_loop_that_is_closed(name: str) -> None:
    """C24: it says so, when it is passed, and where it would be used."""
    loop = asyncio.new_event_loop()
    socket = Socket("ws://127.0.0.1:1/", loop=loop)
    loop.close()
    with pytest.raises((RuntimeError, NotConnected), match=r"the loop given as loop= is closed"):
        CALLS[name](socket)
    socket.close().result(5)
    with pytest.raises(ValueError, match=r"^loop: this one is closed"):
        Socket("ws://127.0.0.1:1/", loop=loop)


def test_a_log_that_is_sent_over_the_socket_it_is_about() -> None:
    """C24: asyncio logs that it makes a loop while a socket chooses its own."""
    with server() as far:
        socket = Socket(far.url)

        class Sends(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if "selector" in record.getMessage():
                    socket.send(record.getMessage())

        logger, handler = logging.getLogger("asyncio"), Sends()
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            with socket.messages.subscribe(print):
                far.wait_for(lambda far: far.received)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        socket.close().result(5)
