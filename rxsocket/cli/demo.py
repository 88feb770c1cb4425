"""``rxsocket demo``: a credential changes on a live socket, and every step of it is verified."""

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
from rich.rule import Rule
from rich.text import Text

from rxsocket.auth.outcomes import AuthChange, InEffect, Refused
from rxsocket.cli.output import OutputItem, console, in_words, payload, style
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
from rxsocket.texts import printable

E = TypeVar("E", bound=Event)
T = TypeVar("T")

USERS = {"token-of-anna": "anna", "token-of-ben": "ben", "token-of-clara": "clara"}
"""The tokens that the server accepts, and their users."""
STEP_TIMEOUT = 3.0
DEMO_TIMEOUT = 11.0
CLOSE_TIMEOUT = 0.5
EACH = 3
"""Messages that each user gets."""
PUSH_INTERVAL = timedelta(milliseconds=150)
PAUSE = timedelta(milliseconds=600)


class DemoOutput:
    """Writes the demonstration on standard output; in colours if that is a terminal."""

    def __init__(self) -> None:
        self._console = console(sys.stdout)
        self._step = (0, "")

    def step(self, title: str, explanation: str) -> None:
        number = self._step[0] + 1
        self._step = (number, title)
        self._console.print()
        self._console.print(Rule(f"{number}. {title}", align="left", style="cyan"))
        self._console.print(Text(explanation, "italic"), soft_wrap=False)

    def code(self, line: str) -> None:
        self._console.print(Text.assemble("  ", (">>> ", "dim"), (line, "bold cyan")))

    def show(self, item: OutputItem) -> None:
        name, text = type(item).__name__, in_words(item)
        if isinstance(item, Message):
            name, text = "message", payload(item.data)
        self._console.print(Text.assemble("  ", (f"{name:<13}", style(item)), " ", printable(text)))

    def verified(self, text: str) -> None:
        self._console.print(Text.assemble("  ", ("ok", "bold green"), f" {text}"))

    def failed(self, text: str) -> None:
        number, title = self._step
        self._console.print()
        self._console.print(Text(f"Step {number} ({title}) did not happen: {text}", "bold red"))


class StepFailed(Exception):
    """An event or an outcome of a step did not come."""


class Demo:
    """The steps of the demonstration. Each waits for what has to happen in it, and shows it."""

    def __init__(self, peer: Server, output: DemoOutput, timeout: float) -> None:
        self._peer = peer
        self._output = output
        self._timeout = timeout
        self._deadline = time.monotonic() + DEMO_TIMEOUT
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._messages = 0
        self._ends: list[str] = []
        self.socket = Socket(peer.url, auth={"token": "token-of-anna"}, close_timeout=CLOSE_TIMEOUT)

    def connect(self) -> None:
        self._output.step(
            "Connect with a token",
            "A socket connects when somebody subscribes; one subscriber of its messages stays for "
            "the whole demo.",
        )
        self._output.code('socket = Socket(url, auth={"token": "***"})  # anna\'s')
        self._output.code("socket.messages.subscribe(show)")
        self.socket.events.subscribe(self._events.put, lambda _: None)
        self.socket.messages.subscribe(
            self._on_message,
            lambda error: self._ends.append(str(error)),
            lambda: self._ends.append("completed"),
        )
        self._expect(Opened, "the connection to open", lambda event: event.epoch == 1)
        self._messages_for("anna")
        self._verified("connected as anna")

    def change(self) -> None:
        self._output.step(
            "Change the token on the live socket",
            "The socket closes the connection of the old token and opens one with the new; the "
            "messages go on for the same subscriber.",
        )
        receipt = self._set_auth("token-of-ben")
        self._closed()
        self._expect(Opened, "the connection to re-open with the new token")
        self._messages_for("ben")
        self._outcome(receipt, InEffect, "the new token to be in effect")
        self._verified("closed, re-opened, and every message since is for ben")

    def be_refused(self) -> None:
        self._output.step(
            "Set a token that the server refuses",
            "A refusal ends no stream: the socket stops dialling and awaits another token.",
        )
        receipt = self._set_auth("a-token-that-expired")
        self._closed()
        self._expect(
            Rejected, "the server to refuse the token with 401", lambda event: event.status == 401
        )
        self._expect(AwaitingAuth, "the socket to await another token")
        self._output.show(self._outcome(receipt, Refused, "the outcome to be a refusal"))
        state = self.socket.state.value
        if state is not State.AWAITING_AUTH or self._ends:
            raise StepFailed(f"expected to await a token, all streams alive; state: {state!r}")
        self._verified(f"the state is {state!r}, and no stream ended")

    def recover(self) -> None:
        self._output.step(
            "Recover with a good token",
            "The next token is tried at once; nobody has to subscribe again.",
        )
        receipt = self._set_auth("token-of-clara")
        self._expect(Opened, "the connection to open with the good token")
        self._messages_for("clara")
        self._outcome(receipt, InEffect, "the good token to be in effect")
        self._verified("the same subscriber gets the messages for clara")

    def close(self) -> None:
        self._output.step(
            "Close", "Closing says goodbye to the server and completes every stream, once."
        )
        self._output.code("socket.close()")
        closing = self.socket.close()
        self._expect(Ended, "the socket to end", lambda event: event.error is None)
        self._outcome(closing, type(None), "the closing handshake to be over")
        if self._ends != ["completed"]:
            raise StepFailed(f"expected the subscriber to complete once; it got: {self._ends}")
        if self._messages < EACH * len(USERS):
            wanted = f"{EACH} messages for each of {len(USERS)}"
            raise StepFailed(f"expected {wanted}, not {self._messages}")
        self._output.verified(
            f"one subscriber, {len(self._peer.handshakes)} handshakes, {len(USERS)} connections, "
            f"{self._messages} messages, 1 completion, 0 errors"
        )

    def _set_auth(self, token: str) -> Receipt[AuthChange]:
        whose = USERS.get(token, "nobody")
        self._output.code(f'socket.set_auth({{"token": "***"}})  # {whose}\'s')
        return self.socket.set_auth({"token": token})

    def _closed(self) -> None:
        self._expect(
            Closed,
            "the connection of the old token to close",
            lambda event: event.cause is Cause.AUTH_CHANGED,
        )

    def _messages_for(self, user: str) -> None:
        with _pushing(self._peer):
            for number in range(1, EACH + 1):
                self._expect(
                    Message,
                    f"message {number} of {EACH} for {user}",
                    lambda event: user in event.data,
                )

    def _verified(self, text: str) -> None:
        self._output.verified(text)
        reactivex.timer(PAUSE).run()

    def _expect(
        self, kind: type[E], what: str, matches: Callable[[E], object] = lambda _: True
    ) -> E:
        """Wait for an event; ``what`` names it in an error."""
        until, last = time.monotonic() + self._remaining(), "nothing"
        while True:
            try:
                event = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise StepFailed(f"expected {what}; the last thing seen: {last}") from None
            self._output.show(event)
            if isinstance(event, kind) and matches(event):
                return event
            last = f"{type(event).__name__} ({in_words(event)})"

    def _outcome(self, receipt: Receipt[Any], kind: type[T], what: str) -> T:
        try:
            outcome = receipt.result(self._remaining())
        except TimeoutError:
            raise StepFailed(f"expected {what}; there is no outcome yet") from None
        if not isinstance(outcome, kind):
            raise StepFailed(f"expected {what}; the outcome: {outcome!r}")
        return outcome

    def _remaining(self) -> float:
        return max(0.0, min(self._timeout, self._deadline - time.monotonic()))

    def _on_message(self, _: Any) -> None:
        self._messages += 1


def _pushing(peer: Server) -> abc.DisposableBase:
    """Push numbered messages, each for the user whose token came last, until disposed."""

    def push(number: int) -> None:
        credential = peer.handshakes[-1].credential or ""
        peer.push(f"for {USERS.get(credential, 'nobody')}: message {number + 1}")

    return reactivex.interval(PUSH_INTERVAL).subscribe(push)


def demo() -> int:
    """Play the demonstration against a server of its own; return the exit code."""
    try:
        with server(tokens=USERS) as peer:
            return run_steps(peer, DemoOutput())
    except OSError as error:
        DemoOutput().failed(f"The demo's own server did not start: {error}")
        return 1


def run_steps(peer: Server, output: DemoOutput, timeout: float = STEP_TIMEOUT) -> int:
    """Play the demonstration; return the exit code: 0 if every step happened, else 1.

    Args:
        peer: A server that accepts the tokens of ``USERS`` and no other.
        output: Shows it.
        timeout: Seconds for each event and outcome.
    """
    steps = Demo(peer, output, timeout)
    try:
        steps.connect()
        steps.change()
        steps.be_refused()
        steps.recover()
        steps.close()
    except (StepFailed, SocketError) as error:
        output.failed(str(error))
        return 1
    finally:
        with suppress(TimeoutError):
            steps.socket.close().result(2 * CLOSE_TIMEOUT)
    return 0
