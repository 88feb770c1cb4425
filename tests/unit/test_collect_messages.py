"""The messages that a config describes: those that ask, and what is in those that come."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from rxsocket.cli.collect.paths import FoundBy, Match, Places
from rxsocket.cli.collect.received import Received, ReceivedCodec
from rxsocket.cli.collect.templates import Filling, Template
from rxsocket.cli.collect.venue import OwnId, VenueRules, VenueSpec
from rxsocket.errors import SubscriptionRefused
from rxsocket.topics.subscribing import Subscribing


def filled(message: Any, *keys: str, credential: Any = None) -> Any:
    assigned = {"A": 17}.__getitem__
    return Template(message).fill(Filling(list(keys), 7, credential, assigned))


@pytest.mark.parametrize(
    ("message", "keys", "made"),
    [
        ({"args": ["{key}"]}, ["A", "B"], {"args": ["A", "B"]}),
        ({"args": ["{key}@trade", "all"]}, ["A", "B"], {"args": ["A@trade", "B@trade", "all"]}),
        (
            {"args": [{"channel": "trades", "instId": "{key}"}]},
            ["A", "B"],
            {"args": [{"channel": "trades", "instId": "A"}, {"channel": "trades", "instId": "B"}]},
        ),
        (
            {"channels": [{"name": "ticker", "product_ids": ["{key}"]}]},
            ["A", "B"],
            {"channels": [{"name": "ticker", "product_ids": ["A", "B"]}]},
        ),
        (
            {"channel": "{key.1}", "symbol": "{key.2}"},
            ["trades tBTC"],
            {"channel": "trades", "symbol": "tBTC"},
        ),
        ({"id": "{number}", "name": "n{number}", "key": "{key}"}, ["A"], None),
        ({"chanId": "{assigned}"}, ["A"], {"chanId": 17}),
        (["{{key}}", 1, True, "{key}"], ["A"], ["{key}", 1, True, "A"]),
    ],
)
def test_a_template_is_filled(message: Any, keys: list[str], made: Any) -> None:
    """An item of a list that holds the key is there once for each; a number stays one."""
    if made is None:
        made = {"id": 7, "name": "n7", "key": "A"}
    assert filled(message, *keys) == made


def test_an_entry_of_the_credential_is_put_in() -> None:
    message = {"keys": ["{key}"], "jwt": "{auth.token}"}
    assert filled(message, "A", credential={"token": "abc"}) == {"keys": ["A"], "jwt": "abc"}
    with pytest.raises(LookupError, match="no entry token"):
        filled(message, "A", credential="abc")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"args": "{keys}"}, r'write \["\{key\}"\] instead'),
        ({"args": "{symbol}"}, r"there is no \{symbol\}; pass one of \{key\}"),
        ({"args": "{key"}, "not closed"),
        ({"args": "{auth.}"}, "there is no"),
        ({"args": "{key.0}"}, "there is no"),
    ],
)
def test_a_place_that_there_is_not_is_refused(message: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Template(message)


def test_a_message_for_one_key_takes_no_others() -> None:
    template = Template({"symbol": "{key}"})
    assert template.is_for_one_key and not Template({"symbols": ["{key}"]}).is_for_one_key
    with pytest.raises(ValueError, match=r"limits\.batch"):
        filled({"symbol": "{key}"}, "A", "B")
    with pytest.raises(LookupError, match="no word 2"):
        filled({"symbol": "{key.2}"}, "A")


MESSAGE = {"data": {"s": "BTC", "n": 5}, "list": [{"ids": ["A", "B"]}, {"ids": ["C"]}], "no": None}


@pytest.mark.parametrize(
    ("places", "text", "texts"),
    [
        (["data.s"], "BTC", ["BTC"]),
        (["data.n"], "5", ["5"]),
        (["data.s", "data.n"], "BTC 5", ["BTC 5"]),
        (["list.1.ids.0"], "C", ["C"]),
        (["list.*.ids"], "['A', 'B']", ["A", "B", "C"]),
        (["list.0.ids"], "['A', 'B']", ["A", "B"]),
        (["data.x"], None, []),
        (["data.s.x", "data.n"], None, []),
        (["list.9"], None, []),
        (["no"], None, []),
        (["*.s"], "BTC", ["BTC"]),
    ],
)
def test_what_is_in_a_place(places: list[str], text: str | None, texts: list[str]) -> None:
    found = Places(places)
    assert (found.text(MESSAGE), found.texts(MESSAGE)) == (text, texts)


@pytest.mark.parametrize(
    ("looks", "is_such"),
    [
        ({"data.s": "BTC"}, True),
        ({"data.s": "BTC", "data.n": 5}, True),
        ({"data.s": "BTC", "data.n": 6}, False),
        ([{"data.n": 6}, {"data.n": 5}], True),
        ({"no": "*"}, False),
        ({"data": "*"}, True),
        ({"data.x": "*"}, False),
    ],
)
def test_what_a_message_looks_like(looks: Any, is_such: bool) -> None:
    assert Match(looks)(MESSAGE) is is_such


def test_true_is_no_number() -> None:
    assert not Match({"ok": True})({"ok": 1})
    assert Match({"ok": True})({"ok": True})
    assert not Match({"ok": 0})({"ok": False})


# --- a venue


def rules(**given: Any) -> VenueRules:
    every = dict.fromkeys(VenueRules.__dataclass_fields__)
    return VenueRules(**{**every, "subscribe": Template({"args": ["{key}"]}), **given})  # type: ignore[arg-type]


def received(value: Any) -> Received:
    return Received(msgspec.json.encode(value), value)


BITFINEX = rules(
    subscribe=Template({"event": "subscribe", "channel": "trades", "symbol": "{key}"}),
    unsubscribe=Template({"event": "unsubscribe", "chanId": "{assigned}"}),
    key=Places(["0"]),
    accepted=Match({"event": "subscribed"}),
    refused=Match({"event": "error"}),
    answered=Places(["symbol"]),
    assigned=Places(["chanId"]),
    ignored=Match({"1": "hb"}),
)


def test_what_the_server_calls_a_channel_is_of_one_socket() -> None:
    """Two sockets have the same number for two channels; a new connection another one."""
    spec = VenueSpec.of(BITFINEX, None, None)
    one, another = spec.arguments(), spec.arguments()
    answer = received({"event": "subscribed", "symbol": "tBTC", "chanId": 17})
    assert one["acknowledged"](answer) == {"tBTC": True}
    assert one["by"](answer) is None
    another["by"](received({"event": "subscribed", "symbol": "tETH", "chanId": 17}))
    trade = received([17, [1, 2, 3]])
    assert (one["by"](trade), another["by"](trade)) == ("tBTC", "tETH")
    assert one["by"](received([17, "hb"])) is None
    assert one["by"](received([18, [1]])) is None
    to = Subscribing(epoch=1, keys=("tBTC",))
    assert one["unsubscribe"](["tBTC"], to) == {"event": "unsubscribe", "chanId": 17}
    one["by"](received({"event": "subscribed", "symbol": "tBTC", "chanId": 99}))
    assert one["unsubscribe"](["tBTC"], to) == {"event": "unsubscribe", "chanId": 99}


def test_a_refusal_has_what_the_server_said() -> None:
    acknowledged = VenueSpec.of(BITFINEX, None, None).arguments()["acknowledged"]
    answer = acknowledged(received({"event": "error", "symbol": "tX", "msg": "unknown\nsymbol"}))
    assert list(answer) == ["tX"]
    assert isinstance(answer["tX"], SubscriptionRefused)
    assert "unknown\\nsymbol" in str(answer["tX"]) and "\n" not in str(answer["tX"])
    assert acknowledged(received({"event": "info"})) is None
    unnamed = acknowledged(received({"event": "error", "msg": "no"}))
    assert isinstance(unnamed, SubscriptionRefused)


def test_answers_that_list_keys() -> None:
    """As those of Coinbase, which list what is subscribed to."""
    coinbase = rules(
        key=Places(["product_id"]),
        accepted=Match({"type": "subscriptions"}),
        answered=Places(["channels.*.product_ids"]),
    )
    acknowledged = VenueSpec.of(coinbase, None, None).arguments()["acknowledged"]
    answer = {"type": "subscriptions", "channels": [{"name": "t", "product_ids": ["A", "B"]}]}
    assert acknowledged(received(answer)) == {"A": True, "B": True}


def test_ids_are_found_or_made_of_the_bytes() -> None:
    """Equal bytes have equal ids, and no id depends on who asks first."""
    venue = VenueSpec.of(rules(key=Places(["s"]), id=Places(["t"])), None, None)
    by, own_id = venue.arguments()["by"], OwnId(Places(["t"]))
    first, second = received({"s": "A", "t": 5}), received({"s": "A", "t": 5})
    by(first)
    assert (first.key, first.own_id) == ("A", "5") and own_id(second) == own_id(first) == "5"
    hashed = [own_id(received({"s": "A", "x": number})) for number in (1, 1, 2)]
    assert hashed[0] == hashed[1] != hashed[2]


def place_of(message: Any) -> Any:
    return message["data"]["s"]


def test_what_goes_to_another_process_comes_back() -> None:
    """A spec works there, and of a message come its bytes, key and id."""
    spec = VenueSpec.of(rules(key=FoundBy(place_of), id=Places(["data.n"])), None, None)
    there: VenueSpec = pickle.loads(pickle.dumps(spec))
    message = received(MESSAGE)
    assert there.arguments()["by"](message) == "BTC"
    back: Received = pickle.loads(pickle.dumps(message))
    assert (back.data, back.value, back.key, back.own_id) == (message.data, None, "BTC", "5")
    bitfinex: VenueSpec = pickle.loads(pickle.dumps(VenueSpec.of(BITFINEX, None, None)))
    assert bitfinex.arguments()["acknowledged"](received({"event": "subscribed"})) is True


class Doubling:
    def encode(self, value: Any) -> str:
        return str(value) * 2

    def decode(self, data: str | bytes) -> Any:
        return {"twice": str(data) * 2}


@pytest.mark.parametrize(
    ("codec", "sent", "came", "stored", "value"),
    [
        (ReceivedCodec("json"), '{"a":1}', '{"b" : 2}', b'{"b" : 2}', {"b": 2}),
        (ReceivedCodec("messagepack"), b"\x81\xa1a\x01", b"\x81\xa1b\x02", None, {"b": 2}),
        (ReceivedCodec("x:y", Doubling()), None, "b", b'{"twice":"bb"}', {"twice": "bb"}),
    ],
)
def test_what_came_is_what_is_stored(
    codec: ReceivedCodec, sent: Any, came: Any, stored: bytes | None, value: Any
) -> None:
    """Byte by byte; of a codec of the user's, what it decodes."""
    if sent is not None:
        assert codec.encode({"a": 1}) == sent
    message = codec.decode(came)
    assert (message.data, message.value) == (came if stored is None else stored, value)
    assert "bb" not in repr(message)
    if codec.__reduce__()[1][1] is None:
        assert pickle.loads(pickle.dumps(codec)).decode(came).value == value
