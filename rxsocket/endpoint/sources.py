"""What gives addresses that are not known beforehand: a function, or an Observable (C33)."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.auth.providers import Ask, ProviderFunction, SharedCall
from rxsocket.endpoint.endpoint import Endpoint, address_of
from rxsocket.errors import AddressFailed, Unauthorized
from rxsocket.explain.causes import kind_and_text
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.threads import as_exception
from rxsocket.url import Address
from rxsocket.validation import is_behavior

_NOTHING = Disposable()


class GivenAddresses(ABC):
    """What gives addresses as they are needed.

    Attributes:
        newest: The one that the next attempt may take, if it need not ask.
    """

    newest: Address | None = None

    @abstractmethod
    async def ask(self, ask: Ask) -> Address:
        """The address for an attempt.

        Raises:
            AddressFailed: If there is none.
            Unauthorized: If the user's function gave up.
        """

    def follow(
        self, loop: SocketLoop, changed: Callable[[], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase:
        """Follow the source while the socket runs, until disposed.

        Args:
            loop: Where the socket lives.
            changed: Called there when there is another address than the last one.
            failed: Called there with what went wrong.
        """
        return _NOTHING

    @abstractmethod
    def cancel(self) -> None:
        """The socket stopped."""


class AskedAddresses(GivenAddresses):
    """A user's function, asked before each attempt; one call runs at a time.

    Args:
        function: Sync or async; takes an ``Ask`` or nothing; returns a URL.
        timeout: Seconds that a call may take.
    """

    def __init__(self, function: Callable[..., Any], timeout: float | None) -> None:
        self._call = SharedCall(
            ProviderFunction(
                "url (a function)",
                function,
                timeout,
                self._read,
                kind="Endpoint",
                gives="address",
                failed=AddressFailed,
            )
        )

    async def ask(self, ask: Ask) -> Address:
        try:
            return await self._call.ask(ask)
        except Unauthorized as error:
            error.argument = "url"
            raise

    def cancel(self) -> None:
        self._call.cancel()

    def _read(self, answer: Any) -> Address:
        return address_of(answer, "url (what it returned)")


class FollowedAddresses(GivenAddresses):
    """An Observable of addresses: its newest value counts.

    Args:
        source: The Observable.
        name: What it is called in errors.
        timeout: Seconds to wait for its first value.
        refusal: Says why an address is not allowed, if it is not.
    """

    def __init__(
        self,
        source: Observable[Any],
        name: str,
        timeout: float | None,
        refusal: Callable[[Address], str | None],
    ) -> None:
        self._source = source
        self._name = name
        self._timeout = timeout
        self._refusal = refusal
        if is_behavior(source):
            self.newest = Address.parse(source.value)
        self._waiting: list[asyncio.Future[None]] = []
        self._ended: str | None = None

    async def ask(self, ask: Ask) -> Address:
        try:
            async with asyncio.timeout(self._timeout):
                while self.newest is None:
                    if self._ended is not None:
                        raise AddressFailed(self._ended)
                    came = asyncio.get_running_loop().create_future()
                    self._waiting.append(came)
                    await came
        except TimeoutError:
            failure = f"{self._name} gave no address within {self._timeout or 0.0:g} s"
        else:
            return self.newest
        raise AddressFailed(failure)

    def follow(
        self, loop: SocketLoop, changed: Callable[[], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase:
        replaying: int | None = threading.get_ident()
        replayed: list[Any] = []  # of what it replays, only the newest counts
        following: abc.DisposableBase

        def take(value: Any) -> None:
            self._take(value, changed, failed)

        def end(error: Exception | None) -> None:
            said = "ended" if error is None else f"failed: {kind_and_text(error)}"
            self._ended = f"{self._name} {said}, and no address had come"
            if error is not None:
                failed(AddressFailed(f"{self._name} {said}"))
            self._wake()

        def on_next(value: Any) -> None:
            if replaying == threading.get_ident():
                replayed[:] = [value]
            else:
                loop.run(lambda: take(value))

        def on_error(error: Exception) -> None:
            loop.run(lambda: end(error))

        self._ended = None
        try:
            following = self._source.subscribe(
                on_next, on_error, lambda: loop.run(lambda: end(None))
            )
        except BaseException as error:
            on_error(as_exception(error))
            following = _NOTHING
        replaying = None
        if replayed:
            self._take(replayed.pop(), None, failed)
        return following

    def cancel(self) -> None:
        self._waiting.clear()

    def _take(
        self,
        value: Any,
        changed: Callable[[], None] | None,
        failed: Callable[[Exception], None],
    ) -> None:
        try:
            address = address_of(value, f"url (what {self._name} emitted)")
            why_not = self._refusal(address)
        except (TypeError, ValueError) as error:
            address, why_not = None, str(error)
        if address is None or why_not is not None:
            failed(AddressFailed(why_not))
            return
        before, self.newest = self.newest, address
        self._wake()
        if changed is not None and before is not None and before != address:
            changed()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)


def given_addresses(
    endpoint: Endpoint, timeout: float | None, refusal: Callable[[Address], str | None]
) -> GivenAddresses | None:
    """What gives the addresses of an endpoint; ``None`` if they are known beforehand."""
    if endpoint.pushed_by is not None:
        return FollowedAddresses(endpoint.pushed_by, endpoint.name, timeout, refusal)
    return None if endpoint.asked is None else AskedAddresses(endpoint.asked, timeout)
