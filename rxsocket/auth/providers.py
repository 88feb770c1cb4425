"""Providers, which are asked for a credential, and Observables, which push one (C10).

A provider is asked before every attempt. One call runs at a time; whoever needs a credential
meanwhile waits for the same call. A waiter that is superseded is cancelled, the call is not; its
late result is dropped.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.auth.credentials import Credential
from rxsocket.errors import AddressFailed, ProviderFailed, Unauthorized
from rxsocket.runtime.threads import as_exception, exit_soon, is_end_of, run_blocking
from rxsocket.texts import LONGEST, printable
from rxsocket.validation import accepting_one, is_async

T = TypeVar("T")


class Reason(Enum):
    """Why a provider is asked.

    Attributes:
        FIRST: It was not asked before, by this run of the socket.
        RECONNECT: Another connection is to be made.
        REJECTED: The server refused what it gave last.
        EXPIRING: What it gave last expires soon, or has: only :func:`refreshing` asks ahead
            (rule C12, refresh ahead).
    """

    FIRST = "first"
    RECONNECT = "reconnect"
    REJECTED = "rejected"
    EXPIRING = "expiring"

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Ask:
    """What a function is told that is asked for a credential, or for an address
    (rule C33, an endpoint for each attempt).

    Attributes:
        attempt: Number of the attempt since the last stable connection, from 1.
        reason: Why it is asked.
        code: Close code or HTTP status of the refusal, if there was one.
        text: What the server said with it.
        cursor: The newest place in the stream, where the next connection is to go on; ``None`` if
            there is none, or the socket has no ``cursor=`` (rule C38, resuming). It does not show:
            it may be long.
    """

    attempt: int
    reason: Reason
    code: int | None = None
    text: str = ""
    cursor: Any = field(default=None, repr=False)


class Provider(ABC):
    """What a socket asks for a credential before each attempt."""

    @abstractmethod
    async def ask(self, ask: Ask) -> Credential:
        """The current credential.

        Raises:
            ProviderFailed: If it raised, took too long, or gave what is not a credential.
            Unauthorized: If it gave up.
        """

    @abstractmethod
    def cancel(self) -> None:
        """The socket stopped: cancel what nobody else waits for."""

    def discard_earlier(self) -> None:
        """A credential was pushed, which is newer than what was asked for before."""
        return


class FunctionProvider(Provider):
    """A user's function as the provider of one socket: who asks during a call shares it.

    Args:
        function: Sync or async; takes an :class:`Ask` or nothing; returns a credential, ``None``
            for logged out, or raises. A sync one is called on a daemon thread, so it may block.
        timeout: Seconds that a call may take.
    """

    def __init__(self, function: Callable[..., Any], timeout: float | None) -> None:
        self._call = SharedCall(
            ProviderFunction("auth (a provider)", function, timeout, self._read)
        )

    def __repr__(self) -> str:
        return self._call.name

    async def ask(self, ask: Ask) -> Credential:
        return await self._call.ask(ask)

    def cancel(self) -> None:
        self._call.cancel()

    def _read(self, answer: Any) -> Credential:
        return Credential.of(answer, f"what {self!r} returned")


class ProviderFunction(Generic[T]):
    """A user's function that gives credentials or the like, with a time limit, and errors to show.

    Whatever it raises is a failed call, also what Python means for ending a thread or a task, such
    as ``SystemExit``. A ``KeyboardInterrupt`` ends the user's own loop as well: it is a Ctrl-C.

    Args:
        argument: What the function was passed as, for errors.
        function: Sync or async; takes an ``Ask`` or nothing. A sync one is called on a daemon
            thread, so it may block.
        timeout: Seconds that a call may take; ``None`` for as long as it likes.
        read: What to make of an answer. A ``TypeError`` or ``ValueError`` of it is shown.
        kind: What it is called, before the name of the function.
        gives: What it gives, in words.
        failed: What a failed call raises.

    Attributes:
        name: What the provider is called in errors.
    """

    def __init__(
        self,
        argument: str,
        function: Callable[..., Any],
        timeout: float | None,
        read: Callable[[Any], T],
        *,
        kind: str = "Provider",
        gives: str = "credential",
        failed: type[ProviderFailed] = ProviderFailed,
    ) -> None:
        self.name = f"<{kind} {getattr(function, '__qualname__', type(function).__name__)}>"
        self._gives = gives
        self._failed = failed
        refuse_uncalled(argument, function)
        self._async = is_async(function)
        self._function = accepting_one(argument, function)
        self._timeout = timeout
        self._read = read

    async def call(self, ask: object) -> T:
        """Call it, on the loop that runs.

        Raises:
            ProviderFailed: If it raised, took too long, or gave what it may not.
            Unauthorized: If it gave up.
        """
        failure: str
        task, limit = asyncio.current_task(), asyncio.timeout(self._timeout)
        try:
            async with limit:
                return self._read(await self._answer(ask))
        except Unauthorized:
            raise
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
            failure = f"{self.name} was cancelled by itself"  # what it awaited was, not this call
        except TimeoutError as error:
            if limit.expired():
                failure = f"{self.name} gave no {self._gives} within {self._timeout:g} s"
            else:
                failure = f"{self.name} raised {_described(error)}"
        except (TypeError, ValueError) as error:
            failure = f"{self.name} failed: {printable(str(error), LONGEST)}"
        except BaseException as error:
            if is_end_of(task, error):
                raise
            if isinstance(error, KeyboardInterrupt):  # the user's Ctrl-C
                exit_soon(error)
            failure = f"{self.name} raised {_described(error)}"
        raise self._failed(failure)

    async def _answer(self, ask: object) -> Any:
        # Apart from the above, whose frame is in the traceback of ProviderFailed (C28).
        if self._async:
            result = self._function(ask)
        else:
            loop = asyncio.get_running_loop()
            # The result of a future shows where asyncio shows the future (C28).
            result = (await run_blocking(loop, lambda: _kept(self._function(ask))))()
        return await result if inspect.isawaitable(result) else result


def refuse_uncalled(argument: str, function: Any) -> None:
    """Refuse what makes a provider, where the provider that it makes is wanted.

    Raises:
        TypeError: If it is ``from_env`` and not ``from_env("FEED_TOKEN")``, or the like.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__name__", None)
    if not (isinstance(module, str) and module.startswith("rxsocket.") and isinstance(name, str)):
        return
    if getattr(sys.modules.get(module), name, None) is function:
        raise TypeError(f"{argument}: {name} makes what is wanted here: call it, as in {name}(...)")


class SharedCall(Generic[T]):
    """One call of a function at a time: who asks during a call shares it.

    Attributes:
        name: What the function is called in errors.
    """

    def __init__(self, function: ProviderFunction[T]) -> None:
        self.name = function.name
        self._function = function
        self._call: asyncio.Task[T] | None = None

    async def ask(self, ask: Ask) -> T:
        """What it answers; for what it raises, see :class:`ProviderFunction`."""
        if self._call is None:
            self._call = asyncio.get_running_loop().create_task(self._function.call(ask))
            self._call.add_done_callback(self._on_done)
        return await asyncio.shield(self._call)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        call, self._call = self._call, None
        if call is not None and not call.get_loop().is_closed():
            call.cancel()

    def _on_done(self, call: asyncio.Task[T]) -> None:
        if self._call is call:
            self._call = None
        if not call.cancelled():
            call.exception()  # retrieved: all who wanted it may be gone


def _kept(value: T) -> Callable[[], T]:
    return lambda: value


def _described(error: BaseException) -> str:
    text, kind = printable(str(error), LONGEST), type(error).__name__
    return f"{kind}: {text}" if text else kind


def credentials_from(
    source: Observable[Any],
    read: Callable[[Any], Credential],
    first: Credential,
    changed: Callable[[Credential], None],
    failed: Callable[[Exception], None],
) -> Callable[[], abc.DisposableBase]:
    """Follow an Observable of credentials.

    A value that cannot be used, and an error, go to ``failed``; completion changes nothing.
    What a replaying source repeats when it is subscribed to is no change; of what it replays, only
    the newest counts.

    Args:
        source: The Observable.
        read: Makes a credential of a value; raises a ``TypeError``, a ``ValueError`` or an
            ``AddressFailed`` for one that cannot be used. Called on any thread.
        first: The credential that it holds already, as far as is known.
        changed: Called with each credential that it emits.
        failed: Called with what went wrong.

    Returns:
        A function that subscribes, each time it is called.
    """
    last = first
    replayed: list[Credential] = []
    replaying: int | None = None  # the thread on which; another one's value is a change

    def on_next(value: Any) -> None:
        nonlocal last
        try:
            credential = read(value)
        except (TypeError, ValueError, AddressFailed) as error:
            failed(error.with_traceback(None))  # its frames hold the value (C28)
            return
        if replaying == threading.get_ident():
            replayed[:] = [credential]
            return
        last = credential
        changed(credential)

    def follow() -> abc.DisposableBase:
        nonlocal last, replaying
        following: abc.DisposableBase
        replayed.clear()
        replaying = threading.get_ident()
        try:
            following = source.subscribe(on_next, failed)
        except BaseException as error:
            failed(as_exception(error))
            following = Disposable()
        finally:
            replaying = None
        while replayed:
            newest = replayed.pop()
            repeated, last = newest == last, newest
            if not repeated:
                changed(newest)
        return following

    return follow
