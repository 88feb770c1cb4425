"""What the demonstration writes: steps, lines that break between words, and a picture."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable

from rich.rule import Rule
from rich.text import Text

from rxsocket.cli.output import OutputItem, console, in_words, payload, style
from rxsocket.events import Cause, Closed, Event, Message, Opened, Rejected
from rxsocket.texts import printable

WIDTH = 80
"""Of a line, at most: a wider terminal makes it no easier to read."""
NAME = 13
INDENT = 2 + NAME + 1

WaitForKey = Callable[[], None]
"""Returns when somebody who watches wants to go on."""


class DemoOutput:
    """Writes the demonstration on standard output; in colours if that is a terminal.

    Args:
        wait: Called before each step but the first; ``None`` to wait for nobody.
    """

    def __init__(self, wait: WaitForKey | None = None) -> None:
        self._console = console(sys.stdout)
        self._console.width = min(self._console.width, WIDTH)
        self._step = (0, "")
        self._wait = wait
        self.waited = 0.0
        self._picture = Picture()

    def step(self, title: str, explanation: str) -> None:
        number = self._step[0] + 1
        if number > 1:
            self._wait_for_key()
        self._step = (number, title)
        self._console.print()
        self._console.print(Rule(f"{number}. {title}", align="left", style="cyan"))
        for line in textwrap.wrap(explanation, self._console.width):
            self._console.print(Text(line, "italic"))

    def code(self, line: str, credential: str = "") -> None:
        if credential:
            self._picture.credential(credential)
        self._console.print(Text.assemble("  ", (">>> ", "dim"), (line, "bold cyan")))

    def show(self, item: OutputItem) -> None:
        name, text = type(item).__name__, in_words(item)
        if isinstance(item, Message):
            name, text = "message", payload(item.data)
        self._line(name, style(item), text)
        if isinstance(item, Event):
            self._picture.event(item)

    def verified(self, text: str) -> None:
        self._line("ok", "bold green", text)

    def picture(self) -> None:
        """Draw what happened, on three lines."""
        self._console.print()
        for lane in self._picture.lanes(ascii_only=self._console.options.ascii_only):
            self._console.print(Text(lane, "cyan"))

    def failed(self, text: str) -> None:
        number, title = self._step
        self._console.print()
        self._console.print(Text(f"Step {number} ({title}) did not happen: {text}", "bold red"))

    def _line(self, name: str, colour: str, text: str) -> None:
        """A name and a text beside it, which is broken between words only."""
        width = self._console.width - INDENT
        lines = textwrap.wrap(str(printable(text)), width, break_on_hyphens=False) or [""]
        self._console.print(Text.assemble("  ", (f"{name:<{NAME}}", colour), " ", lines[0]))
        for line in lines[1:]:
            self._console.print(" " * INDENT + line)

    def _wait_for_key(self) -> None:
        if self._wait is None:
            return
        began = time.monotonic()
        self._console.print(Text("press a key to go on", "dim"), end="")
        try:
            self._wait()
        finally:
            sys.stdout.write("\r\x1b[K")
            self.waited += time.monotonic() - began


class Picture:
    """A marble diagram: credentials, connections and messages, each event in its own column."""

    _ASCII = str.maketrans("─═╞╡╪✗", "-=[]#x")

    def __init__(self) -> None:
        self._lanes = {"auth": "", "connection": "", "messages": ""}
        self._is_open = False

    def credential(self, label: str) -> None:
        self._column("auth", label)

    def event(self, event: Event) -> None:
        match event:
            case Opened():
                taken_over = self._is_open
                self._is_open = True
                self._column("connection", "╪" if taken_over else "╞")
            case Closed(cause=Cause.HANDED_OVER):
                pass
            case Closed():
                self._is_open = False
                self._column("connection", "╡")
            case Rejected():
                self._column("connection", "✗")
            case Message(data=data):
                self._column("messages", str(data)[-1:])
            case _:
                pass

    def lanes(self, *, ascii_only: bool) -> list[str]:
        drawn = [f"{name:<12}{lane}" for name, lane in self._lanes.items()]
        return [line.translate(self._ASCII) for line in drawn] if ascii_only else drawn

    def _column(self, marked: str, mark: str) -> None:
        room = 0 if mark == "╡" else 1  # behind it; something follows an end at once
        for name, lane in self._lanes.items():
            fill = ("═" if self._is_open else " ") if name == "connection" else "─"
            text = mark if name == marked else fill * len(mark)
            self._lanes[name] = lane + text + fill * room
