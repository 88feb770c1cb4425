"""The verdict table as a pure function (C16)."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from rxsocket import (
    End,
    HandshakeInvalid,
    HandshakeRefused,
    ProviderFailed,
    RedirectRefused,
    Row,
    Unauthorized,
    Verdict,
    Verdicts,
    standard,
)
from rxsocket.policy.verdicts import STANDARD, kind

AWAIT, COMPLETE = Verdict.AWAIT_AUTH, Verdict.COMPLETE
FAIL, RECONNECT = Verdict.FAIL, Verdict.RECONNECT


def test_every_close_code_has_a_row() -> None:
    """From 1000 to 4999 there is a verdict for each code, the one that DESIGN gives."""
    special = {1000: COMPLETE, 1009: FAIL, 1010: FAIL, 1015: FAIL}
    special |= dict.fromkeys((1008, 3000, 3003, 4401, 4403), AWAIT)
    verdicts = standard()
    for code in range(1000, 5000):
        assert verdicts(End(code=code)) is special.get(code, RECONNECT), code


def test_every_status_has_a_row() -> None:
    """From 100 to 599 there is a verdict for each status, and patience where it may be a deploy."""
    special = {401: AWAIT, 403: AWAIT} | dict.fromkeys((400, 405, 410, 426), FAIL)
    lasting = (408, 425, 429, *range(500, 600))
    verdicts = standard()
    for status in range(100, 600):
        error = HandshakeRefused(status)
        assert verdicts(End(error=error)) is special.get(status, RECONNECT), status
        fifth = RECONNECT if status in lasting else special.get(status, FAIL)
        assert verdicts(End(error=error, in_a_row=5)) is fifth, status


@pytest.mark.parametrize("code", [1002, 1003, 1007])
@pytest.mark.parametrize(
    ("in_a_row", "verdict"), [(1, RECONNECT), (4, RECONNECT), (5, FAIL), (6, FAIL)]
)
def test_patience(code: int, in_a_row: int, verdict: Verdict) -> None:
    """FAIL from the fifth in a row on."""
    assert standard()(End(code=code, in_a_row=in_a_row)) is verdict


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4000])
def test_endless_patience(code: int) -> None:
    """What is an outage has no limit."""
    assert standard()(End(code=code, in_a_row=10_000)) is RECONNECT


def test_a_policy_violation_at_the_door_is_the_credential() -> None:
    """1008 soon after the opening is a refusal; of a stable connection it is not."""
    assert standard()(End(code=1008)) is AWAIT
    assert standard()(End(code=1008, stable=True)) is RECONNECT


class _Mine(OSError):
    pass


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unauthorized(), AWAIT),
        (ssl.SSLCertVerificationError("expired"), FAIL),
        (ssl.SSLError("eof"), RECONNECT),
        (HandshakeInvalid(), RECONNECT),
        (RedirectRefused(), FAIL),
        (ProviderFailed(), RECONNECT),
        (OSError(), RECONNECT),
        (_Mine(), RECONNECT),
        (TimeoutError(), RECONNECT),
        (Exception(), RECONNECT),
    ],
)
def test_exceptions(error: Exception, verdict: Verdict) -> None:
    """The row of the nearest class decides."""
    assert standard()(End(error=error)) is verdict


@pytest.mark.parametrize("status", [500, 599, 600, 999])
def test_an_error_of_the_server(status: int) -> None:
    """However often; above 599 there are no statuses, which means the same (RFC 9110)."""
    assert standard()(End(error=HandshakeRefused(status), in_a_row=1000)) is RECONNECT


def test_an_end_without_facts_is_an_outage() -> None:
    """Nothing known, or a code out of every range: try again."""
    assert standard()(End()) is RECONNECT
    assert standard()(End(code=7)) is RECONNECT
    assert Verdicts({})(End(code=1000)) is RECONNECT


@pytest.mark.parametrize(
    ("rows", "end", "verdict"),
    [
        ({4404: FAIL}, End(code=4404), FAIL),
        ({range(4000, 5000): FAIL}, End(code=4404), FAIL),
        ({range(4000, 5000): FAIL, 4404: COMPLETE}, End(code=4404), COMPLETE),
        ({range(4000, 5000): FAIL}, End(code=4401), AWAIT),
        ({range(4000, 4100): FAIL, range(4000, 5000): COMPLETE}, End(code=4050), FAIL),
        ({500: FAIL}, End(error=HandshakeRefused(500)), FAIL),
        ({range(500, 600): FAIL}, End(error=HandshakeRefused(599)), FAIL),
        ({HandshakeRefused: FAIL}, End(error=HandshakeRefused(599)), RECONNECT),
        ({OSError: FAIL}, End(error=_Mine()), FAIL),
        ({_Mine: COMPLETE, OSError: FAIL}, End(error=_Mine()), COMPLETE),
        ({Exception: FAIL}, End(error=OSError()), FAIL),
        ({Exception: FAIL}, End(error=HandshakeInvalid()), RECONNECT),
        ({1006: Row(RECONNECT, in_a_row=3)}, End(code=1006, in_a_row=2), RECONNECT),
        ({1006: Row(RECONNECT, in_a_row=3)}, End(code=1006, in_a_row=3), FAIL),
        ({1006: Row(FAIL, when_stable=RECONNECT)}, End(code=1006, stable=True), RECONNECT),
        ({1006: Row(FAIL, when_stable=RECONNECT)}, End(code=1006), FAIL),
    ],
)
def test_override(rows: Any, end: End, verdict: Verdict) -> None:
    """A number goes before a range, an earlier range before a later; the nearest class wins."""
    assert standard().override(rows)(end) is verdict


def test_override_makes_a_new_table() -> None:
    """The table it is called on stays as it was, and so does the standard one."""
    before = dict(STANDARD)
    table = standard()
    assert table.override({1001: FAIL}).override({1012: FAIL})(End(code=1001)) is FAIL
    assert table(End(code=1001)) is RECONNECT
    assert before == STANDARD


@pytest.mark.parametrize(
    "rows",
    [
        {"4404": FAIL},
        {4404.0: FAIL},
        {KeyboardInterrupt: FAIL},
        {OSError(): FAIL},
        {4404: "fail"},
        {4404: None},
    ],
)
def test_override_is_checked(rows: Any) -> None:
    """A wrong key or value is a TypeError that names the argument."""
    with pytest.raises(TypeError, match=r"^verdicts: "):
        standard().override(rows)


def test_what_makes_two_ends_the_same() -> None:
    """The close code, the status or the class of the exception."""
    assert kind(End(code=1006)) == 1006
    assert kind(End(error=HandshakeRefused(503))) == 503
    assert kind(End(error=TimeoutError())) is TimeoutError
    assert kind(End()) is None


def test_verdicts_print_as_they_are_written() -> None:
    """A repr that reads like the table."""
    assert [repr(verdict) for verdict in Verdict] == ["RECONNECT", "AWAIT_AUTH", "COMPLETE", "FAIL"]
