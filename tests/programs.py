"""A program of its own that a test runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from deadlines import stretched, without_slow_callbacks

__all__ = ["Program"]


class Program:
    """A program that runs, the lines that it prints, and how it ended."""

    def __init__(self, command: Sequence[str], folder: Path, **environ: str) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Send a signal, if any, and wait for the end: the exit code and what was printed."""
        if number is not None:
            self.process.send_signal(number)
        out, noise = self.process.communicate(timeout=stretched(15.0))
        return self.process.returncode, out, without_slow_callbacks(noise)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
