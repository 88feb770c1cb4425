"""C48: messages of kernels in both forms, also from whatever a server sends."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.protocols.jupyter_messages import (
    CHANNELS,
    DefaultWire,
    KernelCodec,
    KernelMessage,
    kernel_message,
)

CODEC = KernelCodec()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
OBJECTS = st.dictionaries(
    TEXTS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
MESSAGES = st.builds(
    KernelMessage,
    channel=st.sampled_from(CHANNELS),
    header=OBJECTS,
    parent_header=OBJECTS,
    metadata=OBJECTS,
    content=OBJECTS,
    buffers=st.lists(st.binary(max_size=8), max_size=3).map(tuple),
)
MESSAGE = kernel_message("execute_request", {"code": "1"}, session="s", buffers=[b"ab", b""])


def in_default_form(message: KernelMessage) -> str | bytes:
    """What goes over a link on which the server chose the default form."""
    (sent,) = DefaultWire().sent(CODEC.encode(message))
    return sent


def read(data: str | bytes, *, default: bool) -> KernelMessage | str:
    """The message; ``"undecodable"`` if it is none."""
    (received,) = DefaultWire().received(data) if default else (data,)
    try:
        return CODEC.decode(received)
    except ValueError:
        return "undecodable"


@given(MESSAGES)
def test_messages_come_back_as_they_were(message: KernelMessage) -> None:
    assert CODEC.decode(CODEC.encode(message)) == message
    assert read(in_default_form(message), default=True) == message


@given(st.text(max_size=20) | st.binary(max_size=60), st.booleans())
def test_whatever_comes_is_undecodable(data: str | bytes, default: bool) -> None:
    """There is no other exception."""
    assert read(data, default=default) == "undecodable"


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4), st.booleans(), st.booleans())
def test_a_damaged_message_breaks_nothing(
    place: int, damage: bytes, default: bool, cut: bool
) -> None:
    """It is another message, or undecodable."""
    data = in_default_form(MESSAGE) if default else CODEC.encode(MESSAGE)
    assert isinstance(data, bytes)
    place %= len(data)
    damaged = data[:place] if cut else data[:place] + damage + data[place + len(damage) :]
    assert isinstance(read(damaged, default=default), (KernelMessage, str))


def test_the_forms_are_those_of_the_server() -> None:
    """Jupyter Server's own functions read and write them."""
    base = pytest.importorskip("jupyter_server.services.kernels.connection.base")
    channel, parts = base.deserialize_msg_from_ws_v1(CODEC.encode(MESSAGE))
    assert (channel, parts[3:]) == ("shell", [b'{"code":"1"}', b"ab", b""])
    assert base.serialize_msg_to_ws_v1(parts, "shell") == CODEC.encode(MESSAGE)
    data = base.deserialize_binary_message(in_default_form(MESSAGE))
    assert (data["channel"], data["content"]) == ("shell", {"code": "1"})
    assert data["buffers"] == [b"ab", b""]
    told: dict[str, Any] = {
        "channel": "iopub",
        "header": {"msg_type": "stream"},
        "parent_header": {},
        "metadata": {},
        "content": {"text": "a"},
        "buffers": [b"x"],
    }
    message = read(base.serialize_binary_message(told), default=True)
    assert isinstance(message, KernelMessage)
    assert (message.type, message.content, message.buffers) == ("stream", {"text": "a"}, (b"x",))


def test_numbers_that_are_none_come_through() -> None:
    """Python's own encoder writes NaN, which is not JSON."""
    text = '{"channel":"iopub","header":{"msg_type":"a"},"content":{"x":NaN,"y":Infinity}}'
    message = CODEC.decode(text)
    assert math.isnan(message.content["x"]) and message.content["y"] == math.inf
    assert (message.parent, message.buffers) == ("", ())


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"channel":1}', '{"channel":"shell","header":[1]}', "null"]
)
def test_what_is_no_message(text: str) -> None:
    with pytest.raises(ValueError, match="no"):
        CODEC.decode(text)


def test_only_messages_are_sent() -> None:
    with pytest.raises(TypeError, match="pass a KernelMessage, not str"):
        CODEC.encode("1 + 1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass one of shell, control, stdin, iopub, not 'cell'"):
        CODEC.encode(kernel_message("a", {}, session="s", channel="cell"))
