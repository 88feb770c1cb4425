"""A file of lines as a sink, or standard output (C40)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeAlias

import msgspec

from rxsocket.sinks import Record, SinkUnavailable, Stored

_Work: TypeAlias = tuple[bytes, Callable[[OSError | None], None]]


class LinesSink:
    """Appends records to a file, each a line of JSON. It does not know them again by their ids.

    ::

        {"id":"BTC-USD:1","key":"BTC-USD","data":{"price":42100.5}}

    Data that is no JSON is base64. A thread writes: the file may be a pipe that nobody reads.

    Args:
        path: The path of the file; ``None`` for standard output.
        has_json: Whether data is JSON.
        on_broken: Called when nobody reads standard output any more.
    """

    def __init__(
        self, path: str | None, *, has_json: bool, on_broken: Callable[[], None] | None = None
    ) -> None:
        self._path = path
        self._has_json = has_json
        self._on_broken = on_broken
        self._work: SimpleQueue[_Work | None] | None = None
        self._lines = 0
        self._encode = msgspec.json.Encoder().encode

    def __repr__(self) -> str:
        return f"<lines {self._path or 'on standard output'}>"

    async def publish(self, records: Sequence[Record]) -> Sequence[Stored]:
        if self._work is None:
            self._open()
        work = self._work
        if not records or work is None:
            return []
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: OSError | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def on_written(error: OSError | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(settle, error)

        work.put((b"".join(map(self._line, records)), on_written))
        await done
        first = self._lines + 1
        self._lines += len(records)
        return [Stored(each.id, each.key, line) for line, each in enumerate(records, first)]

    async def close(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.put(None)

    def _open(self) -> None:
        descriptor = 1
        if self._path is not None:
            try:
                descriptor = _opened(self._path)
            except OSError as error:
                raise SinkUnavailable(f"cannot write {self._path}: {error.strerror}") from None
        self._work = work = SimpleQueue[_Work | None]()
        target, arguments = self._write_all, (descriptor, work)
        threading.Thread(target=target, args=arguments, name="rxsocket-lines", daemon=True).start()

    def _line(self, record: Record) -> bytes:
        data: Any = record.data
        if self._has_json:
            if b"\n" in record.data or b"\r" in record.data:
                data = msgspec.json.format(record.data, indent=-1)
            data = msgspec.Raw(data)
        return self._encode({"id": record.id, "key": record.key, "data": data}) + b"\n"

    def _write_all(self, descriptor: int, work: SimpleQueue[_Work | None]) -> None:
        """On the thread."""
        while (item := work.get()) is not None:
            lines, on_written = item
            try:
                _write(descriptor, lines)
            except BrokenPipeError as error:
                if self._on_broken is not None:
                    self._on_broken()
                on_written(error)
            except OSError as error:
                on_written(error)
            else:
                on_written(None)
        if self._path is not None:
            os.close(descriptor)


def _opened(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end:
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                os.write(descriptor, b"\n")  # whoever wrote the last line was killed
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, lines: bytes) -> None:
    """Write lines, all of them or none."""
    rest = memoryview(lines)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        with suppress(OSError):  # of a pipe, what is written is written
            end = os.lseek(descriptor, 0, os.SEEK_END)
            os.ftruncate(descriptor, end - (len(lines) - len(rest)))
        raise
