"""Tables of protocols with close codes of their own, and a function with the last word (C16)."""

from __future__ import annotations

from typing import Any

import pytest

from rxsocket import (
    End,
    HandshakeRefused,
    Verdict,
    Verdicts,
    centrifugo,
    graphql_transport_ws,
    jupyter_kernel,
    standard,
)

AWAIT, COMPLETE = Verdict.AWAIT_AUTH, Verdict.COMPLETE
FAIL, RECONNECT = Verdict.FAIL, Verdict.RECONNECT


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (1000, COMPLETE),
        (1012, RECONNECT),
        (4400, FAIL),
        (4401, AWAIT),
        (4403, AWAIT),
        (4406, FAIL),
        (4408, RECONNECT),
        (4409, FAIL),
        (4429, FAIL),
        (4500, RECONNECT),
        (4504, RECONNECT),
        (4999, RECONNECT),
    ],
)
def test_graphql_transport_ws(code: int, verdict: Verdict) -> None:
    """C16: what the protocol calls fatal is FAIL, what merely took too long is tried again."""
    assert graphql_transport_ws()(End(code=code)) is verdict


def test_graphql_servers_that_keep_failing() -> None:
    """C16: 4500 is an outage four times, and no more the fifth."""
    verdicts = graphql_transport_ws()
    assert [verdicts(End(code=4500, in_a_row=n)) for n in (1, 4, 5)] == [RECONNECT, RECONNECT, FAIL]


def test_every_code_of_centrifugo() -> None:
    """C16: its four classes hold for every code from 3000 to 4999, but for the three of a token."""
    verdicts = centrifugo()
    for code in range(3000, 5000):
        final = 3500 <= code < 4000 or code >= 4500
        expected = AWAIT if code in (3005, 3500, 3507) else FAIL if final else RECONNECT
        assert verdicts(End(code=code)) is expected, code
    assert verdicts(End(code=1000)) is RECONNECT
    assert verdicts(End(code=1009)) is FAIL


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (End(error=HandshakeRefused(404)), FAIL),
        (End(error=HandshakeRefused(403)), AWAIT),
        (End(error=HandshakeRefused(503)), RECONNECT),
        (End(code=1000), RECONNECT),
        (End(code=1001), RECONNECT),
        (End(code=1005), RECONNECT),
    ],
)
def test_jupyter_kernel(end: End, verdict: Verdict) -> None:
    """C16: a kernel that is gone is final; a server that lets go of us is not."""
    assert jupyter_kernel()(end) is verdict


@pytest.mark.parametrize("preset", [standard, graphql_transport_ws, centrifugo, jupyter_kernel])
def test_every_preset_answers_everything_that_is_no_matter_of_its_own(preset: Any) -> None:
    """C16: lost links, refused credentials and overload are the same in every table."""
    verdicts: Verdicts = preset()
    assert verdicts(End(code=1006)) is RECONNECT
    assert verdicts(End(error=HandshakeRefused(401))) is AWAIT
    assert verdicts(End(error=HandshakeRefused(429))) is RECONNECT
    assert verdicts(End(error=OSError("unreachable"))) is RECONNECT


def test_a_function_has_the_last_word() -> None:
    """C16: its verdict goes before every row, and None leaves the table's own."""
    told: list[End] = []

    def own(end: End) -> Verdict | None:
        told.append(end)
        return FAIL if "banned" in end.reason else None

    verdicts = standard().then(own)
    assert verdicts(End(code=1012)) is RECONNECT
    assert verdicts(End(code=1012, reason="you are banned")) is FAIL
    assert [end.reason for end in told] == ["", "you are banned"]
    assert standard()(End(code=1012, reason="you are banned")) is RECONNECT


def test_the_last_of_several_functions_comes_first() -> None:
    """C16: functions stack like lines do, and survive an override made after them."""
    verdicts = (
        standard()
        .then(lambda end: FAIL if end.code == 1012 else None)
        .then(lambda end: COMPLETE if end.code == 1012 and end.reason == "bye" else None)
        .override({1012: AWAIT, 4404: FAIL})
    )
    assert verdicts(End(code=1012, reason="bye")) is COMPLETE
    assert verdicts(End(code=1012)) is FAIL
    assert verdicts(End(code=4404)) is FAIL


def test_a_function_that_returns_something_else() -> None:
    """C16: it is named, with what it returned."""
    verdicts = standard().then(lambda end: "reconnect")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match=r"then\(function\): return a Verdict or None, not 'recon"):
        verdicts(End(code=1012))
    with pytest.raises(TypeError, match=r"then\(function\): pass a function, not str"):
        standard().then("reconnect")  # type: ignore[arg-type]


def test_rows_that_are_no_mapping() -> None:
    """C16: it says what to pass instead."""
    with pytest.raises(TypeError, match=r"override\(rows\): pass a mapping such as .*, not list"):
        standard().override([4404])  # type: ignore[arg-type]
