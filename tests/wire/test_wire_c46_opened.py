"""C46 on real connections: waiting in a script, on a loop and on the wrong thread; signals."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest

from rxsocket import ConnectionLost, NotConnected, Receipt, Socket, State
from rxsocket.testing import accept, reject, server


def test_a_script_blocks_until_it_is_open() -> None:
    with server(tokens={"a", "b"}) as peer, Socket(peer.url, auth={"token": "a"}) as socket:
        assert socket.opened(10).result().epoch == 1
        socket.set_auth({"token": "b"}).result(10)
        assert socket.opened(10).result().epoch == 2


def test_a_coroutine_awaits_it() -> None:
    async def main() -> int:
        with server() as peer:
            async with Socket(peer.url) as socket:
                with pytest.raises(RuntimeError, match="await the receipt"):
                    socket.opened(10).result()
                return (await socket.opened(10)).epoch

    assert asyncio.run(main()) == 1


def test_on_another_loop_than_that_of_the_socket() -> None:
    """A socket of a script, awaited in an ``asyncio.run`` that comes later."""
    with server() as peer, Socket(peer.url) as socket:

        async def main() -> int:
            return (await socket.opened(10)).epoch

        assert asyncio.run(main()) == 1


def test_it_says_why_it_is_not_open() -> None:
    with server() as peer:
        peer.default = reject(401)
        socket = Socket(peer.url, auth="s3cret-canary")
        with socket, pytest.raises(TimeoutError, match="HTTP 401") as raised:
            socket.opened(0.5).result()
        assert "canary" not in str(raised.value)
        socket = Socket(peer.url, auth="s3cret-canary")
        with socket, pytest.raises(TimeoutError, match=r"^not open within 0.5 s: .*HTTP 401"):
            socket.opened().result(0.5)


def test_a_loop_that_ends_is_an_end() -> None:
    async def main() -> object:
        socket.connect()
        return socket.opened()

    with server() as peer:
        peer.default = reject(503)
        socket = Socket(peer.url)
        receipt = asyncio.run(main())
        with pytest.raises(NotConnected, match="not open: ended"):
            receipt.result(5)  # type: ignore[attr-defined]


def test_ctrl_c_ends_it() -> None:
    program = """
        import os, signal, threading
        from rxsocket import Socket
        from rxsocket.testing import reject, server

        with server() as peer:
            peer.default = reject(503)
            with Socket(peer.url) as socket:
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
                socket.opened().result()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=30
    )
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
@pytest.mark.only("websockets")
def test_close_in_the_handler_of_a_signal() -> None:
    """Whatever it interrupts of the same socket: nothing is locked out, and it ends."""
    closed: list[Receipt[None]] = []
    before = signal.signal(signal.SIGALRM, lambda *_: closed.append(socket.close()))
    try:
        with server(accept().echo()) as peer:
            for step in range(40):
                socket = Socket(peer.url)
                socket.messages.subscribe(on_error=lambda _: None)
                signal.setitimer(signal.ITIMER_REAL, 0.0005 * (step + 1))
                with suppress(NotConnected, ConnectionLost):
                    socket.opened(10).result()
                    while len(closed) <= step:
                        socket.send("a").result(10)
                        socket.opened(10).result()
                while len(closed) <= step:
                    signal.pause()
                closed[step].result(10)
                assert socket.state.value is State.CLOSED
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
