"""C28: what a server repeats of a credential shows nowhere, in virtual time."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from internals import BEGINNING, Mask
from scene import Make

from rxsocket import (
    Closed,
    Credential,
    Socket,
    SocketFailed,
    Verdict,
    history,
    in_band,
    refreshing,
    standard,
)
from rxsocket.testing import VirtualClock, accept, fake

CANARY = "canary/4711+0815=and a few more"


@pytest.mark.parametrize("code", [1000, 1012, 4401])
def test_a_reason_is_masked_where_it_is_read(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """Events, the log, the history and the explanation have it masked, whatever follows the end."""
    caplog.set_level(logging.DEBUG)
    it = scene(accept().close(code, f"bad {CANARY}!"), auth={"token": CANARY, "room": 7})
    clock.advance(0.1)
    closed = next(event for event in it.events if isinstance(event, Closed))
    assert closed.reason == "bad ***!"
    shown = [repr(it.events), repr(history(it.socket)), caplog.text]
    shown += [str(it.socket.explain()), repr(it.socket.explain())]
    assert "bad ***" in shown[3] or code == 1000
    assert not [text for text in shown if "canary" in text]


def test_what_was_tried_is_masked(clock: VirtualClock, scene: Make) -> None:
    """The exception that ends the socket has the masked reasons of all attempts."""
    verdicts = standard().override({1012: Verdict.RECONNECT})
    scripts = [accept().close(1012, f"{number} {CANARY}") for number in range(3)]
    it = scene(*scripts, auth=CANARY, verdicts=verdicts, max_attempts=3)
    ends: list[Exception] = []
    it.socket.messages.subscribe(on_error=ends.append)
    clock.advance(60.0)
    (end,) = ends
    assert isinstance(end, SocketFailed) and len(end.tried) == 3
    assert all(f"{number} ***" in one.outcome for number, one in enumerate(end.tried))
    assert "canary" not in str(end) + repr(end.tried)


def test_short_values_and_other_texts_stay(clock: VirtualClock, scene: Make) -> None:
    """A value of three characters is too little to be told from other text: it masks nothing."""
    it = scene(accept().close(1012, "room 7 is full, try 77"), auth={"token": CANARY, "room": "7"})
    clock.advance(0.1)
    closed = next(event for event in it.events if isinstance(event, Closed))
    assert closed.reason == "room 7 is full, try 77"


WAYS: list[Callable[[str], str]] = [
    str,
    quote_plus,
    json.dumps,
    repr,
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
]


@example("0000000000000:0000000000", str, 18)  # two of its forms begin alike
@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=24),
    st.sampled_from(WAYS),
    st.integers(min_value=BEGINNING + 2),
)
def test_a_reason_that_was_cut_is_recognised(
    value: str, way: Callable[[str], str], length: int
) -> None:
    """A close frame has room for 123 bytes: of a long value that was cut nothing is left."""
    written = way(value)[:length]
    masked = Mask([Credential.of(value)]).in_reason(f"no {written}")
    assert masked.startswith("no ") and len(masked) <= 3 + 3 + 4


ENCODINGS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "percent, lower case": lambda text: re.sub(
        "%..", lambda found: found[0].lower(), quote_plus(text)
    ),
    "HTML": lambda text: html.escape(text),
    "hex": lambda text: text.encode().hex(),
    "base64 of user:token": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 in the middle": lambda text: base64.b64encode(f"ab{text}xyz".encode()).decode(),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_encoded_it_is_found_too(name: str) -> None:
    """C28: whatever a server makes of it, of the value itself nothing is left to see."""
    value = 'c4n4ry/"4711"&0815+more'
    written = ENCODINGS[name](value)
    masked = Mask([Credential.of({"token": value})])(f"no {written} here")
    assert masked.startswith("no ") and masked.endswith(" here") and "***" in masked
    assert len(masked) <= len("no *** here") + 12  # what is left is of its surroundings


@pytest.mark.parametrize("length", range(4, 12))
def test_a_short_secret_that_was_cut(length: int) -> None:
    """C28: of a secret of 12 characters that ends with the text no beginning shows."""
    mask = Mask([Credential.of("c4n4ry-47115")])
    assert mask.in_reason(f"bad {'c4n4ry-47115'[:length]}") == "bad ***"


PLAIN: dict[str, Any] = {
    "user": 1000,
    "live": True,
    "auth": True,
    "session": "true",
    "limit": "1000",
    "since": "2024-01-01",
    "symbol": "BTCUSD",
    "pair": "BTC-USD",
    "stream": "btcusdt@trade",
    "interval": "kline_1m",
    "side": "long",  # which has "sid" in it
    "author": "anna",
    "currency": "USDT",
    "nothing": None,
}
"""No secrets by themselves, under names that say nothing else."""


def test_what_is_no_secret_by_itself() -> None:
    """C28: numbers, booleans, dates and short words stay."""
    mask = Mask([Credential.of({"token": "hunter2!", **PLAIN})])
    text = "None " + " ".join(str(value) for value in PLAIN.values())
    for said in (text, text.lower(), text.upper(), f'{{"price": 1000, "p": 21000.5}} {text}'):
        assert mask(said) == mask.in_reason(said) == said


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "password",
        "listenKey",
        "X-Api-Key",
        "access_key",
        "sid",
        "otp",
        "authCode",
        "client_secret",
        "user_pass",
        "sessionId",
        "pwd",
        "Proxy-Auth",
        "Authorization",
    ],
)
def test_what_is_named_as_a_secret_is_one(name: str) -> None:
    """C28: then a number or a short word is masked, too."""
    for value in ("sesame", "123456", "BTC-USD"):
        assert Mask([Credential.of({name: value})])(f"bad {value}!") == "bad ***!"
    assert Mask([Credential.of({"word": "longenough"})])("a longenough word") == "a *** word"


def test_words_of_a_header_stay(clock: VirtualClock) -> None:
    """C28: of "Bearer token" the token is masked; a URL's flags and numbers are no secrets."""
    peer = fake(accept().close(1012, "Bearer of t0ken-4711, anna: true, 1000 of BTC-USD left"))
    socket = Socket(
        "ws://fake.test/?auth=true&limit=1000&symbol=BTC-USD",
        additional_headers={"Authorization": "Bearer t0ken-4711", "Cookie": "user=anna"},
        transport=peer,
    )
    closed: list[Closed] = []
    socket.closes.subscribe(closed.append)
    clock.advance(0.1)
    told = [event.reason for event in closed]
    assert told == ["Bearer of ***, anna: true, 1000 of BTC-USD left"]
    socket.close()
    clock.advance(3.0)


# --- functions of the user's that get the bare value


def _quote(value: Any) -> Any:
    raise LookupError(f"no user in {value}")


def _later(value: Any) -> Any:
    return value if value == "initial" else _quote(value)


BARE: dict[str, dict[str, Any]] = {
    "identity=": {"auth": "initial", "identity": _quote},
    "in_band(encode)": {
        "auth": "initial",
        "identity": lambda _: "me",
        "on_auth_change": in_band(_later),
    },
    "a carrier": {"auth": lambda: {"token": CANARY}, "carrier": _quote},
    "expires=": {"auth": refreshing(lambda: {"token": CANARY}, expires=_quote)},
    "credential=": {"auth": refreshing(lambda: {"token": CANARY}, credential=_quote)},
}


@pytest.mark.parametrize("name", BARE)
def test_a_function_that_quotes_the_value_it_got(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """C28: neither its text nor a variable of a frame is shown; where it raised is."""
    caplog.set_level(logging.DEBUG)
    it = scene(**BARE[name])
    clock.advance(0.5)
    if BARE[name]["auth"] == "initial":
        it.socket.set_auth({"token": CANARY})
    clock.advance(1.0)
    errors = [error for event in it.events if (error := getattr(event, "error", None))]
    assert "no user in" in str(errors[0]) and "***" in str(errors[0])
    shown = [*map(repr, errors), caplog.text, str(it.socket.explain())]
    for error in errors:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            shown.extend(map(repr, frame.f_locals.values()))
    assert not [text for text in shown if "canary" in text]
    assert name not in ("identity=", "in_band(encode)") or "raised in _quote" in caplog.text


def test_a_refresh_that_quotes_the_last_token(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C28: neither on ``errors`` of refreshing, nor in the log, nor on the socket."""
    caplog.set_level(logging.DEBUG)
    answers = iter([{"token": CANARY, "expires_in": 60}])

    def provide() -> Any:
        for answer in answers:
            return answer
        raise LookupError(f"HTTP 400: {CANARY} is expired")

    tokens = refreshing(provide)
    errors: list[Exception] = []
    tokens.errors.subscribe(errors.append)
    following = tokens.subscribe(lambda _: None)
    it = scene(auth=tokens)
    clock.advance(90.0)
    assert "HTTP 400: *** is expired" in str(errors[0])
    shown = [*map(repr, errors), caplog.text, repr(it.events), str(it.socket.explain())]
    assert not [text for text in shown if "canary" in text]
    following.dispose()


def test_a_carrier_that_quotes_the_value_at_once() -> None:
    """C28: what set_auth() raises of a carrier does not quote it either."""
    with pytest.raises(LookupError) as caught:
        Socket("ws://fake.test/", auth={"token": CANARY}, carrier=_quote)
    assert str(caught.value) == "no user in {'token': '***'}"


REPEATED = ["s3cret-pw", "k3y-of-the-url", "h3ader-value", "c00kie-value", "Bearer h3ader-value"]


@pytest.mark.parametrize("repeated", REPEATED)
def test_what_is_written_in_the_address_or_the_headers(clock: VirtualClock, repeated: str) -> None:
    """C28: user info, query values and additional headers are masked when a server repeats them."""
    peer = fake(accept().close(1012, f"no {repeated} here"))
    socket = Socket(
        "ws://user:s3cret-pw@fake.test/?api=k3y-of-the-url",
        additional_headers={"X-Auth": "Bearer h3ader-value", "Cookie": "a=b; sid=c00kie-value"},
        transport=peer,
    )
    closed: list[Closed] = []
    socket.closes.subscribe(closed.append)
    clock.advance(0.1)
    assert [event.reason for event in closed] == ["no *** here"]
    assert repeated not in str(socket.explain())
    socket.close()
    clock.advance(3.0)
