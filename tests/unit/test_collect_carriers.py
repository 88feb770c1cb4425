"""The carriers that a config describes; each can be sent to another process."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from rxsocket.cli.collect.carrying import ConfiguredCarrier
from rxsocket.cli.collect.received import ReceivedCodec
from rxsocket.cli.collect.schema import CarrierTable

TOKEN = {"token": "abc"}


@pytest.mark.parametrize(
    ("tables", "place", "carried"),
    [
        ([{"kind": "query"}], "query", (("token", "abc"),)),
        ([{"kind": "header"}], "headers", (("Authorization", "Bearer abc"),)),
        ([{"kind": "header", "name": "X-Key", "scheme": ""}], "headers", (("X-Key", "abc"),)),
        ([{"kind": "cookie"}], "cookies", (("token", "abc"),)),
        ([{"kind": "none"}], "query", ()),
    ],
)
def test_a_carrier_carries(tables: list[dict[str, Any]], place: str, carried: Any) -> None:
    made = ConfiguredCarrier([CarrierTable(**table) for table in tables], ReceivedCodec("json"))
    for carrier in (made, pickle.loads(pickle.dumps(made))):
        assert getattr(carrier(TOKEN), place) == carried
    assert "abc" not in repr(made)


def test_a_first_message_is_a_template() -> None:
    """And the answers to it are told by what they look like."""
    table = CarrierTable(
        kind="first_message",
        message={"op": "login", "args": [{"apiKey": "{auth.token}"}]},
        accepted={"event": "login"},
        rejected={"event": "error"},
        timeout=3.0,
    )
    greeting = ConfiguredCarrier([table], ReceivedCodec("json"))(TOKEN).greeting
    assert greeting is not None and greeting.timeout == 3.0
    assert greeting.message == '{"op":"login","args":[{"apiKey":"abc"}]}'
    assert greeting.accepted is not None and greeting.rejected is not None
    assert greeting.accepted('{"event": "login"}') and not greeting.accepted('{"event": "error"}')
    assert greeting.rejected('{"event": "error"}') and not greeting.rejected("no json")
