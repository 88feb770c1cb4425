"""Marble diagrams: everything about a socket in one picture."""

from __future__ import annotations

from random import Random

import pytest

from rxsocket import Backoff, Socket
from rxsocket.testing import (
    VirtualClock,
    Watch,
    accept,
    assert_marbles,
    fake,
    marbles,
    reject,
    watch,
)


class _Longest(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def seen(clock: VirtualClock) -> Watch:
    """Two credentials, a lost link, a refusal, a failed attempt, an end."""
    feed = fake(
        accept().wait(2).send("1").wait(1).send("hello", "3").wait(2).drop(),
        reject(503),
        accept(),
        tokens={"first", "second"},
    )
    backoff = Backoff(random=_Longest())
    socket = Socket(feed.url, auth={"token": "first"}, transport=feed, backoff=backoff)
    kept = watch(socket)
    clock.advance(15)
    socket.set_auth({"token": "second"})
    clock.advance(2)
    feed.push("4", "5")
    clock.advance(1)
    socket.set_auth({"token": "wrong"})
    clock.advance(2)
    socket.set_auth({"token": "first"})
    clock.advance(2)
    socket.set_auth(None)
    clock.advance(1)
    socket.close()
    clock.advance(1)
    return kept


DIAGRAM = """
    auth      A--------------B--C-A-0-
    opens     o----------o---o----o--|
    closes    -----x---------x--x---x|
    refused   ------------------r-----
    failed    -------f----------------
    messages  --1(h3)----------(45)--|
"""


def test_one_picture(seen: Watch) -> None:
    """Opens, closes, refusals, messages, credentials and ends, each at its moment."""
    assert_marbles(seen, DIAGRAM, values={"h": "hello"})
    assert_marbles(
        seen,
        "auth  X--------------Y--A-X-0-",
        auth={"X": {"token": "first"}, "Y": {"token": "second"}},
    )
    rows = ("auth", "opens", "closes", "refused", "failed", "messages")
    drawn = marbles(seen, *rows, values={"h": "hello"})
    wanted = [line.strip().rstrip("-") for line in DIAGRAM.splitlines() if line.strip()]
    assert [line.rstrip("-") for line in drawn.splitlines()] == wanted


def test_states(clock: VirtualClock) -> None:
    """The row of states shows what the socket was doing."""
    feed = fake(accept().wait(30).close(1001))
    backoff = Backoff(first=20.0, random=_Longest())
    socket = Socket(feed.url, transport=feed, backoff=backoff)
    kept = watch(socket)
    clock.advance(60)
    assert_marbles(kept, "state  (ico)-w---(co)", tick=5)
    assert marbles(kept, "state", tick=5) == "state     (ico)-w---(co)"
    assert marbles(kept, "state", tick=30) == "state     0:i 0:c 0:o 1:w 1:c 1:o"
    socket.close()
    clock.advance(1)


def test_the_columns_may_be_shorter(clock: VirtualClock) -> None:
    """``tick`` is the time of a column; a moment that floats miss by a hair is not missed."""
    feed = fake(accept().wait(0.1).send("a").wait(0.2).send("b").wait(0.3).send("c"))
    socket = Socket(feed.url, transport=feed)
    kept = watch(socket)
    clock.advance(1)
    assert_marbles(kept, "messages  -a-b--c", tick=0.1)
    socket.close()
    clock.advance(1)


def test_a_mismatch_shows_both_one_above_the_other(seen: Watch) -> None:
    """With a pointer at the first difference, what is unknown, and the events."""
    wrong = """
        opens     o---------o----o----o--|
        messages  --1(h3)----------(45)--|
    """
    with pytest.raises(AssertionError) as caught:
        assert_marbles(seen, wrong)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the marbles differ in opens, messages; a column is 1 s"
    assert lines[1:7] == [
        "  opens     expected  o---------o----o----o--|",
        "            actual    o----------o---o----o--|",
        "                      " + " " * 10 + "^",
        "  messages  expected  --1(h3)----------(45)--|",
        "            actual    --1(?3)----------(45)--|",
        "                      " + " " * 4 + "^",
    ]
    assert "  ? is 'hello', at 3 s" in lines
    assert any("Rejected(epoch=" in line for line in lines)


@pytest.mark.parametrize(
    ("diagram", "error"),
    [
        ("", "diagram: pass lines"),
        ("open  --o", "the row 'open' is unknown; there are auth, state, opens"),
        ("opens --o\nopens --o", "the row 'opens' is twice"),
        ("opens --(o", "not closed"),
        ("opens --o)", r"'\)' in column 3"),
        ("opens --o -", "' ' in column 3"),
    ],
)
def test_diagrams_that_cannot_be_read(seen: Watch, diagram: str, error: str) -> None:
    """What is wrong with one is told."""
    with pytest.raises(ValueError, match=error):
        assert_marbles(seen, diagram)
    with pytest.raises(ValueError, match="tick: pass seconds"):
        assert_marbles(seen, "opens o", tick=0)
