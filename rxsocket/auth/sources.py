"""Where credentials come from besides a plain value: providers that are asked, Observables that
tell.

A provider is asked before every attempt (C10). One call runs at a time; whoever needs a credential
meanwhile waits for the same call. A waiter that is overtaken is cancelled, the call is not; its
late result goes nowhere.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from reactivex import Observable, abc

from rxsocket.arguments import accepting_one, is_async
from rxsocket.auth.credentials import Credential
from rxsocket.errors import ProviderFailed, Unauthorized
from rxsocket.threads import run_blocking

__all__ = ["Ask", "Provider", "Reason", "credentials_from"]


class Reason(Enum):
    """Why a provider is asked."""

    FIRST = "first"
    RECONNECT = "reconnect"
    REJECTED = "rejected"

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Ask:
    """What a provider is told when it is asked.

    Attributes:
        attempt: Number of the attempt since the last stable connection, from 1.
        reason: Why it is asked.
        code: Close code or HTTP status of the refusal, if there was one.
        text: What the server said with it.
    """

    attempt: int
    reason: Reason
    code: int | None = None
    text: str = ""


class Provider:
    """A function that gives credentials.

    Args:
        function: Sync or async; takes an :class:`Ask` or nothing; returns a credential, ``None``
            for logged out, or raises. A sync one is called on a daemon thread, so it may block.
        timeout: Seconds that a call may take.
    """

    def __init__(self, function: Callable[..., Any], timeout: float | None) -> None:
        self._name = getattr(function, "__qualname__", type(function).__name__)
        self._async = is_async(function)
        self._function = accepting_one("auth (a provider)", function)
        self._timeout = timeout
        self._call: asyncio.Task[Credential] | None = None

    def __repr__(self) -> str:
        return f"<Provider {self._name}>"

    async def ask(self, ask: Ask) -> Credential:
        """The credential of the moment.

        Raises:
            ProviderFailed: If it raised, took too long, or gave what is no credential.
            Unauthorized: If it gave up.
        """
        if self._call is None:
            self._call = asyncio.get_running_loop().create_task(self._asked(ask))
            self._call.add_done_callback(self._over)
        return await asyncio.shield(self._call)

    def cancel(self) -> None:
        """Cancel a call that nobody waits for any more."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _over(self, call: asyncio.Task[Credential]) -> None:
        if self._call is call:
            self._call = None
        if not call.cancelled():
            call.exception()  # retrieved: all who wanted it may be gone

    async def _asked(self, ask: Ask) -> Credential:
        failure: str
        try:
            async with asyncio.timeout(self._timeout):
                return Credential.of(await self._given(ask), f"what {self!r} returned")
        except Unauthorized:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            failure = f"{self!r} was cancelled by itself"  # what it awaited was, not this call
        except TimeoutError:
            failure = f"{self!r} gave no credential within {self._timeout:g} s"
        except (TypeError, ValueError) as error:
            failure = f"{self!r} failed: {error}"
        except Exception as error:
            failure = f"{self!r} raised {type(error).__name__}: {error}"
        raise ProviderFailed(failure)

    async def _given(self, ask: Ask) -> Any:
        # Apart from the above, whose frame is in the traceback of ProviderFailed (C28).
        if self._async:
            result = self._function(ask)
        else:
            loop = asyncio.get_running_loop()
            result = await run_blocking(loop, lambda: self._function(ask))
        return await result if inspect.isawaitable(result) else result


def credentials_from(
    source: Observable[Any],
    first: Credential,
    changed: Callable[[Credential], None],
    failed: Callable[[Exception], None],
) -> Callable[[], abc.DisposableBase]:
    """Follow an Observable of credentials.

    A value that is no credential and an error are told to ``failed``; completion changes nothing.
    What a replaying source repeats when it is subscribed to is no change; of what it replays, only
    the newest counts.

    Args:
        source: The Observable.
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
            credential = Credential.of(value, "auth (an Observable's value)")
        except (TypeError, ValueError) as error:
            failed(error.with_traceback(None))  # its frames hold the value (C28)
            return
        if replaying == threading.get_ident():
            replayed[:] = [credential]
            return
        last = credential
        changed(credential)

    def follow() -> abc.DisposableBase:
        nonlocal last, replaying
        replayed.clear()
        replaying = threading.get_ident()
        try:
            following = source.subscribe(on_next, failed)
        finally:
            replaying = None
        while replayed:
            newest = replayed.pop()
            repeated, last = newest == last, newest
            if not repeated:
                changed(newest)
        return following

    return follow
