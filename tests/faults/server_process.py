"""The stage: the other process as the tests hold it, and a TCP proxy that misbehaves."""

from __future__ import annotations

import json
import os
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["BadProxy", "Process"]


class Process:
    """A server in another process; see ``server_program.py``.

    Attributes:
        address: Host and port where it listens.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server_program.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = (host, self.ask(do="listen", host=host, port=port))

    @property
    def url(self) -> str:
        """Where to connect to."""
        return f"ws://{self.address[0]}:{self.address[1]}/feed"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, **command: Any) -> Any:
        """Carry out a command; return its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def plays(self, *plays: dict[str, Any]) -> None:
        """What is done to the next connections; whoever comes after them is served."""
        self.ask(do="plays", plays=plays)

    @property
    def seen(self) -> dict[str, Any]:
        """What the server has seen since the last ``plays``."""
        seen: dict[str, Any] = self.ask(do="seen")
        return seen

    def freeze(self) -> None:
        """Stop the process where it is: the kernel still keeps its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process without any goodbye."""
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """End the process when it has no more commands to read."""
        with suppress(ProcessLookupError):
            self.thaw()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class BadProxy:
    """A TCP proxy on loopback that delays, throttles, cuts and black-holes.

    It has no idea of WebSocket: the faults of the test kit are above TCP, these are below it.

    Attributes:
        delay: Seconds that each piece is held back.
        rate: Bytes a second, each way; ``None`` for as many as come.
        hole: Whether it reads and forwards nothing, with the connections left open.
        answer: What it answers to each request by itself; ``None`` to pass it on.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.delay = 0.0
        self.rate: float | None = None
        self.hole = False
        self.answer: bytes | None = None
        self._listening = sockets.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}/feed"
        self._ends: list[sockets.socket] = []
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self.accepted = 0
        self._spawn(self._accept)

    def cut(self) -> None:
        """Reset every connection that there is now, not those that follow at once."""
        for end in tuple(self._ends):
            with suppress(OSError):
                end.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(sockets.SHUT_RDWR)

    def stop(self) -> None:
        """End everything; nothing is left afterwards."""
        self._stopping.set()
        with suppress(OSError):
            self._listening.shutdown(sockets.SHUT_RDWR)
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for end in self._ends:
            end.close()

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            if self.answer is not None:
                with near:
                    near.recv(65536)
                    near.sendall(self.answer)
                continue
            try:
                far = sockets.create_connection(self.target, 5)
            except OSError:
                near.close()
                continue
            self._ends += [near, far]
            self._spawn(self._pump, near, far)
            self._spawn(self._pump, far, near)

    def _pump(self, source: sockets.socket, sink: sockets.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536 if self.rate is None else 256):
                if self.delay:
                    self._stopping.wait(self.delay)
                if self.rate is not None:
                    self._stopping.wait(len(data) / self.rate)
                if not self.hole:
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(sockets.SHUT_RDWR)


def until(predicate: Callable[[], object], timeout: float = 8.0) -> None:
    """Block until something of another process is true; there is no event of it here."""
    deadline = time.monotonic() + timeout
    while not predicate():
        assert time.monotonic() < deadline, f"not within {timeout:g} s"
        time.sleep(0.01)


def descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
