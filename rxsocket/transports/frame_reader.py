"""Cuts whole messages out of a stream of WebSocket frames, in front of a full parser (RFC 6455, 5).

Most of what a server sends are whole, plain data frames: final, unmasked, without reserved bits.
Those take a few steps each here. Every other byte is left to the parser behind, which knows all of
the protocol: control frames, fragments, compressed frames, frames that are too big, and whatever is
no frame at all.

::

    chunk     [ text ][ ping ][ text ][ text (first half)
    messages  --"a"-------------"b"-----------------------     the last one when it is whole
    parser    ---------ping--------------------------------

The parser is always at a frame's start when a frame is cut out, because a frame that is left to it
is left whole: its length is read here, too. Once it is given up, the parser gets all that follows.
"""

from __future__ import annotations

from typing import Protocol

from rxsocket.transports.base import Batch

_TEXT, _BINARY = 0x81, 0x82
"""First byte of a frame with FIN, without reserved bits."""
_FIN, _MASK, _OPCODE, _CONTROL = 0x80, 0x80, 0x0F, 0x08
_CONTINUATION = 0x0
_DATA = (0x1, 0x2)
_KNOWN = (0x0, 0x1, 0x2, 0x8, 0x9, 0xA)
_LENGTH_16, _LENGTH_64 = 126, 127
_UNLIMITED = 2**63 - 1
"""The largest length of a frame (RFC 6455, section 5.2)."""
_LARGE = 2**13
"""Bytes from which on it is cheaper to decode from a view than from a copy; measured."""


class Receiver(Protocol):
    """What is behind a cutter."""

    def push(self, messages: list[str | bytes], /) -> None:
        """Messages of a chunk, or of a part of it; never an empty list."""
        ...

    def leave_to_parser(self, data: bytes, /, *, between: bool = False) -> bool:
        """Bytes that are the parser's; return whether it will parse what follows.

        With ``between``, a control frame begins there, between the fragments of a message.
        """
        ...

    def fail(self, code: int, reason: str, /) -> None:
        """The peer broke a rule. Nothing is cut out after that."""
        ...


class FrameReader:
    """Cuts the messages out of what :meth:`feed` is given.

    Args:
        behind: Gets everything before :meth:`feed` returns, in the order of the bytes.
        limit: Largest message in bytes that is cut out, or ``None``.
    """

    __slots__ = (
        "_behind",
        "_between",
        "_fragmented",
        "_given_up",
        "_header",
        "_limit",
        "_missing",
        "_parts",
        "_passing",
        "_short",
    )

    def __init__(
        self,
        behind: Receiver,
        limit: int | None,
    ) -> None:
        self._behind = behind
        self._limit = _UNLIMITED if limit is None else limit
        self._short = min(self._limit, _LENGTH_16 - 1)
        self._header = b""  # of the frame that is being received, maybe not all of it yet
        self._parts: list[bytes] | None = None  # of its payload
        self._missing = 0  # bytes of its payload
        self._passing: int = 0  # bytes of a frame that is the parser's
        self._fragmented = False
        self._between = False  # whether a control frame begins between fragments
        self._given_up = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._given_up:
            self._behind.leave_to_parser(data)
            return
        messages = Batch()
        try:
            if self._missing:
                self._cut(data, self._finish(data, messages), messages)
            elif self._header:
                whole, self._header = self._header + data, b""
                self._cut(whole, 0, messages)
            else:
                self._cut(data, 0, messages)
        except UnicodeDecodeError as error:
            self._given_up = True
            self._flush(messages)
            self._behind.fail(1007, f"{error.reason} at position {error.start}")
        else:
            if messages:
                self._behind.push(messages)

    def give_up(self) -> None:
        """Leave everything to the parser from now on, also the frame that is being received."""
        if not self._given_up:
            self._given_up = True
            unfinished = b"".join((self._header, *(self._parts or ())))
            self._header, self._parts = b"", None
            if unfinished:
                self._behind.leave_to_parser(unfinished)

    def _flush(self, messages: Batch) -> None:
        if messages:
            self._behind.push(messages.copy())
            messages.clear()

    def _finish(self, data: bytes, messages: Batch) -> int:
        """Go on with the message that the last chunk ended in; return where its frame ends."""
        stop, parts = self._missing, self._parts or []
        parts.append(data[:stop])
        if len(data) < stop:
            self._missing -= len(data)
            return len(data)
        payload, text = b"".join(parts), self._header[0] == _TEXT
        self._header, self._parts, self._missing = b"", None, 0
        messages.append(payload.decode() if text else payload)
        messages.size = len(payload)
        return stop

    def _cut(self, data: bytes, at: int, messages: Batch) -> None:
        """Cut messages out of a chunk; at this position in it a frame begins.

        The bytes of their payloads follow from where the last one ends: they are not added up.
        """
        add, short, limit = messages.append, self._short, self._limit
        end = len(data)
        before = at - messages.size - 2 * len(messages)  # where they would begin, with such headers
        if self._passing or self._fragmented:
            before = at = self._pass(data, at, messages)
        while at < end:
            first = data[at]
            if first != _TEXT and first != _BINARY:
                before = at = self._pass(data, at, messages)
                continue
            start = at + 2
            if start > end:
                self._header = data[at:]
                break
            length = data[at + 1]
            if length > short:
                masked = 0
                if length == _LENGTH_16:
                    start += 2
                    before += 2
                    if start <= end:
                        length = data[at + 2] << 8 | data[at + 3]
                elif length == _LENGTH_64:
                    start += 8
                    before += 8
                    length = int.from_bytes(data[at + 2 : start], "big")
                else:
                    masked = length & _MASK
                if start > end:
                    self._header = data[at:]
                    before -= start - at - 2
                    break
                if length > limit or masked:
                    before = at = self._pass(data, at, messages)
                    continue
            stop = start + length
            if stop > end:
                self._header, self._parts = data[at:start], [data[start:]]
                self._missing = stop - end
                before -= start - at - 2
                break
            if first == _BINARY:
                add(data[start:stop])
            elif length < _LARGE:
                add(data[start:stop].decode())
            else:
                add(str(memoryview(data)[start:stop], "utf-8"))
            at = stop
        messages.size = at - before - 2 * len(messages)

    def _pass(self, data: bytes, at: int, messages: Batch) -> int:
        """Leave frames to the parser; return where the next one to cut out begins."""
        self._flush(messages)
        at = self._leave_to_parser(data, at)
        while self._fragmented and at < len(data):  # whatever comes there is the parser's
            at = self._leave_to_parser(data, at)
        return at

    def _leave_to_parser(self, data: bytes, at: int) -> int:
        """Leave a run of frames to the parser; return where it ends, or the end of the chunk."""
        stop = self._run(data, at)
        if stop == at:
            return len(data)  # not even a header, or no frame that may be
        between, self._between = self._between, False
        run = data[at:stop]
        if self._behind.leave_to_parser(run, between=between) and not self._given_up:
            return len(data) if self._header else stop
        self._given_up = True  # it has failed, or has seen the last frame
        self._header, self._passing = b"", 0
        if stop < len(data):
            self._behind.leave_to_parser(data[stop:])
        return len(data)

    def _run(self, data: bytes, at: int) -> int:
        """Where a run of frames that are the parser's ends in a chunk."""
        end, begun = len(data), at
        if self._passing:
            at += self._passing
            self._passing = max(0, at - end)
            if at < end and not self._fragmented:
                return at  # it may have been the end of a message
        while at < end:
            start = at + 2
            length = data[at + 1] if start <= end else 0
            if length & _MASK or data[at] & _OPCODE not in _KNOWN:
                self._given_up = True
                return end
            if length >= _LENGTH_16:
                start += 2 if length == _LENGTH_16 else 8
                length = int.from_bytes(data[at + 2 : start], "big")
            if start > end:
                self._header = data[at:]
                return at
            if length > _UNLIMITED == self._limit:
                if at == begun:
                    self._given_up = True
                    self._behind.fail(1002, "frame length has its highest bit set")
                return at
            opcode = data[at] & _OPCODE
            if self._fragmented and opcode & _CONTROL:
                if at > begun:
                    return at
                self._between = True
            if self._plain(data[at]) and length <= self._limit:
                return at
            whole = self._between or (data[at] & _FIN and not opcode & _CONTROL)
            at = start + length
            if whole and at < end:
                return at  # what the parser makes of a message may fail before the next frame
        self._passing = max(0, at - end)
        return end

    def _plain(self, first: int) -> bool:
        """Whether a frame that begins with this byte is a message; notes where fragments are."""
        opcode, final = first & _OPCODE, bool(first & _FIN)
        if self._fragmented:
            self._fragmented = not (opcode == _CONTINUATION and final)
            return False
        self._fragmented = opcode in _DATA and not final
        return first in (_TEXT, _BINARY)
