"""Calls of a user's function: one at a time, with a time limit, and with errors to show (C10)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rxsocket.callables import accepting_one, is_async
from rxsocket.errors import ProviderFailed, Unauthorized
from rxsocket.runtime.threads import run_blocking

__all__ = ["Calls"]

T = TypeVar("T")


class Calls(Generic[T]):
    """The calls of a provider.

    Args:
        argument: What the function was passed as, for errors.
        function: Sync or async; takes an ``Ask`` or nothing. A sync one is called on a daemon
            thread, so it may block.
        timeout: Seconds that a call may take; ``None`` for as long as it likes.
        read: What to make of an answer. A ``TypeError`` or ``ValueError`` of it is shown.

    Attributes:
        name: What the provider is called in errors.
    """

    def __init__(
        self,
        argument: str,
        function: Callable[..., Any],
        timeout: float | None,
        read: Callable[[Any], T],
    ) -> None:
        self.name = f"<Provider {getattr(function, '__qualname__', type(function).__name__)}>"
        self._async = is_async(function)
        self._function = accepting_one(argument, function)
        self._timeout = timeout
        self._read = read
        self._call: asyncio.Task[T] | None = None

    def begin(self, ask: object) -> asyncio.Task[T]:
        """The call that runs, or else a new one, which is told ``ask``.

        The task fails with :class:`ProviderFailed` or :class:`Unauthorized`.
        """
        if self._call is None:
            self._call = asyncio.get_running_loop().create_task(self._asked(ask))
            self._call.add_done_callback(self._over)
        return self._call

    def cancel(self) -> None:
        """Cancel a call that nobody waits for any more."""
        call, self._call = self._call, None
        if call is not None and not call.get_loop().is_closed():
            call.cancel()

    def _over(self, call: asyncio.Task[T]) -> None:
        if self._call is call:
            self._call = None
        if not call.cancelled():
            call.exception()  # retrieved: all who wanted it may be gone

    async def _asked(self, ask: object) -> T:
        failure: str
        try:
            async with asyncio.timeout(self._timeout):
                return self._read(await self._given(ask))
        except Unauthorized:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            failure = f"{self.name} was cancelled by itself"  # what it awaited was, not this call
        except TimeoutError:
            failure = f"{self.name} gave no credential within {self._timeout:g} s"
        except (TypeError, ValueError) as error:
            failure = f"{self.name} failed: {error}"
        except Exception as error:
            failure = f"{self.name} raised {type(error).__name__}: {error}"
        raise ProviderFailed(failure)

    async def _given(self, ask: object) -> Any:
        # Apart from the above, whose frame is in the traceback of ProviderFailed (C28).
        if self._async:
            result = self._function(ask)
        else:
            loop = asyncio.get_running_loop()
            result = await run_blocking(loop, lambda: self._function(ask))
        return await result if inspect.isawaitable(result) else result
