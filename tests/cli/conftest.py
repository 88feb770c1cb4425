"""What the tests of the command line share."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from venue import Caps, VenueServer

from rxsocket.cli import main


@dataclass(frozen=True)
class Done:
    """A command that ended.

    Attributes:
        code: Its exit code.
        out: The lines on standard output.
        err: The lines on standard error.
    """

    code: object
    out: list[str]
    err: list[str]

    @property
    def text(self) -> str:
        """Everything it wrote."""
        return "\n".join(self.out + self.err)


Run: TypeAlias = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command to its end in this process; without signals or input, that is the same."""
    logger = logging.getLogger("rxsocket")
    handlers, level = list(logger.handlers), logger.level

    def command(*arguments: str, environment: Mapping[str, str] | None = None) -> Done:
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        written = capsys.readouterr()
        return Done(ended.value.code, written.out.splitlines(), written.err.splitlines())

    yield command
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def venue() -> Iterator[VenueServer]:
    with VenueServer(Caps(channels=5, connects="20/s", slack=0.5)) as server:
        server.feed(rate=20.0, tick=0.02)
        yield server
