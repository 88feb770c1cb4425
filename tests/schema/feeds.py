"""Feeds of different shapes, as strategies of Hypothesis: each value is a list of messages."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Feed = st.SearchStrategy[list[Any]]

NAMES = st.sampled_from(["BTC-USD", "ETH-USD", "a b", "", "\n", "ü", "\x00"])
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9)
AS_TEXT = st.decimals(-(10**6), 10**6, places=4, allow_nan=False).map(str)
TEXTS = st.text(max_size=6)
BAD_NAMES = st.sampled_from(
    ["from", "class", "a-b", "a_b", "__a", "float", "None", "Message", "1h", "", "ü", "self"]
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | AS_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def _object(always: dict[str, Any], at_times: dict[str, Any] | None = None) -> Any:
    return st.fixed_dictionaries(always, optional=at_times or {})


def _mixed(*kinds: Any) -> Feed:
    """Each kind at least once, then any of them."""
    return st.tuples(*kinds).flatmap(
        lambda first: st.lists(st.one_of(*kinds), max_size=30).map(lambda rest: [*first, *rest])
    )


LEVELS = st.lists(st.tuples(AS_TEXT, AS_TEXT).map(list), max_size=4)

TRADES = _mixed(
    _object(
        {"type": st.just("trade"), "symbol": NAMES, "price": NUMBERS, "side": NAMES},
        {"note": st.none() | NAMES},
    ),
    _object({"type": st.just("book"), "symbol": NAMES, "bids": LEVELS, "asks": LEVELS}),
    _object({"type": st.just("heartbeat"), "at": st.just("2026-01-02T03:04:05Z")}),
)
ARRAYS = _mixed(
    st.tuples(st.just("trades"), _object({"price": NUMBERS}, {"size": AS_TEXT})).map(list),
    st.tuples(st.just("book"), _object({"bids": LEVELS})).map(list),
)
EVENTS = _mixed(
    _object({"event": st.just("trade"), "data": _object({"price": NUMBERS, "from": NAMES})}),
    _object({"event": st.just("joined"), "data": _object({"members": st.lists(NAMES)})}),
    _object({"event": st.just("pong")}),
)
SINGLE = st.lists(
    _object(
        {"id": st.integers(), "size": st.integers() | NAMES, "price": AS_TEXT},
        {"inner": st.none() | _object({"a-b": NUMBERS}, {"class": st.booleans() | st.none()})},
    ),
    min_size=1,
    max_size=30,
)
MAPS = st.lists(
    _object({
        "levels": st.dictionaries(AS_TEXT, NUMBERS, max_size=12),
        "by symbol": st.dictionaries(
            st.text(max_size=3), _object({"p": NUMBERS}, {"q": NAMES}), max_size=90
        ),
    }),
    min_size=1,
    max_size=12,
)  # fmt: skip
NAMED_BADLY = st.lists(
    st.dictionaries(BAD_NAMES | TEXTS, NUMBERS | NAMES),
    min_size=1,
    max_size=20,
)  # fmt: skip
WITH_ANSWERS = _mixed(
    _object({"e": st.just("trade"), "p": AS_TEXT}),
    _object({"e": st.just("depthUpdate"), "b": LEVELS}),
    _object({"result": st.none(), "id": st.integers(0, 5)}),
    st.tuples(st.integers(), st.just("hb")).map(list),
)
NUMBERED = _mixed(
    _object({"op": st.just(10), "d": _object({"interval": NUMBERS})}),
    _object({"op": st.just(0), "t": NAMES, "d": JSON}),
)
ANYTHING = st.lists(JSON, min_size=1, max_size=20)

FEEDS: dict[str, Feed] = {
    "trades, books and heartbeats": TRADES,
    "arrays": ARRAYS,
    "events with data": EVENTS,
    "one shape": SINGLE,
    "maps": MAPS,
    "names that are none in Python": NAMED_BADLY,
    "answers among events": WITH_ANSWERS,
    "numbered kinds": NUMBERED,
    "anything": ANYTHING,
}
