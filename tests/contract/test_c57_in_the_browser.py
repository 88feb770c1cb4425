"""C57: the WebSocket of a page, in virtual time; see ``browser_page`` for what a page has here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from browser_page import JsException, Page, Proxy, open_page
from internals import Fake, keep_at_most, leave_browser, link_of, options_of
from scene import known

from rxsocket import (
    Carried,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    HandshakeFailed,
    Opened,
    Socket,
    State,
    Verdict,
    client_certificate,
    cookie,
    endpoint,
    first_message,
    handover,
    header,
    heartbeat,
    query,
    subprotocol,
)
from rxsocket.testing import VirtualClock, accept, fake, hang, reject, unreachable


class Stage:
    """A page on a fake network, with one socket."""

    def __init__(self, clock: VirtualClock, page: Page, network: Fake, **options: Any) -> None:
        self.clock, self.page, self.network = clock, page, network
        options.setdefault("backoff", known())
        self.socket: Socket[Any] = Socket(network.url, **options)
        self.events: list[Event] = []
        self.messages: list[Any] = []
        self.socket.messages.subscribe(self.messages.append)
        self.socket.events.subscribe(self.events.append)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


MakeStage = Callable[..., Stage]


@pytest.fixture
def on_page(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStage]:
    """Make a page with a socket; nothing of it is left at the end."""
    made: list[Stage] = []
    proxies = Proxy.alive

    def make(*scripts: Any, tokens: Any = None, latency: float = 0.0, **options: Any) -> Stage:
        network = fake(*scripts, tokens=tokens, latency=latency)
        made.append(Stage(clock, open_page(monkeypatch, network), network, **options))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()
        clock.advance(60.0)
        assert one.page.listeners == 0
    assert Proxy.alive == proxies


# --- the story of a first socket


def test_a_token_messages_a_change_a_refusal_and_recovery(
    clock: VirtualClock, on_page: MakeStage
) -> None:
    """C57: it is chosen by itself, and does what a socket does."""
    mine = on_page(tokens={"initial", "updated"}, auth={"token": "initial"})
    mine.network.default = accept().send("hello", b"\x00\xff").echo()
    clock.advance(1.0)
    assert options_of(mine.socket).transport_name == "browser"
    assert mine.messages == ["hello", b"\x00\xff"]
    receipt = mine.socket.send("ping")
    clock.advance(0.1)
    assert receipt.done and mine.messages[-1] == "ping"
    mine.socket.set_auth({"token": "updated"})
    clock.advance(1.0)
    assert [one.credential for one in mine.network.handshakes] == ["initial", "updated"]
    mine.network.tokens = {"late"}
    mine.network.drop()
    clock.advance(3.0)
    failed = mine.of(ConnectFailed)[0]
    assert isinstance(failed.error, HandshakeFailed) and failed.status is None
    assert failed.verdict is Verdict.RECONNECT
    mine.socket.set_auth({"token": "late"})
    clock.advance(60.0)
    assert mine.socket.state.value is State.OPEN


def test_a_refusal_is_told_as_what_it_may_be(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: a page learns no status; the credential is not taken for refused, nobody is hammered."""
    mine = on_page(tokens={"other"}, auth={"token": "wrong"})
    clock.advance(600.0)
    assert 15 < mine.network.dials < 25
    said = mine.socket.explain()
    assert "may have refused it" in str(said) and "1006" in str(said)
    assert "console of the browser" in said.advice and "set_auth" in said.advice
    assert "wrong" not in str(said)


def test_an_offline_browser_is_told(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: where the browser says that it is offline, that is what is said."""
    mine = on_page(unreachable())
    mine.page.navigator.onLine = False
    clock.advance(1.0)
    assert "it says that it is offline" in str(mine.of(ConnectFailed)[0].error)


def test_what_the_browser_does_not_even_try(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: JavaScript throws, maybe with the address in it; the text is ours."""
    mine = on_page(auth={"token": "s3cret"})
    mine.page.throws = JsException("SecurityError", "ws://fake.test/?token=s3cret")
    clock.advance(1.0)
    [failed] = mine.of(ConnectFailed)
    assert "may not open ws:// from a page of https://" in str(failed.error)
    mine.page.throws = JsException("SyntaxError", "s3cret")
    clock.advance(5.0)
    assert "this address (SyntaxError)" in str(mine.of(ConnectFailed)[1].error)
    assert "s3cret" not in repr(mine.events) + str(mine.socket.explain())
    mine.page.throws = None


def test_a_dial_that_hangs(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: it is given up after open_timeout, and the browser with it."""
    mine = on_page(hang(), open_timeout=5.0)
    clock.advance(5.5)
    [failed] = mine.of(ConnectFailed)
    assert isinstance(failed.error, TimeoutError) and "open_timeout" in str(failed.error)
    assert mine.page.sockets[0].readyState >= 2


def test_closed_while_it_dials(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: a dial that nobody wants any more is given up at once."""
    mine = on_page(hang())
    clock.advance(1.0)
    mine.socket.close()
    clock.advance(0.0)
    assert mine.page.sockets[0].readyState >= 2 and mine.socket.state.value is State.CLOSED


# --- ends


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1011, 1012, 4321])
def test_how_the_server_closes(clock: VirtualClock, on_page: MakeStage, code: int) -> None:
    """C57: its code and its text, and no code where it gave none."""
    why = "" if code == 1005 else "because"
    mine = on_page(accept().close(code, why))
    clock.advance(1.0)
    [closed] = mine.of(Closed)[:1]
    assert (closed.code, closed.reason, closed.cause) == (code, why, Cause.PEER)


def test_a_link_that_is_lost(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: 1006 after the opening is a lost link, and another one is made."""
    mine = on_page(accept().drop())
    clock.advance(30.0)
    assert mine.of(Closed)[0].cause is Cause.LOST and mine.socket.state.value is State.OPEN


def test_we_close(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: the server gets our code and text."""
    mine = on_page()
    clock.advance(1.0)
    mine.socket.close(4001, "done")
    clock.advance(3.0)
    assert [tuple(close)[1:] for close in mine.network.closes] == [(4001, "done")]


def test_a_server_that_does_not_answer_the_closing(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: after close_timeout it is left to the browser."""
    mine = on_page(close_timeout=2.0)
    clock.advance(1.0)
    mine.network.freeze()
    mine.socket.close()
    clock.advance(2.5)
    assert mine.page.sockets[0].onclose is None


def test_a_message_that_is_too_large(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: a page may not send 1009: 4009 goes in its place, and the verdict is that of 1009."""
    mine = on_page(accept().send("é" * 6), max_size=10)
    mine.socket.messages.subscribe(on_error=lambda error: None)
    clock.advance(1.0)
    [closed] = mine.of(Closed)
    assert closed.sent == 1009 and closed.verdict is Verdict.FAIL
    assert mine.page.sockets[0].closed_with == (4009, closed.reason)
    assert "max_size=10" in closed.reason and mine.messages == []


# --- sending


def test_what_the_browser_has_not_sent_is_waited_for(
    clock: VirtualClock, on_page: MakeStage
) -> None:
    """C57: above a MiB of bufferedAmount nothing more is handed over, until it has sunk."""
    mine = on_page(queue_for=60.0)
    clock.advance(1.0)
    [socket] = mine.page.sockets
    socket.stuck = 2**20 + 1
    first, second = mine.socket.send("1"), mine.socket.send("2")
    clock.advance(5.0)
    assert [message for _, message in mine.network.received] == ["1"]
    assert first.done and not second.done
    socket.stuck = 2**18
    clock.advance(0.1)
    assert second.done and [text for _, text in mine.network.received] == ["1", "2"]


def test_fragments_go_as_one_message(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: a page sends none; if the iterable raises, nothing went, and the connection stays."""

    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("no more")

    mine = on_page()
    clock.advance(1.0)
    whole, half = mine.socket.send(["a", "b"]), mine.socket.send(broken())
    parts = mine.socket.send([b"c", b"d"])
    clock.advance(1.0)
    assert [message for _, message in mine.network.received] == ["ab", b"cd"]
    assert whole.done and parts.done
    with pytest.raises(LookupError):
        half.result()
    assert mine.of(Closed) == []


def test_what_is_sent_as_it_closes_is_not_lost_silently(
    clock: VirtualClock, on_page: MakeStage
) -> None:
    """C57: JavaScript drops it without a word; it waits for the next connection instead (C21)."""
    mine = on_page(latency=0.5)
    clock.advance(1.0)
    mine.page.sockets[0].readyState = 2
    receipt = mine.socket.send("kept")
    clock.advance(0.1)
    assert not receipt.done
    mine.network.drop()
    clock.advance(4.5)
    assert receipt.done and [text for _, text in mine.network.received] == ["kept"]


# --- receiving


def test_what_comes_while_nothing_is_read(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: it is kept, in order, with the end after it."""
    mine = on_page(accept().send("0"))
    clock.advance(1.0)
    link = link_of(mine.socket)
    link.pause()
    mine.network.push("1", "2")
    mine.network.close(1012)
    clock.advance(1.0)
    assert mine.messages == ["0"] and mine.of(Closed) == []
    link.resume()
    clock.advance(0.0)
    assert mine.messages == ["0", "1", "2"] and mine.of(Closed)[0].code == 1012


def test_what_is_kept_is_bounded(
    clock: VirtualClock, on_page: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C57: nothing stops the server; beyond the bound the connection ends, and that is said."""
    keep_at_most(monkeypatch, 3)
    mine = on_page(accept().send("0"))
    clock.advance(1.0)
    link = link_of(mine.socket)
    link.pause()
    mine.network.push(*"123456")
    clock.advance(1.0)
    link.resume()
    clock.advance(0.0)
    assert mine.messages == ["0", *"1234"]
    [closed] = mine.of(Closed)
    assert closed.sent == 1013 and "a page cannot stop the server" in closed.reason
    assert mine.page.sockets[0].closed_with is not None
    assert mine.page.sockets[0].closed_with[0] == 4013
    clock.advance(30.0)
    assert mine.socket.state.value is State.OPEN


# --- what holds on all transports


def test_handover_subprotocols_and_first_messages(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: the carriers that a page has, and a change without a gap."""
    mine = on_page(
        subprotocols=["chat"],
        auth={"token": "a"},
        carrier=subprotocol(),
        on_auth_change=handover(),
    )
    mine.network.default = accept(subprotocol="chat").echo()
    clock.advance(1.0)
    assert mine.of(Opened)[0].subprotocol == "chat"
    assert "chat" in mine.network.handshakes[0].subprotocols
    mine.socket.set_auth({"token": "b"})
    clock.advance(1.0)
    assert mine.of(Opened)[1].gap == 0.0 and len(mine.of(Closed)) == 1


def test_a_handover_that_would_ping(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: without dedupe a handover asks the old one with a ping; here it waits a moment."""
    mine = on_page(auth={"token": "a"}, on_auth_change=handover(ready="message", timeout=60.0))
    mine.network.default = accept().send("ready").stay()
    clock.advance(1.0)
    mine.socket.set_auth({"token": "b"})
    clock.advance(2.0)
    assert [event.gap for event in mine.of(Opened)] == [None, 0.0]
    assert mine.network.live == 1


def test_a_first_message(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: it carries a credential, and a refusal is known then (C9)."""
    mine = on_page(
        accept().expect("wrong").send("no").stay(),
        accept().expect("right").send("ok").stay(),
        auth="wrong",
        carrier=first_message(
            str, accepted=lambda message: message == "ok", rejected=lambda message: message == "no"
        ),
    )
    clock.advance(2.0)
    assert mine.socket.state.value is State.AWAITING_AUTH
    mine.socket.set_auth("right")
    clock.advance(1.0)
    assert mine.socket.state.value is State.OPEN
    mine.network.check()


def test_a_function_is_asked_for_a_token(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: a plain one is called where it is, as there are no threads."""
    mine = on_page(auth=lambda: {"token": "asked"})
    clock.advance(1.0)
    assert mine.network.handshakes[0].credential == "asked"


# --- what a page cannot do


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"carrier": header()}, r"carrier: header\(\) .*pass query\(\), subprotocol\(\) or first_"),
        ({"carrier": query() & header(only="a")}, r"carrier: header\(\) cannot"),
        ({"carrier": cookie()}, r"carrier: cookie\(\) .*the cookies that the browser has it sends"),
        ({"carrier": client_certificate()}, r"carrier: client_certificate\(\) "),
        ({"auth": "a", "carrier": lambda _: Carried(headers={"a": "b"})}, "carrier: it returned h"),
        ({"auth": "a", "carrier": lambda _: Carried(cookies={"a": "b"})}, "carrier: it returned c"),
        ({"additional_headers": {"a": "b"}}, "additional_headers: a browser lets no page set a"),
        ({"ssl": lambda: None}, "ssl: TLS settings"),
        ({"proxy": "http://proxy.test:3128"}, "proxy: a proxy"),
        ({"origin": "https://a.test"}, "origin: the browser says"),
        ({"user_agent_header": "mine"}, "user_agent_header: the browser says"),
        ({"compression": "deflate"}, "compression: the browser agrees on it"),
        ({"ping_interval": 5.0}, "ping_interval: a page sends no pings.*heartbeat= or stale_after"),
        ({"ping_timeout": 5.0}, "ping_timeout: a page sends no pings"),
        (
            {"transport": "websockets"},
            "transport: 'websockets' needs sockets.*leave transport=",
        ),
        ({"transport": "picows"}, "transport: 'picows' needs sockets"),
        ({"url": "https://a.test/"}, "url: server-sent events cannot be read.*begins with wss://"),
        # On Emscripten Python itself says that there are none.
        ({"url": "unix:/a.sock:/"}, "url: (no address for a browser.*|this system has )no unix so"),
        ({"url": "wss://me:secret@a.test/"}, "url: no address for a browser: a user name and pass"),
        ({"url": endpoint("wss://a.test/", local_address="127.0.0.1")}, "local_address: the brow"),
    ],
)
def test_it_is_said_when_the_socket_is_made(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], text: str
) -> None:
    """C57: each argument that asks for what a page cannot do is an error that says what to pass."""
    open_page(monkeypatch, fake())
    url = arguments.pop("url", "wss://a.test/")
    with pytest.raises(ValueError, match=f"^{text}") as caught:
        Socket(url, **arguments)
    assert "secret" not in str(caught.value)


def test_what_is_left_out_stays_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """C57: the defaults are fine, and so is saying None."""
    open_page(monkeypatch, fake())
    for arguments in (
        {},
        {"ping_interval": None, "proxy": None, "user_agent_header": None, "compression": None},
        {"transport": "browser"},
    ):
        socket: Socket[Any] = Socket("wss://a.test/", **arguments)  # type: ignore[arg-type]
        assert options_of(socket).ping_interval is None


def test_elsewhere_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """C57: outside of a browser the name is an error that says so."""
    leave_browser(monkeypatch)
    with pytest.raises(ValueError, match=r"^transport: 'browser' is for Python in a browser"):
        Socket("wss://a.test/", transport="browser")


def test_javascript_without_a_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    """C57: an old Node has none."""
    page: Any = open_page(monkeypatch, fake())
    del page.WebSocket
    with pytest.raises(ValueError, match=r"^transport: there is no WebSocket in this JavaScript"):
        Socket("wss://a.test/")


# --- the life of the page


@pytest.mark.parametrize("wake", ["online", "visible", "resume", "pageshow"])
def test_what_waits_dials_at_once(clock: VirtualClock, on_page: MakeStage, wake: str) -> None:
    """C57: the browser is online again, the page is seen, thawed or shown again."""
    mine = on_page(*[unreachable()] * 7)
    clock.advance(110.0)
    before = mine.network.dials
    assert mine.socket.state.value is State.WAITING
    mine.page.show("hidden")
    clock.advance(1.0)
    assert mine.network.dials == before
    if wake == "visible":
        mine.page.show("visible")
    elif wake == "resume":
        mine.page.document.fire("resume")
    else:
        mine.page.fire(wake, persisted=True)
    clock.advance(0.1)
    assert mine.network.dials == before + 1


def test_news_in_bursts(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: a page that flickers does not hammer the server: once a second at most."""
    mine = on_page()
    mine.network.default = reject(503)
    clock.advance(110.0)
    before = mine.network.dials
    for _ in range(100):
        mine.page.show("visible")
        clock.advance(0.1)
    assert mine.network.dials - before <= 11


def test_what_is_no_news(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: what is loaded anew, and not kept, is no news; nor is a page that gets hidden."""
    mine = on_page(*[unreachable()] * 7)
    clock.advance(110.0)
    before = mine.network.dials
    mine.page.fire("pageshow", persisted=False)
    mine.page.fire("offline")
    clock.advance(0.5)
    assert mine.network.dials == before


@pytest.mark.parametrize("news", ["online", "offline"])
def test_the_heartbeat_asks_at_once(clock: VirtualClock, on_page: MakeStage, news: str) -> None:
    """C57: there are no pings; the heartbeat finds a dead link, before its time."""
    mine = on_page(
        accept().echo(), heartbeat=heartbeat(send="hb", expect="hb", interval=300.0, timeout=3.0)
    )
    clock.advance(10.0)
    mine.page.fire(news)
    clock.advance(1.0)
    assert [text for _, text in mine.network.received] == ["hb"]
    mine.network.freeze()
    clock.advance(1.0)
    mine.page.fire(news)
    mine.page.fire(news)
    clock.advance(3.5)
    [closed] = mine.of(Closed)
    assert closed.cause is Cause.HEARTBEAT


def test_a_link_without_a_heartbeat_is_left_alone(clock: VirtualClock, on_page: MakeStage) -> None:
    """C57: nothing can be asked; nothing is closed for that."""
    mine = on_page()
    clock.advance(10.0)
    mine.page.fire("online")
    clock.advance(600.0)
    assert mine.of(Closed) == [] and mine.socket.latency.value is None
    assert len(mine.of(Connecting)) == 1
