"""What stores records: two methods, ours for JetStream and Redis, or your own (C40)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rxsocket.errors import SocketError
from rxsocket.sinks.records import Outcome, Record


class SinkUnavailable(SocketError):
    """A broker cannot be used; the text says which, why, and what to do. It holds no password."""


class Sink(Protocol):
    r"""Stores records in a broker.

    One subscription at a time has it: :func:`~rxsocket.sinks.into` opens it, and closes it in the
    end. Its methods are called on one asyncio loop.

    Examples:
        >>> class Lines:
        ...     def __init__(self, path: str) -> None:
        ...         self._path = path
        ...
        ...     async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        ...         with open(self._path, "ab") as file:
        ...             file.writelines(record.data + b"\n" for record in records)
        ...             return [Stored(record.id, record.key, file.tell()) for record in records]
        ...
        ...     async def close(self) -> None:
        ...         pass
    """

    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Store records, and say what became of each, in their order.

        The first call has none: it connects, and what it raises is the error of the stream. Later,
        whatever is raised says that none of them is known to be stored: they are tried again. So is
        a record that is ``Failed(..., temporary=True)``. It may be called again before earlier
        calls have returned, in the order of the records, and is cancelled when it takes too long.

        Returns:
            As many as there are records: ``Stored``, ``Duplicate`` or ``Failed``.
        """
        ...

    async def close(self) -> None:
        """Let go of the broker; ``publish`` may be called afterwards, and connects again."""
        ...
