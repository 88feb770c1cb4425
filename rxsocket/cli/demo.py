"""``rxsocket demo``: a credential changes on a live socket, and every step of it is verified.

Who watches a demonstration: everything that happened, in order, and the wait for one thing.

The look of the demonstration: numbered steps, what the library does, what happened.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import reactivex
from reactivex import abc
from reactivex.disposable import CompositeDisposable
from rich.rule import Rule
from rich.text import Text

from rxsocket.auth.outcomes import AuthChange, InEffect, Refused
from rxsocket.cli.output import Happening, console, in_words, payload, printable, style
from rxsocket.errors import SocketError
from rxsocket.events import (
    AwaitingAuth,
    Cause,
    Closed,
    Ended,
    Event,
    Message,
    Opened,
    Rejected,
)
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.streams.receipts import Receipt
from rxsocket.testing import server
from rxsocket.testing.server import Server

__all__ = ["Screen", "StepFailed", "Witness", "demo", "play"]


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
        name, text = type(happening).__name__, in_words(happening)
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


E = TypeVar("E", bound=Event)
T = TypeVar("T")


class StepFailed(Exception):
    """What should have happened did not."""


class Witness:
    """One subscriber of a socket's messages, for all of its connections, and one of its events.

    Args:
        patience: Seconds within which each thing has to happen.
        limit: Seconds within which all of them have to.
        show: Called with each thing that is looked at.

    Attributes:
        messages: How many messages the subscriber got.
        endings: How its stream ended: ``completed``, or the error; at most one of them.
    """

    def __init__(self, patience: float, limit: float, show: Callable[[Happening], None]) -> None:
        self.messages = 0
        self.endings: list[str] = []
        self._patience = patience
        self._deadline = time.monotonic() + limit
        self._show = show
        self._seen: SimpleQueue[Event] = SimpleQueue()

    def watch(self, socket: Socket) -> abc.DisposableBase:
        """Subscribe."""
        return CompositeDisposable(
            socket.events.subscribe(self._seen.put, lambda _: None),
            socket.messages.subscribe(
                self._message,
                lambda error: self.endings.append(str(error)),
                lambda: self.endings.append("completed"),
            ),
        )

    def expect(
        self, kind: type[E], what: str, matches: Callable[[E], object] = lambda _: True
    ) -> E:
        """Wait for an event.

        Args:
            kind: Its type.
            what: It, in words.
            matches: Whether it is the right one.

        Raises:
            StepFailed: If it does not come in time.
        """
        until, last = time.monotonic() + self._left(), "nothing"
        while True:
            try:
                event = self._seen.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise StepFailed(f"expected {what}; the last thing seen: {last}") from None
            self._show(event)
            if isinstance(event, kind) and matches(event):
                return event
            last = f"{type(event).__name__} ({in_words(event)})"

    def outcome(self, receipt: Receipt[Any], kind: type[T], what: str) -> T:
        """Wait for the outcome of something asked for.

        Raises:
            StepFailed: If it is another one, or does not come in time.
        """
        try:
            outcome = receipt.result(self._left())
        except TimeoutError:
            raise StepFailed(f"expected {what}; there is no outcome yet") from None
        if not isinstance(outcome, kind):
            raise StepFailed(f"expected {what}; the outcome: {outcome!r}")
        return outcome

    def _left(self) -> float:
        return max(0.0, min(self._patience, self._deadline - time.monotonic()))

    def _message(self, data: Any) -> None:
        self.messages += 1


USERS = {"token-of-anna": "anna", "token-of-ben": "ben", "token-of-clara": "clara"}
PATIENCE = 3.0
LIMIT = 11.0
FAREWELL = 0.5
EACH = 3
PACE = timedelta(milliseconds=150)
BREATH = timedelta(milliseconds=600)


def demo() -> int:
    """Play the demonstration against a server of its own.

    Returns:
        The exit code: 0 if every step happened, else 1.
    """
    try:
        with server(tokens=USERS) as door:
            return play(door, Screen())
    except OSError as error:
        Screen().failed(f"The demo's own server did not start: {error}")
        return 1


def play(door: Server, screen: Screen, patience: float = PATIENCE) -> int:
    """Play the demonstration.

    Args:
        door: The server; it has to let in the tokens of ``USERS`` and no other.
        screen: Where to show it.
        patience: Seconds within which each thing has to happen.

    Returns:
        The exit code: 0 if every step happened, else 1.
    """
    witness = Witness(patience, LIMIT, screen.happened)
    socket = Socket(door.url, auth={"token": "token-of-anna"}, close_timeout=FAREWELL)
    acts = _Acts(door, screen, witness, socket)
    try:
        acts.connect()
        acts.change()
        acts.refused()
        acts.recover()
        acts.close()
    except (StepFailed, SocketError) as error:
        screen.failed(str(error))
        return 1
    finally:
        with suppress(TimeoutError):
            socket.close().result(2 * FAREWELL)
    return 0


class _Acts:
    def __init__(self, door: Server, screen: Screen, witness: Witness, socket: Socket) -> None:
        self._door = door
        self._screen = screen
        self._witness = witness
        self._socket = socket

    def connect(self) -> None:
        """The first connection."""
        self._screen.step(
            "Connect with a token",
            "A socket connects when somebody subscribes; one subscriber of its messages stays for "
            "the whole demo.",
        )
        self._screen.code('socket = Socket(url, auth={"token": "***"})  # anna\'s')
        self._screen.code("socket.messages.subscribe(show)")
        self._witness.watch(self._socket)
        self._witness.expect(Opened, "the connection to open", lambda event: event.epoch == 1)
        self._messages_for("anna")
        self._verified("connected as anna")

    def change(self) -> None:
        """Another credential, on the live socket."""
        self._screen.step(
            "Change the token on the live socket",
            "The socket closes the connection of the old token and opens one with the new; the "
            "messages go on for the same subscriber.",
        )
        receipt = self._set_auth("token-of-ben")
        self._closed()
        self._witness.expect(Opened, "the connection to re-open with the new token")
        self._messages_for("ben")
        self._witness.outcome(receipt, InEffect, "the new token to be in effect")
        self._verified("closed, re-opened, and every message since is for ben")

    def refused(self) -> None:
        """A credential that the server does not let in."""
        self._screen.step(
            "Set a token that the server refuses",
            "A refusal ends no stream: the socket stops dialling and awaits another token.",
        )
        receipt = self._set_auth("a-token-that-expired")
        self._closed()
        self._witness.expect(
            Rejected, "the server to refuse the token with 401", lambda event: event.status == 401
        )
        self._witness.expect(AwaitingAuth, "the socket to await another token")
        self._screen.happened(
            self._witness.outcome(receipt, Refused, "the outcome to be a refusal")
        )
        state = self._socket.state.value
        if state is not State.AWAITING_AUTH or self._witness.endings:
            raise StepFailed(f"expected to await a token, all streams alive; state: {state!r}")
        self._verified(f"the state is {state!r}, and no stream ended")

    def recover(self) -> None:
        """A good credential after the refused one."""
        self._screen.step(
            "Recover with a good token",
            "The next token is tried at once; nobody has to subscribe again.",
        )
        receipt = self._set_auth("token-of-clara")
        self._witness.expect(Opened, "the connection to open with the good token")
        self._messages_for("clara")
        self._witness.outcome(receipt, InEffect, "the good token to be in effect")
        self._verified("the same subscriber gets the messages for clara")

    def close(self) -> None:
        """The end."""
        self._screen.step(
            "Close", "Closing says goodbye to the server and completes every stream, once."
        )
        self._screen.code("socket.close()")
        closing = self._socket.close()
        self._witness.expect(Ended, "the socket to end", lambda event: event.error is None)
        self._witness.outcome(closing, type(None), "the closing handshake to be over")
        endings, messages = self._witness.endings, self._witness.messages
        if endings != ["completed"]:
            raise StepFailed(f"expected the subscriber to complete once; it got: {endings}")
        if messages < EACH * len(USERS):
            raise StepFailed(f"expected {EACH} messages for each of {len(USERS)}, not {messages}")
        self._screen.verified(
            f"one subscriber, {len(self._door.handshakes)} handshakes, {len(USERS)} connections, "
            f"{messages} messages, 1 completion, 0 errors"
        )

    def _set_auth(self, token: str) -> Receipt[AuthChange]:
        whose = USERS.get(token, "nobody")
        self._screen.code(f'socket.set_auth({{"token": "***"}})  # {whose}\'s')
        return self._socket.set_auth({"token": token})

    def _closed(self) -> None:
        self._witness.expect(
            Closed,
            "the connection of the old token to close",
            lambda event: event.cause is Cause.AUTH_CHANGED,
        )

    def _messages_for(self, user: str) -> None:
        with _pushing(self._door):
            for number in range(1, EACH + 1):
                self._witness.expect(
                    Message,
                    f"message {number} of {EACH} for {user}",
                    lambda event: user in event.data,
                )

    def _verified(self, text: str) -> None:
        self._screen.verified(text)
        reactivex.timer(BREATH).run()


def _pushing(door: Server) -> abc.DisposableBase:
    """Push numbered messages, each for the user whose token came last, until disposed."""

    def push(number: int) -> None:
        credential = door.handshakes[-1].credential or ""
        door.push(f"for {USERS.get(credential, 'nobody')}: message {number + 1}")

    return reactivex.interval(PACE).subscribe(push)
