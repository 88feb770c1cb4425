"""A command in a process of its own, read line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Self

from deadlines import stretched

PATIENCE = 10.0


class Terminal:
    """The command ``rxsocket`` with pipes for its input and output."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rxsocket", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
        )
        self._changed = threading.Condition()
        self._lines: dict[str, list[str]] = {"out": [], "err": []}
        assert self.process.stdout and self.process.stderr
        streams = {"out": self.process.stdout, "err": self.process.stderr}
        self._readers = [
            threading.Thread(target=self._read, args=item, daemon=True) for item in streams.items()
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.end()

    def __repr__(self) -> str:
        return f"<Terminal {self.process.args!r}:\n{self.text}>"

    @property
    def out(self) -> list[str]:
        """The lines on standard output."""
        return self._lines["out"]

    @property
    def err(self) -> list[str]:
        """The lines on standard error."""
        return self._lines["err"]

    @property
    def text(self) -> str:
        """Everything it wrote."""
        return "\n".join(self.out + self.err)

    def until(self, what: str, times: int = 1, patience: float = PATIENCE) -> None:
        """Wait for lines that hold a text."""
        self._wait(
            lambda: sum(what in line for line in self.out + self.err) >= times, what, patience
        )

    def say(self, line: str) -> None:
        """Write a line on its standard input."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def hang_up(self) -> None:
        """End its standard input."""
        assert self.process.stdin
        self.process.stdin.close()

    def interrupt(self) -> float:
        """Ctrl-C: the seconds until it ended."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(stretched(PATIENCE))
        return time.monotonic() - start

    def end(self) -> int:
        """Wait for its end: the exit code."""
        code = self.process.wait(stretched(PATIENCE * 2))
        for reader in self._readers:
            reader.join(stretched(PATIENCE))  # a process that it left behind may have the pipe
            if reader.is_alive():
                return code
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed:
                stream.close()
        return code

    def _read(self, name: str, stream: IO[bytes]) -> None:
        for line in stream:
            with self._changed:
                self._lines[name].append(line.decode().rstrip("\r\n"))
                self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], what: str, patience: float) -> None:
        with self._changed:
            there = self._changed.wait_for(condition, stretched(patience))
        assert there, f"no {what!r} in:\n{self.text}"
