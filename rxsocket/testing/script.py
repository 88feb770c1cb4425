"""What a scripted server does with one handshake: the language of ``server()`` and ``fake()``.

::

    accept().send("welcome").expect("subscribe").wait(0.5).send("tick").close(1012)
    reject(429, headers={"Retry-After": "3"})
    accept(subprotocol="v2").echo()
    hang()

Scripts are values: each step gives a new one, so they can be shared, kept and extended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

Payload: TypeAlias = str | bytes
Predicate: TypeAlias = Callable[[Payload], object]
Messages: TypeAlias = Iterable[Payload] | Callable[[], Iterable[Payload]]


@dataclass(frozen=True, slots=True)
class SendStep:
    message: Payload


@dataclass(frozen=True, slots=True)
class StreamStep:
    messages: Messages
    rate: float | None

    def open_messages(self) -> Iterable[Payload]:
        return self.messages() if callable(self.messages) else self.messages


@dataclass(frozen=True, slots=True)
class ExpectStep:
    what: Payload | Predicate | None

    def matches(self, message: Payload) -> bool:
        if self.what is None:
            return True
        if isinstance(self.what, (str, bytes)):
            return self.what == message
        return bool(self.what(message))


@dataclass(frozen=True, slots=True)
class WaitStep:
    seconds: float


@dataclass(frozen=True, slots=True)
class CloseStep:
    code: int
    reason: str


class LastStep(Enum):
    """Steps without arguments; nothing can follow one of them, or a ``CloseStep``."""

    DROP = "drop"
    FREEZE = "freeze"
    ECHO = "echo"
    STAY = "stay"


Step: TypeAlias = SendStep | StreamStep | ExpectStep | WaitStep | CloseStep | LastStep


@dataclass(frozen=True, slots=True)
class Accept:
    """Open the connection, then go through the steps. Made by :func:`accept`."""

    subprotocol: str | None = None
    pause: float = 0.0
    steps: tuple[Step, ...] = ()

    def delay(self, seconds: float) -> Accept:
        """Answer the handshake only after some seconds."""
        return replace(self, pause=duration(seconds))

    def send(self, *messages: Payload) -> Accept:
        """Send messages, text for ``str``, binary for ``bytes``: ``accept().send("a", b"b")``."""
        for message in messages:
            if not isinstance(message, (str, bytes)):
                raise TypeError(f"send: pass str or bytes, not {type(message).__name__}")
        return self._with_steps(*map(SendStep, messages))

    def stream(self, messages: Messages, rate: float | None = None) -> Accept:
        """Send many messages, each when the client has read enough of those before it.

        The history says how many were sent, not which.

        Args:
            messages: The messages; or a function that makes them, called for each connection.
            rate: Most messages a second; ``None`` for as fast as they are read, which in
                virtual time is at one instant, so an endless feed needs a rate there.

        Examples:
            >>> feed = server(accept().stream(lambda: map(str, itertools.count()), rate=1000))
        """
        if isinstance(messages, (str, bytes)) or not (
            callable(messages) or isinstance(messages, Iterable)
        ):
            kind = type(messages).__name__
            raise TypeError(f"stream: pass an iterable of messages, or a function, not {kind}")
        if rate is not None and not rate > 0:
            raise ValueError(f"stream: pass a rate of more than 0 a second, or None, not {rate}")
        return self._with_steps(StreamStep(messages, rate))

    def expect(self, message: Payload | Predicate | None = None) -> Accept:
        """Wait for one message of the client; ``None`` takes any.

        What does not match is recorded as a failure of the server and ends the script; the
        connection stays open.

        Args:
            message: The message, or a predicate.
        """
        return self._with_steps(ExpectStep(message))

    def wait(self, seconds: float) -> Accept:
        """Do nothing for some seconds: ``accept().wait(2).send("late")``."""
        return self._with_steps(WaitStep(duration(seconds)))

    def close(self, code: int = 1000, reason: str = "") -> Accept:
        """Close: ``accept().close(4401, "expired")``; 1005 sends a close frame without a code."""
        return self._with_steps(CloseStep(closing_code(code), reason))

    def drop(self) -> Accept:
        """Cut the TCP connection, without a close frame."""
        return self._with_steps(LastStep.DROP)

    def freeze(self) -> Accept:
        """Never read or answer again: no pong, no close frame, but TCP stays up."""
        return self._with_steps(LastStep.FREEZE)

    def echo(self) -> Accept:
        """Send back each message, until the client closes."""
        return self._with_steps(LastStep.ECHO)

    def stay(self) -> Accept:
        """Stay open, until the client or the test closes: how any script ends by default."""
        return self._with_steps(LastStep.STAY)

    def _with_steps(self, *steps: Step) -> Accept:
        last = self.steps[-1] if self.steps else None
        if isinstance(last, (CloseStep, LastStep)):
            name = "close" if isinstance(last, CloseStep) else last.value
            raise ValueError(f"script: nothing can follow {name}(); make it the last step")
        return replace(self, steps=(*self.steps, *steps))


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer the handshake with an HTTP status. Made by :func:`reject`."""

    status: int = 401
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    pause: float = 0.0

    def delay(self, seconds: float) -> Reject:
        """Answer the handshake only after some seconds."""
        return replace(self, pause=duration(seconds))

    def header(self, name: str) -> str | None:
        """The value of a header of the answer, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Hang:
    """Take the TCP connection and never answer the handshake. Made by :func:`hang`."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Refuse the TCP connection. Made by :func:`unreachable`."""


Script: TypeAlias = Accept | Reject | Hang | Unreachable


def accept(subprotocol: str | None = None) -> Accept:
    """Accept the handshake; steps may follow: ``accept().send("welcome").echo()``.

    Args:
        subprotocol: The one to choose; default none, or the fixed one that goes with a credential
            among the subprotocols.
    """
    return Accept(subprotocol)


def reject(status: int = 401, headers: Mapping[str, str] | None = None, body: str = "") -> Reject:
    """Refuse the handshake with an HTTP status: ``reject(429, {"Retry-After": "3"})``.

    Args:
        status: HTTP status, from 200 to 599.
        headers: Headers of the answer.
        body: Text of the answer.
    """
    if not 200 <= status <= 599:
        raise ValueError(f"reject: pass an HTTP status from 200 to 599, not {status}")
    return Reject(status, tuple((headers or {}).items()), body)


def hang() -> Hang:
    """Take the TCP connection and never answer the handshake."""
    return Hang()


def unreachable() -> Unreachable:
    """Refuse the TCP connection; ``server()`` accepts it, and cuts it at once."""
    return Unreachable()


def closing_code(code: int) -> int:
    """Check the code of a close frame; 1005 stands for a frame without one."""
    if code in (1004, 1006, 1015) or not (1000 <= code <= 1014 or 3000 <= code <= 4999):
        hint = "use drop()" if code == 1006 else "pass 1000 to 1014 or 3000 to 4999"
        raise ValueError(f"close: {code} is never sent in a close frame; {hint}")
    return code


def duration(seconds: float) -> float:
    if not seconds >= 0:
        raise ValueError(f"script: pass 0 seconds or more, not {seconds}")
    return seconds
