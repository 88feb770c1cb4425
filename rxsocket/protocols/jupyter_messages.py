"""Messages of Jupyter kernels, and their two forms on a WebSocket (C48).

::

    default    text     {"channel": "shell", "header": {...}, ..., "content": {...}}
               binary   count, offsets, that text, buffers         32 bits, big end first
    v1         binary   count, offsets, channel, header, parent header, metadata, content, buffers
                                                                   64 bits, little end first

To the socket a message is in the form v1, or text that came; a link on which the server chose the
default is translated. The forms are those of "WebSocket kernel wire protocols" in the documentation
of Jupyter Server, the messages those of "Messaging in Jupyter".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import uuid4

import msgspec

from rxsocket.protocols.translating import Wire
from rxsocket.validation import is_mapping

V1 = "v1.kernel.websocket.jupyter.org"
CHANNELS = ("shell", "control", "stdin", "iopub")
_JSON_PARTS = ("header", "parent_header", "metadata", "content")
_encode = msgspec.json.Encoder().encode


class KernelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message; what ``socket.messages`` has, and what is sent.

    Attributes:
        channel: ``"shell"``, ``"control"``, ``"stdin"`` or ``"iopub"``.
        header: Its own ``msg_id``, ``msg_type``, ``session``, ``date`` and so on.
        parent_header: The header of the message that it is because of; empty if there is none.
        metadata: What is said about it.
        content: What it says; its fields depend on the type.
        buffers: What belongs to it in binary form.
    """

    channel: str
    header: Mapping[str, Any]
    parent_header: Mapping[str, Any] = {}
    metadata: Mapping[str, Any] = {}
    content: Mapping[str, Any] = {}
    buffers: tuple[bytes, ...] = ()

    @property
    def type(self) -> str:
        """Its type, such as ``"stream"`` or ``"execute_reply"``."""
        return str(self.header.get("msg_type", ""))

    @property
    def id(self) -> str:
        """Its own id."""
        return str(self.header.get("msg_id", ""))

    @property
    def parent(self) -> str:
        """The id of the request that it is because of; empty if there is none."""
        return str(self.parent_header.get("msg_id", ""))


def kernel_message(
    type: str,
    content: Mapping[str, Any],
    *,
    session: str,
    channel: str = "shell",
    parent_header: Mapping[str, Any] | None = None,
    buffers: Sequence[bytes] = (),
) -> KernelMessage:
    """A message to a kernel, with a header of its own."""
    header = {
        "msg_id": uuid4().hex,
        "msg_type": type,
        "session": session,
        "username": "",
        "date": datetime.now(UTC).isoformat(),
        "version": "5.3",
    }
    return KernelMessage(
        channel=channel,
        header=header,
        parent_header=parent_header or {},
        content=content,
        buffers=tuple(buffers),
    )


class KernelCodec:
    """From messages to the form v1; and back, from the text of the default form, too."""

    def encode(self, message: KernelMessage) -> bytes:
        """The message in the form v1."""
        if not isinstance(message, KernelMessage):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(message).__name__
            raise TypeError(f"send(data): pass a KernelMessage, not {kind}; see kernel_message()")
        if message.channel not in CHANNELS:
            raise ValueError(f"channel: pass one of {', '.join(CHANNELS)}, not {message.channel!r}")
        parts = [_encode(getattr(message, name)) for name in _JSON_PARTS]
        return _v1(message.channel.encode(), [*parts, *message.buffers])

    def decode(self, data: str | bytes) -> KernelMessage:
        """The message.

        Raises:
            ValueError: If it is none.
        """
        if isinstance(data, str):
            return _of_text(_object(data))
        channel, *parts = _v1_parts(data)
        texts, buffers = parts[: len(_JSON_PARTS)], parts[len(_JSON_PARTS) :]
        fields = dict(zip(_JSON_PARTS, map(_object, texts), strict=True))
        return KernelMessage(channel=channel.decode(), buffers=tuple(buffers), **fields)


class DefaultWire(Wire):
    """A link on which the server chose the default form."""

    def received(self, message: str | bytes) -> list[str | bytes]:
        """Text as it is; what has buffers in the form v1."""
        if isinstance(message, str):
            return [message]
        try:
            text, *buffers = _default_parts(message)
            told = _of_text(_object(text))
        except (ValueError, UnicodeError):
            return [message]  # it does not decode, and is reported
        return [KernelCodec().encode(msgspec.structs.replace(told, buffers=tuple(buffers)))]

    def sent(self, message: str | bytes) -> list[str | bytes]:
        """The text of the default form; binary, if there are buffers."""
        if isinstance(message, str):
            return [message]
        channel, *parts = _v1_parts(message)
        texts, buffers = parts[: len(_JSON_PARTS)], parts[len(_JSON_PARTS) :]
        fields = b",".join(
            b'"%s":%s' % (name.encode(), text)
            for name, text in zip(_JSON_PARTS, texts, strict=True)
        )
        text = b'{"channel":%s,%s,"buffers":[]}' % (_encode(channel.decode()), fields)
        return [_default([text, *buffers])] if buffers else [text.decode()]


def _of_text(fields: Mapping[str, Any]) -> KernelMessage:
    parts: dict[str, Any] = {name: fields.get(name) or {} for name in _JSON_PARTS}
    channel: Any = fields.get("channel")
    if not isinstance(channel, str) or not all(map(is_mapping, parts.values())):
        raise ValueError("no message of a kernel")
    return KernelMessage(channel=channel, **parts)


def _object(text: str | bytes) -> Mapping[str, Any]:
    """A JSON object; also one with NaN in it, as Python's own encoder makes them."""
    try:
        found: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        found = json.loads(text)
    if not is_mapping(found):
        raise ValueError("no object")
    return found


# --- the form v1


def _v1(channel: bytes, parts: Sequence[bytes]) -> bytes:
    pieces = [channel, *parts]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return b"".join([struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), *pieces])


def _v1_parts(data: bytes) -> list[bytes]:
    count = int.from_bytes(data[:8], "little")
    if not 6 <= count < len(data) // 8:
        raise ValueError("no message in the form v1")
    offsets = struct.unpack_from(f"<{count}Q", data, 8)
    return _pieces(data, offsets, 8 * (count + 1))


# --- the default form with buffers


def _default(parts: Sequence[bytes]) -> bytes:
    offsets = [4 * (len(parts) + 1)]
    for part in parts[:-1]:
        offsets.append(offsets[-1] + len(part))
    return b"".join([struct.pack(f"!{len(offsets) + 1}I", len(offsets), *offsets), *parts])


def _default_parts(data: bytes) -> list[bytes]:
    count = int.from_bytes(data[:4], "big")
    if not 1 <= count < len(data) // 4:
        raise ValueError("no message in the default form")
    offsets = struct.unpack_from(f"!{count}I", data, 4)
    return _pieces(data, (*offsets, len(data)), 4 * (count + 1))


def _pieces(data: bytes, offsets: Sequence[int], first: int) -> list[bytes]:
    """What is between offsets, which have to be in order, the first behind the table of them."""
    if offsets[0] != first or offsets[-1] != len(data):
        raise ValueError("offsets of something else")
    if any(end < start for start, end in pairwise(offsets)):
        raise ValueError("offsets out of order")
    return [data[start:end] for start, end in pairwise(offsets)]
