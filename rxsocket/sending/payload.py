"""What can be sent: text, bytes, or one message in fragments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, TypeAlias, TypeGuard, cast

import msgspec

from rxsocket.codecs import size_in_bytes
from rxsocket.runtime.threads import as_exception, is_end_of
from rxsocket.transports.base import Fragments
from rxsocket.validation import is_iterable, is_mapping

Sendable: TypeAlias = "str | bytes | bytearray | memoryview | Fragments"


def payload(name: str, value: Any) -> tuple[str | bytes | Fragments, int]:
    """Check a message, on the thread that sends it; return it with the bytes that it counts for.

    Fragments of an async iterable are asked for when their turn comes, and count for nothing.

    Raises:
        TypeError: If it is of no type that can be sent.
        ValueError: If a text has no encoding, or there are no fragments.
    """
    if isinstance(value, str):
        return value, _size(name, value)
    if isinstance(value, bytes):
        return value, len(value)
    if isinstance(value, (bytearray, memoryview)):
        copy = bytes(cast("bytearray", value))  # it may be written later, when that has changed
        return copy, len(copy)
    if _is_async_iterable(value):
        return AsyncFragments(value), 0
    if is_iterable(value) and not is_mapping(value):
        return _fragments(name, list(value))
    raise TypeError(
        f"{name}: pass str or bytes, or an iterable of either, not {type(value).__name__}; or give "
        "the socket a codec, such as json_codec()"
    )


def json_text(value: Any) -> Any:
    """JSON text for a value that is not a message yet; a message stays what it is."""
    if isinstance(value, (str, bytes)):
        return value
    return msgspec.json.encode(value).decode()


def _fragments(name: str, parts: list[Any]) -> tuple[Fragments, int]:
    if not parts:
        raise ValueError(f"{name}: an empty iterable is not a message; pass at least one fragment")
    kind = str if isinstance(parts[0], str) else bytes
    if not all(isinstance(part, kind) for part in parts):
        raise TypeError(f"{name}: pass fragments that are all str, or all bytes")
    return parts, sum(_size(name, part) for part in parts)


def _size(name: str, part: str | bytes) -> int:
    try:
        return size_in_bytes(part)
    except UnicodeEncodeError:
        pass
    raise ValueError(f"{name}: holds half a surrogate pair, which is not text; decode it first")


class AsyncFragments:
    """The fragments of an async iterable, checked as they come.

    Attributes:
        failure: What the iterable raised, or what is wrong with what it yielded.
        size: Bytes of those that came.
    """

    def __init__(self, fragments: AsyncIterable[Any]) -> None:
        self._fragments = fragments
        self.failure: Exception | None = None
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[Any]:
        kind: type[str] | type[bytes] | None = None
        task, fragments = asyncio.current_task(), aiter(self._fragments)
        try:
            while True:
                try:
                    part = await anext(fragments)
                except StopAsyncIteration:
                    break
                except BaseException as error:
                    if is_end_of(task, error):
                        raise
                    raise as_exception(error) from error
                kind = kind or (str if isinstance(part, str) else bytes)
                if not isinstance(part, kind):
                    raise TypeError("send(data): pass fragments that are all str, or all bytes")
                self.size += size_in_bytes(part)
                yield part
            if kind is None:
                raise ValueError("send(data): an empty iterable is not a message")
        except Exception as error:
            self.failure = error
            raise


def _is_async_iterable(value: Any) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(value, AsyncIterable)
