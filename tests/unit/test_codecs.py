"""Codecs: values to messages and back, and what is shown of a message that does not decode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest

import rxsocket
from rxsocket import Codec, Socket, json_codec, messagepack_codec
from rxsocket.codecs import codec_or_none, encoded
from rxsocket.connection.decoding import masked
from rxsocket.connection.decoding import why_undecodable as why


@dataclass
class Point:
    x: int
    y: int = 0


class Trade(msgspec.Struct, tag="trade", forbid_unknown_fields=True):
    price: float
    side: Literal["buy", "sell"] = "buy"
    notes: dict[str, int] = {}

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError("Expected `s3cret`")


class Quote(msgspec.Struct, tag="quote"):
    bid: float


FEED: Codec[Any, Any] = json_codec(type=Trade | Quote)


def test_json_goes_as_text_and_comes_as_either() -> None:
    """JSON is sent in text messages; binary ones that hold JSON are decoded, too."""
    codec = json_codec()
    assert codec.encode({"a": [1, 2.5, None, "ü"]}) == '{"a":[1,2.5,null,"ü"]}'
    assert codec.decode('{"a":1}') == codec.decode(b'{"a":1}') == {"a": 1}


def test_messagepack_goes_as_binary() -> None:
    """MessagePack is sent in binary messages."""
    codec = messagepack_codec()
    assert codec.encode({"a": 1}) == b"\x81\xa1a\x01"
    assert codec.decode(b"\x81\xa1a\x01") == {"a": 1}


@pytest.mark.parametrize("make", [json_codec, messagepack_codec])
@pytest.mark.parametrize(
    ("kind", "value"),
    [(Point, Point(1, 2)), (Quote, Quote(1.5)), (list[int], [1, 2]), (Trade | Quote, Quote(0.5))],
)
def test_typed_values_come_back_equal(make: Any, kind: Any, value: Any) -> None:
    """Dataclasses, structs, containers and unions by tag survive the way there and back."""
    codec = make(type=kind)
    assert codec.decode(codec.encode(value)) == value


def test_a_union_is_told_apart_by_its_tag() -> None:
    """The tag decides which struct a message becomes."""
    assert FEED.decode('{"type":"trade","price":1}') == Trade(1.0)
    assert FEED.decode('{"type":"quote","bid":1}') == Quote(1.0)


def test_a_codec_for_whatever_comes() -> None:
    """JSON where it is JSON; other text and binary messages stay what they are."""
    codec = codec_or_none("auto")
    assert codec is not None
    assert codec.decode('{"a": [1.5, null]}') == {"a": [1.5, None]}
    assert [codec.decode(text) for text in ("PING", "", "{", "1.5")] == ["PING", "", "{", 1.5]
    assert codec.decode(b'{"a": 1}') == b'{"a": 1}'
    assert [codec.encode(value) for value in ("a", b"a", {"a": 1})] == ["a", b"a", '{"a":1}']
    assert codec.decode("[" * 100_000) == "[" * 100_000


def test_what_is_sent_may_be_of_another_type() -> None:
    """A codec for trades sends whatever has a form in JSON."""
    assert json_codec(type=Trade, sends=Point).encode(Point(1)) == '{"x":1,"y":0}'
    assert json_codec().encode(math.nan) == "null"


@pytest.mark.parametrize("make", [json_codec, messagepack_codec])
def test_a_type_that_cannot_be_decoded_fails_at_once(make: Any) -> None:
    """Not at the first message: where the codec is made."""
    says = rf"^{make.__name__}\(type\): pass a type .* with tag=.*more than one dict-like type"
    with pytest.raises(TypeError, match=says):
        make(type=Trade | dict)


def test_codecs_say_what_they_are() -> None:
    """The repr is the call that makes it."""
    codecs = json_codec(), messagepack_codec(type=Point), json_codec(type=list[int])
    assert [repr(codec) for codec in codecs] == [
        "json_codec()",
        "messagepack_codec(type=Point)",
        "json_codec(type=list[int])",
    ]


def test_the_first_names_are_the_same_functions() -> None:
    assert (rxsocket.json, rxsocket.messagepack) == (json_codec, messagepack_codec)


class NoDecode:
    def encode(self, value: object) -> str:
        return ""


class Async:
    def encode(self, value: object) -> str:
        return ""

    async def decode(self, data: str | bytes) -> object:
        return data


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        (json_codec, "codec: pass json_codec"),
        ("json", "codec: pass json_codec"),
        (NoDecode(), "codec: pass json_codec"),
        (Async, "codec: pass json_codec"),
        (Async(), "decode is async"),
    ],
)
def test_what_is_no_codec_is_refused(codec: Any, text: str) -> None:
    """Also ``codec=json`` without the parentheses, and a class instead of its instance."""
    with pytest.raises(TypeError, match=text):
        Socket("ws://host/", codec=codec)
    assert codec_or_none(None) is None


class Returns:
    def __init__(self, result: object) -> None:
        self.result = result

    def encode(self, value: object) -> Any:
        return self.result

    def decode(self, data: str | bytes) -> object:
        return data


def test_encode_must_return_a_message() -> None:
    """A codec whose ``encode`` returns something else is told so."""
    assert encoded(Returns(b"x"), None) == b"x"
    with pytest.raises(TypeError, match="encode returned dict; return str or bytes"):
        encoded(Returns({}), None)


def loop() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    ("codec", "value", "error"),
    [
        (json_codec(), object(), TypeError),
        (json_codec(), {(1,): 2}, TypeError),
        (json_codec(), "\ud800", ValueError),
        (json_codec(), loop(), ValueError),
        (messagepack_codec(), 2**80, ValueError),
    ],
)
def test_what_cannot_be_encoded_raises(codec: Any, value: Any, error: type[Exception]) -> None:
    """TypeError for a type that has no form on the wire, ValueError for such a value."""
    with pytest.raises(error):
        encoded(codec, value)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('{"type":"trade","price":"s3cret"}', "Expected `float`, got `str` - at `$.price`"),
        ('{"type":"trade"}', "Object missing required field `price`"),
        ('{"type":"trade","price":1,"notes":{"s3cret":"s3cret"}}', "- at `$.notes[...]`"),
        ('{"s3cret', "Input data was truncated"),
        ("s3cret", "JSON is malformed: invalid character (byte 0)"),
        ('{"type":"s3cret"}', "ValidationError"),
        ('{"type":"trade","price":1,"side":"s3cret"}', "ValidationError"),
        ('{"type":"trade","price":1,"s3cret":1}', "ValidationError"),
        ('{"type":"trade","price":-1}', "ValidationError"),
    ],
)
def test_why_tells_types_and_places_but_no_data(message: str, text: str) -> None:
    """A text of ``msgspec`` that quotes the message, or a user's, gives way to its class (C28)."""
    with pytest.raises(msgspec.MsgspecError) as caught:
        FEED.decode(message)
    told = why(caught.value)
    assert told.endswith(text)
    assert "s3cret" not in told


def test_a_users_error_is_told_by_its_class() -> None:
    """What a codec of the user's says may hold anything (C28)."""
    assert why(KeyError("s3cret")) == "KeyError"
    assert why(ValueError("Expected `s3cret`")) == "ValueError"


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ('{"token": "s3cret", "id": 17}', '{"xxxxx": "x0xxxx", "xx": 00}'),
        ('{"ключ":"p@ss/w-+="}', '{"xxxx":"xxxxxxxxx"}'),
        (b'{"a":"b"}', '{"x":"x"}'),
        ("a\n\tb", "x  x"),
        (b"\x81\xa1a\x01", ""),
        ("x" * 81, "x" * 80 + "…"),
        ("ü".encode() * 300, "x" * 80 + "…"),
        (("a" + "ü" * 200).encode(), "x" * 80 + "…"),
        ("", ""),
    ],
)
def test_an_excerpt_shows_the_shape_alone(message: str | bytes, shape: str) -> None:
    """Structure and lengths stay, letters, digits and everything else do not (C28)."""
    assert masked(message) == shape
