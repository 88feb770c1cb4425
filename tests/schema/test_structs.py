"""The structs that are generated decode what they were generated from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from feeds import FEEDS
from hypothesis import HealthCheck, given, settings

from rxsocket import Socket, json_codec
from rxsocket.schema import schema


def decoder(code: str) -> Callable[[str], Any]:
    """What a user who pastes the code decodes messages with."""
    names: dict[str, Any] = {}
    exec(compile(code, "pasted", "exec", dont_inherit=True), names)
    if "MessageCodec" in names:
        Socket("ws://localhost/", codec=names["MessageCodec"]())  # it is one
        decode: Callable[[str], Any] = names["MessageCodec"]().decode
        return decode
    return json_codec(type=names["Message"]).decode


def check(messages: list[Any]) -> None:
    texts = [json.dumps(message) for message in messages]
    decode = decoder(schema(texts).structs())
    for text in texts:
        decode(text)


@pytest.mark.parametrize("feed", FEEDS)
def test_they_decode_what_they_were_made_from(feed: str) -> None:
    """Whatever comes, and in whatever order."""

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(FEEDS[feed])
    def holds(messages: list[Any]) -> None:
        check(messages)

    holds()


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([{"kind": "\x81"}], id="one kind"),
        pytest.param([{"kind": "ü"}, 3], id="beside a number"),
        pytest.param([["ü", 1], ["ü", 2]], id="arrays"),
        pytest.param([{"kind": "ü"}, {"kind": "ö"}] * 5, id="two kinds"),
    ],
)
def test_a_tag_need_not_be_ascii(messages: list[Any]) -> None:
    check(messages)


@pytest.mark.slow
@pytest.mark.parametrize("feed", FEEDS)
def test_they_decode_what_they_were_made_from_at_length(feed: str) -> None:
    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(FEEDS[feed])
    def holds(messages: list[Any]) -> None:
        check(messages)

    holds()
