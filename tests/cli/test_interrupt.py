"""Ctrl-C and broken pipes, in every state."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from deadlines import stretched, took
from terminal import PATIENCE, Terminal

from rxsocket.testing import accept, hang, server
from rxsocket.testing.script import Script

SOON = 1.5


@contextmanager
def interrupted(*arguments: str, at: str) -> Generator[Terminal, None, None]:
    """A command that is interrupted when it wrote something and the body is over."""
    with Terminal(*arguments) as terminal:
        terminal.until(at)
        yield terminal
        seconds = terminal.interrupt()
        assert terminal.end() == 130
        took(seconds, SOON)
        for noise in ("Traceback", "KeyboardInterrupt", "destroyed", "Fatal"):
            assert noise not in terminal.text


@pytest.mark.parametrize("format", [(), ("--json",)])
def test_while_open(format: tuple[str, ...]) -> None:
    """The server is told goodbye."""
    with server() as s:
        with interrupted("listen", s.url, *format, at="Opened"):
            pass
        s.wait_for(lambda s: s.closes)
        assert s.closes[0].code == 1000


@pytest.mark.slow
def test_while_awaiting_auth() -> None:
    """A refused credential keeps nobody waiting."""
    with server(tokens=["good"]) as s, interrupted("listen", s.url, at="AwaitingAuth"):
        pass


@pytest.mark.slow
def test_while_waiting_for_the_next_attempt() -> None:
    """A backoff is not waited for."""
    with interrupted("listen", "ws://127.0.0.1:1/", at="Waiting"):
        pass


@pytest.mark.parametrize("script", [hang(), accept().freeze()], ids=["handshake", "goodbye"])
@pytest.mark.slow
def test_while_the_server_never_answers(script: Script) -> None:
    """Neither a handshake nor a goodbye without an answer is waited for."""
    with server(script) as s, interrupted("listen", s.url, at="Connecting"):
        s.wait_for(lambda s: s.handshakes, stretched(PATIENCE))


@pytest.mark.slow
def test_while_tcp_is_open_and_silent() -> None:
    """A port that takes connections and is no server is left at once."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        url = f"ws://127.0.0.1:{port.getsockname()[1]}/"
        with interrupted("listen", url, at="Connecting"):
            pass


@pytest.mark.slow
def test_while_nobody_reads_the_output() -> None:
    """A full pipe holds up neither the connection nor Ctrl-C."""
    with server() as s:
        command = [sys.executable, "-m", "rxsocket", "listen", s.url]
        reading, writing = os.pipe()
        process = subprocess.Popen(command, stdout=writing, stdin=subprocess.DEVNULL)
        os.close(writing)
        s.wait_for(lambda s: s.live, stretched(PATIENCE))
        s.push(*["x" * 100_000] * 10)
        os.read(reading, 1)
        process.send_signal(2)
        assert process.wait(stretched(PATIENCE)) == 130
        os.close(reading)
        s.wait_for(lambda s: s.closes)
        assert s.closes[0].code == 1000


@pytest.mark.parametrize("format", [(), ("--json",)])
@pytest.mark.slow
def test_a_broken_pipe_ends_quietly(format: tuple[str, ...]) -> None:
    """With ``| head`` there is neither a traceback nor an error."""
    with server() as s:
        command = [sys.executable, "-m", "rxsocket", "listen", s.url, *format]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout and process.stderr
            s.wait_for(lambda s: s.live, stretched(PATIENCE))
            s.push("one")
            while b"one" not in process.stdout.readline():
                pass
            process.stdout.close()
            s.push("two")
            noise = process.stderr.read().decode()
            assert process.wait(stretched(PATIENCE)) == 0
    for word in ("Traceback", "BrokenPipe", "Exception"):
        assert word not in noise


def test_the_demo() -> None:
    """The demonstration ends at once, too."""
    with interrupted("demo", at="message 1"):
        pass
