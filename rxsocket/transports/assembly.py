"""Messages out of the frames of ``picows``: assembled, checked, bounded (RFC 6455, section 5).

::

    frame  text         ┐ fin, nothing pending: a message                 the hot path
    frame  text  fin=0  ┘ .................. kept ┐
    frame  ping                                   │ answered, in the middle of it
    frame  continuation  fin=1 .................. ┴ a message
    end of the read                                 flush: the messages, in one list

``picows`` itself refuses masked frames, unknown opcodes, control frames that are fragmented or too
long, lengths that are not the shortest, frames above ``max_size``, and most invalid close frames.
It looks at neither reserved bits, nor the order of fragments, nor what they add up to: that is
done here.
"""

from __future__ import annotations

from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from rxsocket.runtime.outlet import Outlet
from rxsocket.transports.seam import Signal

__all__ = ["NO_STATUS", "Assembly"]

NO_STATUS = 1005
_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class Assembly(WSListener):
    """A listener that turns frames into messages; what to do with them, a subclass says.

    Args:
        max_size: Largest message in bytes, or ``None``.

    Attributes:
        outlet: Where messages go, as ``str`` and ``bytes`` that own their memory; they are kept
            while there is none.
    """

    __slots__ = ("_add", "_batch", "_kind", "_max_size", "_parts", "on_ws_frame", "outlet")

    def __init__(self, max_size: int | None) -> None:
        self.outlet: Outlet[Signal] | None = None
        self._batch: list[str | bytes] = []
        self._add: Callable[[str | bytes], None] = self._batch.append
        self._max_size = max_size
        self._kind: WSMsgType | None = None
        self._parts = bytearray()
        self.on_ws_frame = self._hot()  # type: ignore[assignment, method-assign]

    def _hot(self) -> Callable[[WSTransport, WSFrame], None]:
        """What ``picows`` calls with each frame: a function of its own, not a method.

        Making a bound method for each frame would take longer than some of what is checked here. So
        would a second look at an attribute of the frame, which is computed when it is read, and
        calling ``self._add(...)`` in one step: the interpreter has a short way to an attribute in a
        slot, and none to a method that is one.
        """
        text_kind, binary_kind = WSMsgType.TEXT, WSMsgType.BINARY

        def on_ws_frame(_: WSTransport, frame: WSFrame) -> None:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                self.fail(1002, "reserved bits must be 0")
                return
            kind = frame.msg_type
            if frame.fin and self._kind is None:
                if kind is text_kind:
                    try:
                        text = frame.get_payload_as_utf8_text()
                    except UnicodeDecodeError as error:
                        self._not_utf_8(error)
                        return
                    add = self._add
                    add(text)
                    return
                if kind is binary_kind:
                    add = self._add
                    add(frame.get_payload_as_bytes())
                    return
            self._rare(kind, frame)

        return on_ws_frame

    def _rare(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind in (_TEXT, _BINARY, _CONTINUATION):
            self._fragment(kind, frame)
        elif kind is WSMsgType.PING:
            self.pinged(frame.get_payload_as_bytes())
        elif kind is WSMsgType.PONG:
            self.ponged(frame.get_payload_as_bytes())
        else:
            self._close(frame.get_payload_as_bytes())

    def flush(self) -> None:
        """Hand on the messages that came since the last time."""
        outlet, batch = self.outlet, self._batch
        if batch and outlet is not None:
            self._batch = []
            if self._add is not _ignore:
                self._add = self._batch.append
            outlet.on_next(batch)

    def refuse(self) -> None:
        """Take no more messages; those that came are handed on."""
        self._add = _ignore
        self.forget()
        self.flush()

    # --- for a subclass

    def fail(self, code: int, reason: str) -> None:
        """The peer broke a rule: no more messages are wanted."""
        raise NotImplementedError

    def pinged(self, payload: bytes) -> None:
        """A ping came."""
        raise NotImplementedError

    def ponged(self, payload: bytes) -> None:
        """A pong came."""
        raise NotImplementedError

    def closed(self, code: int, reason: str, payload: bytes) -> None:
        """A close frame came; without a status, the code is 1005."""
        raise NotImplementedError

    # --- fragments and close frames

    def _fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is _CONTINUATION:
            if self._kind is None:
                self.fail(1002, "unexpected continuation frame")
                return
        elif self._kind is not None:
            self.fail(1002, "expected a continuation frame")
            return
        else:
            self._kind = kind
        if self._max_size is not None and len(self._parts) + frame.payload_size > self._max_size:
            self.forget()
            self.fail(1009, f"message is larger than {self._max_size} bytes")
            return
        self._parts += frame.get_payload_as_memoryview()
        if frame.fin:
            kind, parts = self._kind, self._parts
            self.forget()
            self._assembled(kind, parts)

    def _assembled(self, kind: WSMsgType, parts: bytearray) -> None:
        if kind is _BINARY:
            self._add(bytes(parts))
            return
        try:
            text = parts.decode()
        except UnicodeDecodeError as error:
            self._not_utf_8(error)
            return
        self._add(text)

    def forget(self) -> None:
        """Let go of a message that is not whole."""
        self._kind = None
        self._parts = bytearray()

    def _not_utf_8(self, error: UnicodeDecodeError) -> None:
        self.fail(1007, f"{error.reason} at position {error.start}")

    def _close(self, payload: bytes) -> None:
        if not payload:
            self.closed(NO_STATUS, "", payload)
            return
        code = int.from_bytes(payload[:2])
        if code not in _SENDABLE and not 3000 <= code < 5000:
            self.fail(1002, "invalid close code")
            return
        self.closed(code, payload[2:].decode(), payload)  # picows has checked the text


def _ignore(_: str | bytes) -> None:
    """Nobody wants it."""
