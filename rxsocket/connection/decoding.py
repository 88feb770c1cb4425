"""From the message of a connection to the value that observers get: decoded once, for all of them.

::

    transport     "1"----"{"--------"3"---
    messages      -1-----------------3----
    errors        -------DecodeFailed-----
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Any

import msgspec

from rxsocket.codecs import Codec
from rxsocket.errors import Undecodable
from rxsocket.explain.format import amount
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.threads import exit_soon

EXCERPT = 80
"""Characters of a message that an excerpt shows."""

_STRUCTURE = frozenset('{}[]:," ')
_TELLS_NO_DATA = re.compile(
    r"Expected `[^`]*`.*"
    r"|Object missing required field `[^`]*`.*"
    r"|JSON is malformed: [\w ,]+(\(byte \d+\))?"
    r"|Input data was truncated"
    r"|a bytes-like object is required, not 'str'"
)
"""Texts of msgspec about the types that were expected, and where; others quote the message."""


def decoding(codec: Codec[Any, Any], publisher: Publisher) -> Callable[[list[str | bytes]], None]:
    """A function to deliver messages with: each is decoded, or reported and left out (C3)."""
    decode, deliver = codec.decode, publisher.deliver

    def decode_and_deliver(batch: list[str | bytes]) -> None:
        epoch, messages, start = publisher.delivering_epoch, iter(batch), 0
        while publisher.delivering_epoch == epoch:  # what observers ask for may end it
            values: list[Any] = []
            add = values.append
            try:
                for data in messages:
                    add(decode(data))
            except BaseException as error:
                exit_soon(error)
                stop = start + len(values)
                failure = _failure(batch[stop], error)
            else:
                deliver(values, batch[start:] if start else batch)
                return
            deliver(values, batch[start:stop])
            if publisher.delivering_epoch == epoch:
                publisher.publish_undecodable(failure, masked(batch[stop]))
            start = stop + 1

    return decode_and_deliver


def _failure(data: str | bytes, error: BaseException) -> Undecodable:
    # A new exception: the one that was raised has frames, and often a text, that hold the message.
    if isinstance(data, str):
        what = f"a text message of {amount(len(data), 'character')}"
    else:
        what = f"a binary message of {amount(len(data), 'byte')}"
    return Undecodable(f"{what} does not decode: {why_undecodable(error)}")


def why_undecodable(error: BaseException) -> str:
    """What is wrong with a message, as far as that can be said without its data (C28)."""
    text = str(error)
    # With a cause it is msgspec's wrapping of what a __post_init__ of the user's says.
    ours = isinstance(error, (msgspec.MsgspecError, TypeError)) and error.__cause__ is None
    if ours and _TELLS_NO_DATA.fullmatch(text):
        return text
    return type(error).__name__


def masked(data: str | bytes) -> str:
    """The shape of a message's beginning: letters as ``x``, digits as ``0``; structure stays (C28).

    Empty for what is not text.

    Examples:
        >>> masked('{"token": "s3cret"}')
        '{"xxxxx": "x0xxxx"}'
    """
    if isinstance(data, bytes):
        try:  # a character that the cut splits is left out
            data = codecs.getincrementaldecoder("utf-8")().decode(data[: EXCERPT * 4])
        except UnicodeDecodeError:
            return ""
    return "".join(map(_mask, data[:EXCERPT])) + ("…" if len(data) > EXCERPT else "")


def _mask(character: str) -> str:
    if character in _STRUCTURE:
        return character
    if character.isspace():
        return " "
    return "0" if character.isdigit() else "x"
