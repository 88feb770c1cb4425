"""The user's store, sync or async, as a thread uses it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from inspect import isawaitable
from typing import Any

from rxsocket.auth.masks import Mask
from rxsocket.oauth.stores import StoreFailed, Token, TokenStore
from rxsocket.oauth.worker import Work
from rxsocket.texts import printable
from rxsocket.validation import is_mapping

LONGEST = 300


class BlockingStore:
    """A store whose functions block; what they raise is a ``StoreFailed`` without a token in it.

    Args:
        argument: Name of the function that it was passed to, for errors.
        store: The user's.

    Attributes:
        work: The work for which it is used: async functions are called on the loop of it.

    Raises:
        TypeError: If it is no store.
    """

    def __init__(self, argument: str, store: TokenStore) -> None:
        given: Any = store
        for name in ("load", "save"):
            is_class = isinstance(given, type)
            if is_class or not callable(getattr(given, name, None)):
                kind = f"the class {given.__name__}" if is_class else type(given).__name__
                raise TypeError(
                    f"{argument}(store): pass FileStore(path), MemoryStore(token), or an object "
                    f"with load() and save(token), not {kind}"
                )
        self._store: Any = store
        self.work: Work[Any] | None = None
        self._token: Token = {}

    def __repr__(self) -> str:
        return f"<BlockingStore of {type(self._store).__name__}>"

    def load(self) -> Token | None:
        """What it holds."""
        found = self._call("load()", self._store.load)
        if found is not None and not is_mapping(found):
            kind = type(found).__name__
            raise StoreFailed(
                f"load() of {type(self._store).__name__} returned {kind}: return "
                "what save() was given, or None"
            )
        self._token = found or {}
        return found

    def save(self, token: Token) -> None:
        """Put another token there."""
        self._token = token
        self._call("save(token)", lambda: self._store.save(dict(token)))

    def lock(self) -> AbstractContextManager[object]:
        """What keeps other processes out, if the store has it."""
        if not hasattr(self._store, "lock"):
            return nullcontext()
        found: AbstractContextManager[object] = self._store.lock()
        return found

    def _call(self, what: str, function: Callable[[], Any]) -> Any:
        failure: str
        try:
            result = function()
            if isawaitable(result):
                assert self.work is not None
                result = self.work.on_loop(_awaited(result))
        except StoreFailed as error:
            raise error.with_traceback(None) from None
        except BaseException as error:
            said = printable(str(Mask.of(self._token)(str(error))), LONGEST)
            failure = f"{what} of {type(self._store).__name__} raised {type(error).__name__}"
            failure += f": {said}" if said else ""
        else:
            return result
        raise StoreFailed(failure)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
