"""The card of a socket: what it shows, as data, as text and as HTML."""

from __future__ import annotations

import base64
import json as jsonlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket import Backoff, ConnectFailed, Socket, Ticket, refreshing
from rxsocket.render.activity import recorder_of
from rxsocket.render.card import Card, card_of, card_text
from rxsocket.render.card_html import card_html
from rxsocket.render.card_view import RateSamples, card_view
from rxsocket.render.durations import sparkline
from rxsocket.render.view import TimeWindow
from rxsocket.state import State
from rxsocket.testing import VirtualClock, Watch, accept, fake, reject


def shown(socket: Socket[Any, Any]) -> Card:
    return card_of(socket._engine)


class Strict(HTMLParser):
    """Knows which elements are open, and refuses what may not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style", "img", "link", "iframe")
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_socket_that_was_never_used(clock: VirtualClock) -> None:
    """It is idle, has no connection, and nothing is counted; looking does not connect (C1)."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="secret-token")
    bundle = socket._repr_mimebundle_()
    clock.advance(10)
    assert peer.handshakes == []
    now = shown(socket)
    assert (now.state, now.since, now.epoch, now.rate) == (State.IDLE, None, 0, None)
    assert bundle["text/plain"].splitlines()[0] == "Socket ws://fake.test/: idle"
    assert "call connect()" in bundle["text/plain"]


def test_the_card_has_the_newest_address(clock: VirtualClock) -> None:
    """C33: of a function that is asked, the name before there is one; nothing secret of it."""
    peer = fake()

    def where() -> str:
        return "ws://a.test/?k=secret-token"

    socket = Socket(where, transport=peer, auth=Ticket("ws://a.test/t?k=secret-token"))
    name = "<Endpoint test_the_card_has_the_newest_address.<locals>.where>"
    assert card_text(shown(socket)).splitlines()[0] == f"Socket {name}: idle"
    with socket:
        clock.advance(2)
        now = shown(socket)
        assert (now.url, now.credential.label) == ("ws://a.test/t?k=***", "in the address")
        assert card_text(now).startswith("Socket ws://a.test/t?k=***: open for 2.0 s")
        assert "secret-token" not in card_text(now) + card_html(now, 0.0)


def test_an_open_socket_with_messages(clock: VirtualClock) -> None:
    """State, epoch, rate and the last five messages, newest first; old ones leave the rate."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": "secret-token"})
    recording = recorder_of(socket._engine).record_messages()
    with socket:
        clock.advance(2)
        for number in range(20):
            peer.push(f"message {number}")
            clock.advance(0.1)
        now = shown(socket)
        assert (now.state, now.epoch, now.received) == (State.OPEN, 1, 20)
        assert [line.text for line in now.messages] == [f"message {n}" for n in range(19, 14, -1)]
        assert now.rate is not None
        assert 4 <= now.rate <= 10
        assert now.credential.label == "token=***"
        clock.advance(10)
        assert shown(socket).rate == 0
        assert "open for 14 s" in card_text(shown(socket))
    recording.dispose()


def test_the_total_is_right_the_moment_it_is_in_sight(clock: VirtualClock) -> None:
    """C45: the socket counts, whoever looks; the rate is of the time that it has been in sight."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)

    def push(seconds: int) -> None:
        for _ in range(20 * seconds):
            peer.push("x")
            clock.advance(0.05)

    with socket:
        socket.messages.subscribe()
        clock.advance(0)
        push(60)
        now = shown(socket)
        assert (now.received, now.rate) == (1200, None)
        assert "messages   1,200 in all" in card_text(now)
        for number in range(3):
            with recorder_of(socket._engine).record_messages():
                assert shown(socket).rate is None
                push(2)
                now = shown(socket)
                assert now.rate == pytest.approx(20.0, rel=0.06)
                assert now.received == socket.stats.messages_received
                assert f"20/s, {1240 + 240 * number:,} in all" in card_text(now)
            push(10)


def test_what_went_wrong_is_explained(clock: VirtualClock) -> None:
    """After a refusal the card has the last error, what it means, and what one can do."""
    peer = fake(reject(401))
    socket = Socket(peer.url, transport=peer, auth={"token": "refused-token"})
    with socket:
        clock.advance(1)
        now = shown(socket)
        assert now.state is State.AWAITING_AUTH
        assert now.last_error is not None
        assert "HTTP 401" in now.last_error.text
        assert "set_auth" in now.advice
        html = card_html(now, 0.0)
        assert "last error" in html
        assert "awaiting auth" in html


def test_a_proxy_is_named() -> None:
    """By its address, without its password; what one can do is about it, not about the server."""
    socket = Socket("ws://example.test/", proxy="http://me:S3cretPass@127.0.0.1:9")
    failed = Watch(socket).wait(ConnectFailed)
    now = shown(socket)
    assert now.proxy == "http://127.0.0.1:9" and "S3cret" not in card_text(now)
    assert "proxy      http://127.0.0.1:9" in card_text(now)
    assert "through the proxy http://127.0.0.1:9" in str(failed.error)
    explanation = socket.explain()
    assert "through the proxy http://127.0.0.1:9" in explanation.why
    assert "check the proxy" in explanation.advice and "NO_PROXY" in explanation.advice
    socket.close().result(5)


def test_the_expiry_of_a_token(clock: VirtualClock) -> None:
    """A JSON Web Token says when it expires; so does what a provider answered (C12)."""
    wall = clock.wall_time()
    claims = base64.urlsafe_b64encode(jsonlib.dumps({"exp": wall + 90}).encode()).decode()
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": f"x.{claims.rstrip('=')}.y"})
    assert shown(socket).expires_at == wall + 90
    assert "expires in" in card_text(shown(socket))

    source = refreshing(lambda: {"access_token": "opaque", "expires_in": 600})
    other = Socket(peer.url, transport=peer, auth=source)
    with other:
        clock.advance(1)
        expires = shown(other).expires_at
        assert expires is not None
        assert 598 <= expires - clock.wall_time() <= 600


def test_html_is_whole_and_escaped(clock: VirtualClock) -> None:
    """Every element is closed, nothing runs or is fetched, and what a peer says is text."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'"
    peer = fake(accept().send(evil).wait(1).close(4000, "<b>reason"))
    socket = Socket(peer.url, transport=peer, auth={"<i>token": "secret-token"})
    recording = recorder_of(socket._engine).record_messages()
    with socket:
        clock.advance(0.5)
        first = card_html(shown(socket), 0.0)
        clock.advance(1)
        for html in (first, card_html(shown(socket), 0.0)):
            parser = Strict()
            parser.feed(html)
            parser.close()
            assert parser.open == []
            assert evil in parser.text
            assert "<i>token=***" in parser.text
        assert "<b>reason" in parser.text
    recording.dispose()


def test_the_card_is_legible_on_any_ground(clock: VirtualClock) -> None:
    """No colour of text is set but on a ground of its own: light and dark pages give theirs."""
    peer = fake()
    html = card_html(shown(Socket(peer.url, transport=peer, auth="secret-token")), 0.0)
    for style in re.findall(r'style="([^"]*)"', html):
        colours = re.findall(r"(?<![-\w])color:(#\w+)", style)
        assert not colours or "background:#" in style or "font-size:15px" in style


def settled(function: Callable[[], str], clock: VirtualClock) -> str:
    """What a button says, which is pressed on another thread and may wait for the socket."""
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(function()))
    thread.start()
    while thread.is_alive():
        clock.advance(0.1)
        thread.join(0.01)
    return said[0]


def test_the_buttons_of_the_card(clock: VirtualClock) -> None:
    """C54: reconnect, close, and another credential, which shows nowhere."""
    peer = fake(tokens=["good-token", "other-token"])
    socket = Socket(peer.url, transport=peer, auth={"token": "good-token"})
    view = card_view(socket._engine)
    with socket:
        clock.advance(1)
        assert [(action.name, action.asks) for action in view.actions] == [
            ("reconnect", ""), ("close", ""), ("credential", "token"),
        ]  # fmt: skip
        view.act("reconnect", None)
        clock.advance(1)
        assert shown(socket).epoch == 2
        said = settled(lambda: view.act("credential", "other-token"), clock)
        assert said == "the other credential is in effect"
        assert peer.handshakes[-1].query["token"] == "other-token"
        said += settled(lambda: view.act("credential", "bad-token"), clock)
        assert said.endswith("the server refused the other credential")
        html = view.render(TimeWindow()).html + view.static()["text/html"] + said
        assert not [one for one in ("other-token", "bad-token") if one in html]
        with pytest.raises(ValueError, match="there is no dance"):
            view.act("dance", None)
        view.act("close", None)
        clock.advance(3)
    assert shown(socket).state is State.CLOSED


def test_a_credential_of_several_parts_is_not_asked_for(clock: VirtualClock) -> None:
    """C54: a card asks for one text; what is said instead names the parts, not their values."""
    socket = Socket(
        "ws://a.test/", transport=fake(), auth={"user": "me-7", "token": "secret-token"}
    )
    said = card_view(socket._engine).act("credential", "x")
    assert "set_auth" in said and "user, token" in said and "me-7" not in said


def test_a_message_is_shown_whole(clock: VirtualClock) -> None:
    """C54: of those that were shown, however long, in each type; without secrets (C28)."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": "secret-token"}, codec="auto")
    view = card_view(socket._engine)
    recording = recorder_of(socket._engine).record_messages()
    with socket:
        clock.advance(1)
        peer.push("x" * 5000 + " secret-token")
        peer.push(jsonlib.dumps({"deep": [{"token": "secret-token", "n": 1.5, "b": None}]}))
        peer.push(b"\x00\xff")
        clock.advance(1)
        html = view.render(TimeWindow()).html
        numbers = re.findall(r'data-act="message" data-value="(\d+)"', html)
        assert numbers == ["3", "2", "1"]
        assert "<button" not in view.static()["text/html"], "nobody is there who could answer"
        binary, nested, long = (view.act("message", number) for number in numbers)
        assert binary == "00 ff"
        assert jsonlib.loads(nested) == {"deep": [{"token": "***", "n": 1.5, "b": None}]}
        assert long == "x" * 5000 + " ***"
        for is_held in (True, False):
            view.hold(is_held)
            for number in range(40):
                peer.push(str(number))
                clock.advance(0.1)
                view.render(TimeWindow())
            assert (view.act("message", "1") == long) is is_held
        assert "not kept any more" in view.act("message", "1")
    recording.dispose()


def test_what_is_next_is_counted_down(clock: VirtualClock) -> None:
    """C54: the seconds to the next attempt, which is no connection yet."""
    peer = fake(reject(503), reject(503), reject(503))
    socket = Socket(peer.url, transport=peer, backoff=Backoff(first=20.0, random=Random(1)))
    with socket:
        clock.advance(0.5)
        now = shown(socket)
        assert now.due is not None and now.due > now.now
        html = card_html(now, 0.0)
        assert re.search(r'attempt 2 in <span data-left="[\d.]+">[\d.]+ s</span>', html)
        assert "attempt    1" in card_text(now)
        assert html.count("503") == 1, "the error is said once"


def test_what_is_over_needs_no_advice(clock: VirtualClock) -> None:
    """C54: a refusal that a later credential has mended."""
    peer = fake(tokens=["good-token"])
    socket = Socket(peer.url, transport=peer, auth="other-token")
    with socket:
        clock.advance(5)
        assert "you can" in card_html(shown(socket), 0.0)
        socket.set_auth("good-token")
        clock.advance(60)
        html = card_html(shown(socket), 0.0)
        assert "last error" in html and "set_auth" not in html


def test_a_card_without_its_styles(clock: VirtualClock) -> None:
    """C54: as some viewers strip them: words stay apart."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": "secret-token"}, name="prices")
    recording = recorder_of(socket._engine).record_messages()
    with socket:
        clock.advance(1)
        peer.push("hello")
        clock.advance(1)
        text = Strict()
        text.feed(card_html(shown(socket), 0.0))
    recording.dispose()
    assert "1 token=***" in text.text
    assert "prices ws://fake.test/" in text.text
    assert re.search(r"\d\d:\d\d:\d\d hello", text.text)


def test_what_came_out_of_sight_is_spread() -> None:
    """Seen again after 20 s, the rate of these is their mean, and no peak."""
    samples = RateSamples()
    for at, count, since in ((0.0, 0, 0.0), (1.0, 50, 0.0), (21.0, 1050, 21.0)):
        samples.add(at, count, since)
    assert max(samples.rates(21.0)) == pytest.approx(50)


@given(st.lists(st.floats(0, 1e9)))
def test_a_line_of_bars(numbers: list[float]) -> None:
    """One bar for each number; the largest is as high as the line, whatever floats round to."""
    line = sparkline(numbers)
    assert len(line) == len(numbers)
    if any(numbers):
        assert line[numbers.index(max(numbers))] == "█"


@given(st.lists(st.tuples(st.floats(0.01, 3.0), st.integers(0, 50), st.booleans()), max_size=60))
def test_rates_sum_up_to_what_came(steps: list[tuple[float, int, bool]]) -> None:
    """The rates of the last seconds are at most what was counted, and never negative."""
    samples, at, count = RateSamples(), 1000.0, 0
    for seconds, more, watched in steps:
        at, count = at + seconds, count + more
        samples.add(at, count, 1000.0 if watched else None)
        rates = samples.rates(at)
        assert len(rates) <= 40
        assert all(rate >= 0 for rate in rates)
        assert sum(rates) <= count + 1e-6


SHOWN = """
import gc, weakref
from rxsocket import Socket
from rxsocket.notebook import timeline
from rxsocket.testing import clock, fake

with clock() as virtual:
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="secret-token")
    with socket:
        virtual.advance(1)
        socket._repr_mimebundle_()
        timeline(socket).svg()
    virtual.advance(3)
    gone = weakref.ref(socket)
    del socket
    gc.collect()
    assert gone() is None
"""


def test_a_socket_that_was_shown_is_let_go() -> None:
    """What is remembered of a socket, and its pictures, live no longer than the socket."""
    run(SHOWN)  # in a program of its own: here the plugin keeps an eye on every socket


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_core_does_not_import_it() -> None:
    """A program without a notebook does not load the pictures, nor what they need."""
    code = (
        "import sys, rxsocket; socket = rxsocket.Socket('ws://localhost/'); repr(socket)\n"
        "assert not {m for m in sys.modules if m.startswith(('rxsocket.notebook', 'anywidget',"
        " 'ipywidgets', 'IPython'))}\n"
        "bundle = socket._repr_mimebundle_()\n"
        "assert set(bundle) == {'text/plain', 'text/html'}"
    )
    run(code)


def test_advice_is_given_once(clock: VirtualClock) -> None:
    """What helps now and what helped the last error are often the same."""
    peer = fake(tokens=["good-token"])
    socket = Socket(peer.url, transport=peer, auth="other-token")
    with socket:
        clock.advance(5)
        text = Strict()
        text.feed(card_html(shown(socket), 0.0))
    assert text.text.count("call set_auth(") == 1
    assert "last error" in text.text


def test_a_socket_with_a_name(clock: VirtualClock) -> None:
    """It is called so in each form of its card, and in its repr."""
    socket = Socket("ws://fake.test/", transport=fake(), name="prices <b>")
    bundle = socket._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Socket prices <b> ws://fake.test/: idle")
    assert ">prices &lt;b&gt;</strong>" in bundle["text/html"]
    assert repr(socket) == "<Socket prices <b> ws://fake.test/: idle>"
    with pytest.raises(TypeError, match="name: pass a string"):
        Socket("ws://fake.test/", name=7)  # type: ignore[arg-type]
