"""The look of the demonstration: numbered steps, what the library does, what happened."""

from __future__ import annotations

import sys

from rich.rule import Rule
from rich.text import Text

from rxsocket.cli.paper import console
from rxsocket.cli.wording import Happening, payload, printable, sentence, style
from rxsocket.events import Message

__all__ = ["Screen"]


class Screen:
    """Writes the demonstration on standard output; in colours if that is a terminal."""

    def __init__(self) -> None:
        self._console = console(sys.stdout)
        self._step = (0, "")

    def step(self, title: str, explanation: str) -> None:
        """A step begins."""
        number = self._step[0] + 1
        self._step = (number, title)
        self._console.print()
        self._console.print(Rule(f"{number}. {title}", align="left", style="cyan"))
        self._console.print(Text(explanation, "italic"), soft_wrap=False)

    def code(self, line: str) -> None:
        """What is called."""
        self._console.print(Text.assemble("  ", (">>> ", "dim"), (line, "bold cyan")))

    def happened(self, happening: Happening) -> None:
        """What came of it."""
        name, text = type(happening).__name__, sentence(happening)
        if isinstance(happening, Message):
            name, text = "message", payload(happening.data)
        self._console.print(
            Text.assemble("  ", (f"{name:<13}", style(happening)), " ", printable(text))
        )

    def verified(self, text: str) -> None:
        """A step, or all of it, went as told."""
        self._console.print(Text.assemble("  ", ("ok", "bold green"), f" {text}"))

    def failed(self, text: str) -> None:
        """The step that is shown did not happen."""
        number, title = self._step
        self._console.print()
        self._console.print(Text(f"Step {number} ({title}) did not happen: {text}", "bold red"))
