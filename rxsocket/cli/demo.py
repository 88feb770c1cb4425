"""``rxsocket demo``: a credential changes on a live socket, and every step of it is verified."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import reactivex
from reactivex import abc

from rxsocket.auth.outcomes import AuthChange, InEffect, Refused
from rxsocket.auth.strategies import handover
from rxsocket.cli.demo_output import DemoOutput, WaitForKey
from rxsocket.cli.output import in_words
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
    Waiting,
)
from rxsocket.policy.backoff import Backoff
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.streams.receipts import Receipt
from rxsocket.testing import server
from rxsocket.testing.server import Server

E = TypeVar("E", bound=Event)
T = TypeVar("T")

NEXT_OF_CLARA = "next-token-of-clara"
USERS = {
    "token-of-anna": "anna",
    "token-of-ben": "ben",
    "token-of-clara": "clara",
    NEXT_OF_CLARA: "clara",
}
"""The tokens that the server accepts, and their users."""
STEP_TIMEOUT = 3.0
DEMO_TIMEOUT = 15.0
CLOSE_TIMEOUT = 0.5
EACH = 3
"""Messages that each user gets."""
PUSH_INTERVAL = timedelta(milliseconds=150)
PAUSE = timedelta(milliseconds=600)


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
        self._received: list[str] = []
        self._pushed = 0
        self._opened = 0
        self._ends: list[str] = []
        self.socket = Socket(
            peer.url,
            auth={"token": "token-of-anna"},
            identity=_user_of,
            on_auth_change=handover(dedupe=lambda message: message),
            backoff=Backoff(first=0.5, base=0.5),
            close_timeout=CLOSE_TIMEOUT,
        )

    def connect(self) -> None:
        self._output.step(
            "Connect with a token",
            "A socket connects when somebody subscribes; one subscriber of its messages stays for "
            "the whole demo.",
        )
        self._output.code('socket = Socket(url, auth={"token": "***"})  # A: anna\'s', "A")
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
        receipt = self._set_auth("token-of-ben", "B")
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
        receipt = self._set_auth("a-token-that-expired", "bad")
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
            "The next token is tried at once; nobody has to subscribe again. It becomes connection "
            "4: each attempt has a number, and number 3 was refused.",
        )
        receipt = self._set_auth("token-of-clara", "C")
        self._expect(Opened, "the connection to open with the good token")
        self._messages_for("clara")
        self._outcome(receipt, InEffect, "the good token to be in effect")
        self._verified("the same subscriber gets the messages for clara")

    def lose_the_link(self) -> None:
        self._output.step(
            "Lose the link",
            "The server vanishes without a goodbye. The socket waits a moment, longer after each "
            "failure, and connects again with the same token.",
        )
        self._peer.drop()
        self._expect(Closed, "the link to be lost", lambda event: event.cause is Cause.LOST)
        self._expect(Waiting, "the socket to wait before the next attempt")
        self._expect(Opened, "the connection to open again")
        self._messages_for("clara")
        self._verified("it came back by itself, and told how long the gap was")

    def renew(self) -> None:
        self._output.step(
            "Renew the token without a gap",
            "It is clara's next token, so nothing has to end: the new connection is made beside "
            "the old one and takes over in the middle of the messages.",
        )
        before = len(self._received)
        with self._pushing():
            self._expect(Message, "a message over the old connection")
            receipt = self._set_auth(NEXT_OF_CLARA, "C'")
            opened = self._expect(Opened, "the next connection to take over")
            for number in range(1, EACH + 1):
                self._expect(Message, f"message {number} of {EACH} over the new connection")
        self._outcome(receipt, InEffect, "the next token to be in effect")
        numbers = [int(text.rpartition(" ")[2]) for text in self._received[before:]]
        if opened.gap or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise StepFailed(f"expected no gap; it was {opened.gap} s, the messages: {numbers}")
        self._verified("two connections, no gap, and no message is missing or double")

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
        self._output.verified(
            f"one subscriber, {len(self._peer.handshakes)} handshakes, {self._opened} connections, "
            f"{len(self._received)} messages, 1 completion, 0 errors"
        )
        self._output.picture()

    def _set_auth(self, token: str, label: str) -> Receipt[AuthChange]:
        whose = f"{label}: {USERS.get(token, 'nobody')}'s"
        self._output.code(f'socket.set_auth({{"token": "***"}})  # {whose}', label)
        return self.socket.set_auth({"token": token})

    def _closed(self) -> None:
        self._expect(
            Closed,
            "the connection of the old token to close",
            lambda event: event.cause is Cause.AUTH_CHANGED,
        )

    def _messages_for(self, user: str) -> None:
        with self._pushing():
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
            self._opened += isinstance(event, Opened)
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
        left = self._deadline + self._output.waited - time.monotonic()
        return max(0.0, min(self._timeout, left))

    def _on_message(self, message: Any) -> None:
        self._received.append(message)

    def _pushing(self) -> abc.DisposableBase:
        """Push numbered messages, each for the user whose token came last, until disposed."""

        def push(_: int) -> None:
            credential = self._peer.handshakes[-1].credential or ""
            self._pushed += 1
            self._peer.push(f"for {USERS.get(credential, 'nobody')}: message {self._pushed}")

        return reactivex.interval(PUSH_INTERVAL).subscribe(push)


def _user_of(credential: str | Mapping[str, Any]) -> str:
    """Who a credential's value is: an opaque token does not say it by itself."""
    token = credential if isinstance(credential, str) else credential["token"]
    return USERS.get(token, "nobody")


def demo(wait: WaitForKey | None = None) -> int:
    """Play the demonstration against a server of its own; return the exit code.

    Args:
        wait: Called before each step but the first; ``None`` to play it through.
    """
    try:
        with server(tokens=USERS) as peer:
            return run_steps(peer, DemoOutput(wait))
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
        steps.lose_the_link()
        steps.renew()
        steps.close()
    except (StepFailed, SocketError) as error:
        output.failed(str(error))
        return 1
    finally:
        with suppress(TimeoutError):
            steps.socket.close().result(2 * CLOSE_TIMEOUT)
    return 0
