"""C48: Socket.IO: events, acknowledgements, bytes, namespaces, and what a server may do."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from internals import Accept
from protocol_stage import Heard, stages
from scene import known

from rxsocket import (
    AwaitingAuth,
    Closed,
    ConnectFailed,
    ConnectionLost,
    DecodeFailed,
    HandshakeError,
    HandshakeInvalid,
    IdentityChanged,
    Limits,
    NotConnected,
    ObserverFailed,
    Opened,
    Rejected,
    Socket,
    State,
    TopicFailed,
    Undecodable,
    handover,
    header,
    history,
)
from rxsocket.protocols import (
    ConnectRefused,
    Kind,
    NamespaceRefused,
    Packet,
    socket_io,
    socket_io_options,
)
from rxsocket.testing import VirtualClock, accept, fake

OPEN = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
OPENED = accept().send(OPEN).expect().send('40{"sid":"s"}')


class Stage:
    """A client with its fake server.

    Attributes:
        io: The client.
        peer: The server.
        events: What happened to the socket, but for messages.
    """

    def __init__(self, clock: VirtualClock, *scripts: Accept, **options: Any) -> None:
        self._clock = clock
        self.peer = fake(*scripts)
        self.peer.default = options.pop("default", OPENED)
        options = {"transport": self.peer, "backoff": known(), "auth": {"token": "a"}, **options}
        self.io = socket_io(options.pop("url", "ws://fake.test"), **options)
        self.socket = self.io.socket

    @property
    def events(self) -> list[Any]:
        return [*history(self.socket)]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def received(self) -> list[tuple[int, Any]]:
        """What the server received but for the first CONNECT, and on which connection."""
        found: dict[int, list[Any]] = {}
        for number, message in self.peer.received:
            found.setdefault(number, []).append(message)
        return [(number, message) for number, all in found.items() for message in all[1:]]

    @property
    def greetings(self) -> list[Any]:
        """The first message of each connection."""
        return [*dict(reversed(self.peer.received)).values()][::-1]

    def say(self, *messages: Any) -> None:
        """Let the server send."""
        self.peer.push(*messages)
        self._clock.advance(0)


Make = Callable[..., Stage]


@pytest.fixture
def stage(clock: VirtualClock) -> Iterator[Make]:
    yield from stages(clock, Stage)


def test_events_and_their_arguments(clock: VirtualClock, stage: Make) -> None:
    """All of them, or the first one in a type; of another shape it is a ``TopicFailed``."""
    it = stage()
    news, typed = Heard(it.io.on("news")), Heard(it.io.on("news", type=int))
    odd = Heard(it.io.on("a/:b"))
    clock.advance(1.0)
    it.say('42["news",1,{"a":[2]}]', '42["news"]', '42["news","x"]', '42["other",1]')
    it.say('42["a/:b",1]', '42["a/c",1]', '42/admin,["news",5]')
    assert news.values == [(1, {"a": [2]}), (), ("x",)]
    assert typed.values == [1]
    assert odd.values == [(1,)]
    assert [event.topic for event in it.of(TopicFailed)] == ["news", "news"]
    assert it.peer.handshakes[0].path == "/socket.io/"
    assert it.peer.handshakes[0].query == {"EIO": "4", "transport": "websocket"}
    assert it.greetings == ['40{"token":"a"}']


def test_bytes_both_ways(clock: VirtualClock, stage: Make) -> None:
    """An event with bytes is one value, and its messages follow each other on the wire."""
    it = stage()
    heard, packets = Heard(it.io.on("image")), Heard(it.socket.messages)
    clock.advance(1.0)
    it.io.emit("image", {"a": [b"1"]}, b"2")
    it.io.emit("text")
    clock.advance(1.0)
    text = '452-["image",{"a":[{"_placeholder":true,"num":0}]},{"_placeholder":true,"num":1}]'
    assert it.received == [(1, text), (1, b"1"), (1, b"2"), (1, '42["text"]')]
    it.say('451-["image",{"_placeholder":true,"num":0}]')
    assert heard.values == []
    it.say(b"x")
    assert heard.values == [(b"x",)]
    assert packets.values[-1] == Packet(Kind.EVENT, "/", ["image", b"x"])


def test_garbage_is_reported_and_nothing_else_is_lost(clock: VirtualClock, stage: Make) -> None:
    """C3: also bytes that nobody announced, and a packet whose bytes do not come."""
    it = stage()
    heard = Heard(it.io.on("a"))
    clock.advance(1.0)
    it.say("42{", b"x", '452-["a",{"_placeholder":true,"num":0}]', b"x", '42["a",1]', '42["a",2]')
    assert heard.values == [(1,), (2,)]
    assert len(it.of(DecodeFailed)) == 3


def test_acknowledgements(clock: VirtualClock, stage: Make) -> None:
    """Each finds its event, out of order and with bytes in it; in a type, the first value."""
    it = stage()
    held = it.socket.connect()
    clock.advance(1.0)
    first = Heard(it.io.emit_with_ack("sum", 1, 2))
    second = Heard(it.io.emit_with_ack("sum", 3, type=int))
    third = Heard(it.io.emit_with_ack("sum", type=int))
    clock.advance(1.0)
    assert it.received == [(1, '421["sum",1,2]'), (1, '422["sum",3]'), (1, '423["sum"]')]
    it.say('421["sum",7]', "432[3,4]", "432[5]", '433["x"]')
    it.say('461-1[{"_placeholder":true,"num":0},1]', b"y")
    assert first.values == [(b"y", 1), "completed"]
    assert second.values == [3, "completed"]
    assert isinstance(third.error, Undecodable) and "Expected `int`" in str(third.error)
    held.dispose()


def test_an_answer_of_another_type_is_not_shown(clock: VirtualClock, stage: Make) -> None:
    """C28: what does not decode may hold anything."""
    it = stage()
    held = it.socket.connect()
    clock.advance(1.0)
    heard = Heard(it.io.emit_with_ack("state", type=Literal["on", "off"]))
    clock.advance(1.0)
    it.say('431["c4n4ry/z0rk+q8x5"]')
    assert isinstance(heard.error, Undecodable)
    assert "c4n4ry" not in repr(heard.error) and heard.error.__suppress_context__
    held.dispose()


def test_an_acknowledgement_that_does_not_come(clock: VirtualClock, stage: Make) -> None:
    """C30: in time, and when the connection is lost; nothing is sent twice."""
    it = stage()
    held = it.socket.connect()
    late, lost = (Heard(it.io.emit_with_ack("a", timeout=limit)) for limit in (2.0, None))
    clock.advance(3.0)
    assert isinstance(late.error, TimeoutError)
    it.peer.drop()
    clock.advance(5.0)
    assert isinstance(lost.error, ConnectionLost)
    assert it.received == [(1, '421["a"]'), (1, '422["a"]')]
    held.dispose()


def test_the_server_asks(clock: VirtualClock, stage: Make) -> None:
    """C23: a function answers; one that raises is reported, and is asked again."""
    it = stage()
    said: list[Any] = []
    answers = {"none": None, "one": [1], "two": (1, b"x")}
    answering = it.io.answer("get", lambda name: said.append(name) or answers[name])
    clock.advance(1.0)
    it.say(
        '42["get","none"]',
        *(f'42{n}["get","{name}"]' for n, name in enumerate(["one", "two", "x"])),
    )
    it.say('429["get","none"]', '428["other"]')
    clock.advance(1.0)
    assert said == ["one", "two", "x", "none"]
    two = '461-1[1,{"_placeholder":true,"num":0}]'
    assert it.received == [(1, "430[[1]]"), (1, two), (1, b"x"), (1, "439[]")]
    (failed,) = it.of(ObserverFailed)
    assert str(failed.error) == "KeyError: 'x'" and not failed.detached
    answering.dispose()


def test_pings_are_answered(clock: VirtualClock, stage: Make) -> None:
    """At once, also before the namespace is connected, and by the connection that is asked."""
    it = stage(accept().send(OPEN).send("2").expect().wait(1.0).send('40{"sid":"s"}'))
    Heard(it.io.on("a"))
    clock.advance(0.5)
    assert it.socket.state.value is State.CONNECTING
    assert sorted(message for _, message in it.peer.received) == ["3", '40{"token":"a"}']
    clock.advance(1.0)
    it.say("2")
    assert [message for _, message in it.peer.received].count("3") == 2
    assert it.socket.stats.messages_sent == len(it.peer.received)


def test_a_server_that_stops_pinging_is_found(clock: VirtualClock, stage: Make) -> None:
    """C17: as a lost link, when its own time is over; every message counts."""
    it = stage(ping_interval=None)
    Heard(it.io.on("a"))
    clock.advance(40.0)
    it.say('42["b"]')
    clock.advance(44.9)
    assert it.of(Closed) == []
    clock.advance(0.2)
    (closed,) = it.of(Closed)
    assert (closed.code, closed.reason) == (
        1006,
        "the server said nothing for 45 s, not even its heartbeat",
    )
    clock.advance(3.0)
    assert len(it.of(Opened)) == 2


async def _read_slowly(it: Stage, seconds: float, clock: VirtualClock) -> list[Any]:
    import asyncio

    found = []
    async for args in it.io.on("n").iterate(high_water=1):
        found.append(args)
        await asyncio.sleep(seconds)
        if len(found) == 2:
            break
    return found


def test_nobody_waits_for_a_ping_while_nothing_is_read(clock: VirtualClock, stage: Make) -> None:
    """C27: a consumer that pauses the reading does not make the link a lost one."""
    script = OPENED.send(*(f'42["n",{number}]' for number in range(4)))
    it = stage(script, ping_interval=None)
    assert clock.run(_read_slowly(it, 60.0, clock)) == [(0,), (1,)]
    assert 1006 not in [event.code for event in it.of(Closed)]


def test_a_refused_credential_is_awaited_anew(
    clock: VirtualClock, stage: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C9, C28: with the server's words, in which no secret is."""
    caplog.set_level(logging.DEBUG)
    no = '44{"message":"s3cret-x is no token","data":{"code":7}}'
    it = stage(accept().send(OPEN).expect().send(no), auth={"token": "s3cret-x"})
    heard = Heard(it.io.on("a"))
    clock.advance(100.0)
    (rejected,) = it.of(Rejected)
    assert str(rejected.error) == "the server refused the namespace /: *** is no token"
    assert isinstance(rejected.error, ConnectRefused) and rejected.error.data == {"code": 7}
    assert it.of(AwaitingAuth) and heard.values == []
    shown = caplog.text, repr(it.events), str(it.socket.explain()), repr(it.io), repr(it.peer.log)
    assert not [text for text in shown if "s3cret" in text]
    it.socket.set_auth("b")
    clock.advance(1.0)
    assert it.socket.state.value is State.OPEN
    assert it.greetings == ['40{"token":"s3cret-x"}', '40{"token":"b"}']


SPEAKS_OTHER = {
    "other words": (["hello"], "no packet of Engine.IO 4"),
    "nothing": ([], "said nothing within 10 s"),
    "Socket.IO 2": ([OPEN, "40"], "without a session id, as Socket.IO 2 does"),
    "no such namespace": ([OPEN, '44{"message":"Invalid namespace"}'], "as namespace="),
}


@pytest.mark.parametrize("kind", SPEAKS_OTHER)
def test_a_server_that_does_not_speak_it(clock: VirtualClock, stage: Make, kind: str) -> None:
    """It says what to do."""
    said, text = SPEAKS_OTHER[kind]
    it = stage(default=accept().send(*said))
    Heard(it.io.on("a"))
    clock.advance(10.5)
    (failed, *_) = it.of(ConnectFailed)
    assert isinstance(failed.error, HandshakeError)
    assert text in str(failed.error)
    assert "check the URL" in str(failed.error) or "pass the name" in str(failed.error)
    assert it.of(Opened) == []


def test_a_server_that_hangs_up_at_once(clock: VirtualClock, stage: Make) -> None:
    it = stage(default=accept().close(1011))
    Heard(it.io.on("a"))
    clock.advance(0.5)
    (failed,) = it.of(ConnectFailed)
    assert str(failed.error).startswith("the server closed with 1011 before it said anything")


def test_closing_while_the_server_says_nothing(clock: VirtualClock, stage: Make) -> None:
    """C26: nothing is left of the link, which nobody else knows of."""
    it = stage(default=accept())
    heard = Heard(it.io.on("a"))
    clock.advance(1.0)
    it.socket.close()
    clock.advance(1.0)
    assert (heard.values, it.peer.connections) == (["completed"], 0)


def test_what_only_uses_it_does_not_start_it_again(clock: VirtualClock, stage: Make) -> None:
    """C1: nor through a namespace."""
    it = stage()
    admin = it.io.namespace("/admin")
    held = it.socket.connect()
    clock.advance(1.0)
    it.socket.close()
    clock.advance(1.0)
    for emitted in (it.io.emit("a"), admin.emit("a")):
        with pytest.raises(NotConnected, match="the socket has ended"):
            emitted.result()
    for asked in (it.io.emit_with_ack("a"), admin.emit_with_ack("a")):
        assert isinstance(Heard(asked).error, NotConnected)
    clock.advance(5.0)
    assert it.socket.state.value is State.CLOSED
    held.dispose()


def test_it_ends_for_good_if_nobody_ever_speaks_it(clock: VirtualClock, stage: Make) -> None:
    it = stage(default=accept().send("hello"))
    heard = Heard(it.io.on("a"))
    clock.advance(200.0)
    assert isinstance(heard.error.cause, HandshakeInvalid)
    assert it.peer.live == 0


def test_thrown_out_at_once_is_refused(clock: VirtualClock, stage: Make) -> None:
    """C9: servers that look at the credential in their handler do so."""
    it = stage(OPENED.send("41"))
    Heard(it.io.on("a"))
    clock.advance(1.0)
    assert it.socket.state.value is State.AWAITING_AUTH


def test_thrown_out_later_is_done(clock: VirtualClock, stage: Make) -> None:
    """C3: as the peer's 1000, which may be what is reconnected after."""
    it, other = stage(), stage(clean_close="reconnect")
    heard, going_on = Heard(it.io.on("a")), Heard(other.io.on("a"))
    clock.advance(6.0)
    it.say('42["a"]', "41", '42["a"]')
    other.say("41")
    clock.advance(5.0)
    assert heard.values == [(), "completed"]
    (closed,) = it.of(Closed)
    assert (closed.code, closed.reason) == (1000, "the server disconnected the namespace /")
    assert it.peer.live == 0
    assert len(other.of(Opened)) == 2 and going_on.values == []


# --- namespaces


ADMIN = '40/admin,{"token":"a"}'


def test_a_namespace_is_connected_by_its_first_user(clock: VirtualClock, stage: Make) -> None:
    """C22: once on each connection, with the credential of that; it is not left before its end."""
    it = stage()
    held = it.socket.connect()
    admin = it.io.namespace("/admin")
    assert it.io.namespace("/admin") is admin and it.io.namespace("/") is it.io
    one, other = Heard(admin.on("a")), Heard(admin.on("b"))
    clock.advance(1.0)
    assert it.received == [(1, ADMIN)]
    it.say('40/admin,{"sid":"s2"}', '42/admin,["a",1]', '42["a",2]', '42/admin,["b",3]')
    assert (one.values, other.values) == ([(1,)], [(3,)])
    one.subscription.dispose()
    other.subscription.dispose()
    again = Heard(admin.on("a"))
    clock.advance(1.0)
    it.say('42/admin,["a",4]')
    assert again.values == [(4,)]
    assert [message for _, message in it.received] == [ADMIN, "6"]
    it.socket.set_auth({"token": "b"})
    clock.advance(1.0)
    assert it.received[2:] == [(2, ADMIN.replace('"a"', '"b"'))]
    held.dispose()


def test_what_is_emitted_to_a_namespace_waits_for_it(clock: VirtualClock, stage: Make) -> None:
    """In order, and anew on each connection; servers hang up on who does not wait."""
    it = stage()
    held = it.socket.connect()
    admin = it.io.namespace("/admin")
    receipts = [admin.emit("a", number) for number in range(2)]
    answer = Heard(admin.emit_with_ack("sum"))
    clock.advance(1.0)
    assert it.received == [(1, ADMIN)]
    it.say('40/admin,{"sid":"s2"}')
    clock.advance(1.0)
    sent = ['42/admin,["a",0]', '42/admin,["a",1]', '42/admin,1["sum"]']
    assert [message for _, message in it.received] == [ADMIN, *sent]
    assert [receipt.result().epoch for receipt in receipts] == [1, 1]
    it.say('431["other"]', '43/admin,1["x"]')
    assert answer.values == [("x",), "completed"]
    it.peer.drop()
    clock.advance(0)
    late = admin.emit("a", 2)
    clock.advance(4.0)
    assert it.received[4:] == [(2, ADMIN)] and not late.done
    it.say('40/admin,{"sid":"s3"}')
    clock.advance(0)
    assert it.received[5:] == [(2, '42/admin,["a",2]')]
    held.dispose()


def test_what_was_not_written_waits_for_the_namespace_again(
    clock: VirtualClock, stage: Make
) -> None:
    """C36: with ``limits=`` it waits on a connection that ends; it is written once, in order."""
    it = stage(limits=Limits(pace="1/s"), queue_for=30.0)
    held = it.socket.connect()
    admin = it.io.namespace("/admin")
    receipts = [admin.emit("a", number) for number in range(3)]
    answer = Heard(admin.emit_with_ack("sum", timeout=30.0))
    clock.advance(0.5)
    it.say('40/admin,{"sid":"s2"}')
    clock.advance(1.0)
    assert it.received == [(1, ADMIN), (1, '42/admin,["a",0]')]
    it.peer.drop()
    clock.advance(6.0)
    assert it.received[2:] == [(2, ADMIN)]
    it.say('40/admin,{"sid":"s3"}')
    clock.advance(5.0)
    sent = ['42/admin,["a",1]', '42/admin,["a",2]', '42/admin,1["sum"]']
    assert it.received[3:] == [(2, message) for message in sent]
    assert [receipt.result().epoch for receipt in receipts] == [1, 2, 2]
    it.say("43/admin,1[6]")
    assert answer.values == [(6,), "completed"]
    held.dispose()


def test_what_was_not_written_is_not_sent_to_a_namespace_that_is_gone(
    clock: VirtualClock, stage: Make
) -> None:
    """Servers hang up on who does."""
    it = stage(limits=Limits(pace="1/s"))
    held = it.socket.connect()
    admin = it.io.namespace("/admin")
    receipts = [admin.emit("a", number) for number in range(2)]
    answer = Heard(admin.emit_with_ack("sum"))
    clock.advance(0.5)
    it.say('40/admin,{"sid":"s2"}')
    clock.advance(1.0)
    it.say("41/admin,")
    clock.advance(5.0)
    assert it.received == [(1, ADMIN), (1, '42/admin,["a",0]')]
    assert receipts[0].result().epoch == 1
    with pytest.raises(NamespaceRefused):
        receipts[1].result()
    assert isinstance(answer.error, NamespaceRefused)
    held.dispose()


def test_an_acknowledgement_of_a_namespace_is_lost(clock: VirtualClock, stage: Make) -> None:
    """C30: what was written is not sent again."""
    it = stage()
    held = it.socket.connect()
    answer = Heard(it.io.namespace("/admin").emit_with_ack("sum", timeout=None))
    clock.advance(1.0)
    it.say('40/admin,{"sid":"s2"}')
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(5.0)
    assert isinstance(answer.error, ConnectionLost)
    it.say('40/admin,{"sid":"s3"}')
    clock.advance(1.0)
    assert len(it.received) == 2
    held.dispose()


def test_a_namespace_that_is_not_connected_in_time(clock: VirtualClock, stage: Make) -> None:
    """C21: after ``queue_for``; an acknowledgement after its own limit."""
    it = stage()
    held = it.socket.connect()
    admin = it.io.namespace("/admin")
    receipt, answer = admin.emit("a"), Heard(admin.emit_with_ack("b", timeout=7.0))
    clock.advance(5.5)
    with pytest.raises(NotConnected, match="the namespace /admin was not connected within 5 s"):
        receipt.result()
    clock.advance(2.0)
    assert isinstance(answer.error, NotConnected)
    it.say('40/admin,{"sid":"s2"}')
    clock.advance(1.0)
    assert it.received == [(1, ADMIN)]
    held.dispose()


def test_a_refused_namespace_fails_alone(clock: VirtualClock, stage: Make) -> None:
    """C22: and is not asked for again until somebody uses it anew; the words have no secret."""
    it = stage(auth={"token": "s3cret"})
    admin = it.io.namespace("/admin")
    heard, main = Heard(admin.on("a")), Heard(it.io.on("a"))
    receipt = admin.emit("a")
    clock.advance(1.0)
    it.say('44/admin,{"message":"s3cret: admins only","data":7}', '42["a"]')
    assert isinstance(heard.error, NamespaceRefused)
    assert str(heard.error) == "the server refused the namespace /admin: ***: admins only"
    assert (heard.error.namespace, heard.error.data, main.values) == ("/admin", 7, [()])
    with pytest.raises(NamespaceRefused):
        receipt.result()
    assert len(it.received) == 1
    again = Heard(admin.on("a"))
    clock.advance(1.0)
    it.say('40/admin,{"sid":"s2"}', '42/admin,["a"]')
    assert again.values == [()] and len(it.received) == 2


def test_a_namespace_that_the_server_disconnects(clock: VirtualClock, stage: Make) -> None:
    """Its users hear of it; the connection goes on, and nothing is emitted to it."""
    it = stage()
    held = it.socket.connect()
    admin = it.io.namespace("/admin")
    heard, answer = Heard(admin.on("a")), Heard(it.io.on("a"))
    clock.advance(1.0)
    it.say('40/admin,{"sid":"s2"}', "41/admin,", '42["a"]')
    assert str(heard.error) == "the server disconnected the namespace /admin"
    assert answer.values == [()]
    admin.emit("b")
    clock.advance(1.0)
    assert it.received == [(1, ADMIN), (1, ADMIN)]
    held.dispose()


def test_what_waits_is_nobody_elses(clock: VirtualClock, stage: Make) -> None:
    """C14: another identity emits nothing of the one before."""
    it = stage()
    held = it.socket.connect()
    clock.advance(1.0)
    receipt = it.io.namespace("/admin").emit("a")
    clock.advance(1.0)
    it.socket.set_auth({"token": "b"})
    clock.advance(1.0)
    with pytest.raises(IdentityChanged):
        receipt.result()
    it.say('40/admin,{"sid":"s2"}')
    clock.advance(1.0)
    assert [message for number, message in it.received if number == 2] == []
    held.dispose()


def test_a_handover_connects_the_namespaces_first(clock: VirtualClock, stage: Make) -> None:
    """C13: each connection has its own pings, bytes and namespaces."""
    strategy = handover(ready="acknowledged")
    it = stage(on_auth_change=strategy, identity=lambda _: "somebody")
    admin = it.io.namespace("/admin")
    heard = Heard(admin.on("a"))
    clock.advance(1.0)
    it.say('40/admin,{"sid":"s2"}')
    it.socket.set_auth({"token": "b"})
    clock.advance(1.0)
    assert it.received == [(1, ADMIN), (2, ADMIN.replace('"a"', '"b"'))]
    half = '451-/admin,["a",{"_placeholder":true,"num":0}]'
    old, new = it.peer.visits
    old.deliver(half)
    new.deliver('40/admin,{"sid":"s4"}')
    new.deliver('42/admin,["a","early"]')
    new.deliver("2")
    old.deliver(b"x")
    clock.advance(1.0)
    assert sorted(map(str, heard.values)) == ["('early',)", "(b'x',)"]
    assert it.received[2:] == [(2, "3")]
    admin.emit("b")
    clock.advance(1.0)
    assert it.received[3:] == [(2, '42/admin,["b"]')]
    assert it.peer.live == 1


# --- the credential, and resuming


def test_where_the_credential_goes(clock: VirtualClock, stage: Make) -> None:
    """Into CONNECT, or where ``carrier=`` and ``auth_payload=`` say; CONNECT is always sent."""
    options: list[dict[str, Any]] = [
        {"auth": "t"},
        {"auth": {"a": [1]}},
        {},
        {"auth": "t", "carrier": header()},
        {"auth": "t", "carrier": header(), "auth_payload": lambda token: {"also": token}},
        {"auth": "t", "namespace": "/chat"},
    ]
    made = []
    for one in options:
        it = stage(**{"auth": {}, **one}, default=accept().send(OPEN))
        Heard(it.io.on("a"))
        made.append(it)
    clock.advance(1.0)
    assert [it.greetings for it in made] == [
        ['40{"token":"t"}'],
        ['40{"a":[1]}'],
        ["40"],
        ["40"],
        ['40{"also":"t"}'],
        ['40/chat,{"token":"t"}'],
    ]
    assert made[3].peer.handshakes[0].headers["Authorization"] == "Bearer t"


def test_another_main_namespace(clock: VirtualClock, stage: Make) -> None:
    it = stage(default=accept().send(OPEN).expect().send('40/chat,{"sid":"s"}'), namespace="/chat")
    heard = Heard(it.io.on("a"))
    it.io.emit("b")
    clock.advance(1.0)
    it.say('42/chat,["a",1]', '42["a",2]')
    assert heard.values == [(1,)]
    assert it.received == [(1, '42/chat,["b"]')]


def test_the_state_of_a_connection_is_recovered(clock: VirtualClock, stage: Make) -> None:
    """C38: where the server can; not by another identity (C14)."""
    script = accept().send(OPEN).expect().send('40{"sid":"s","pid":"p"}')
    it = stage(default=script)
    heard = Heard(it.io.on("a"))
    clock.advance(1.0)
    it.say('42["a",1,"o1"]', '42["a",2,"o2"]', '42["a",3]')
    it.peer.drop()
    clock.advance(5.0)
    it.say('42["a",4,"o3"]')
    it.socket.set_auth({"token": "b"})
    clock.advance(5.0)
    assert heard.values == [(1, "o1"), (2, "o2"), (3,), (4, "o3")]
    assert [json.loads(greeting[2:]) for greeting in it.greetings] == [
        {"token": "a"},
        {"token": "a", "pid": "p", "offset": "o2"},
        {"token": "b"},
    ]


# --- what is passed in


def test_addresses(clock: VirtualClock, stage: Make) -> None:
    """Those of a browser, and those of a socket."""
    urls = {
        "http://fake.test": "/socket.io/",
        "ws://fake.test/?a=1": "/socket.io/",
        "ws://fake.test/socket.io/": "/socket.io/",
        "ws://fake.test/socket.io": "/socket.io",
    }
    for url, path in urls.items():
        it = stage(url=url)
        Heard(it.io.on("a"))
        clock.advance(1.0)
        assert it.peer.handshakes[0].path == path
        assert it.peer.handshakes[0].query["EIO"] == "4"
    assert socket_io("unix:/run/a.sock:/own/").socket.url == "unix:/run/a.sock:/own/"
    it = stage(url=lambda: "ws://fake.test/own/", path="/own/")
    Heard(it.io.on("a"))
    clock.advance(1.0)
    assert it.peer.handshakes[0].path == "/own/"


BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a namespace in the url": (
        lambda _: socket_io("ws://fake.test/admin"),
        "pass namespace='/admin' and an address without it",
    ),
    "no address": (lambda _: socket_io("example.com"), "begin it with ws:// or wss://"),
    "no path": (lambda _: socket_io("ws://fake.test", path="own"), "path: pass a name that begins"),
    "no namespace": (lambda io: io.namespace("admin"), "such as '/admin'"),
    "a payload": (lambda _: socket_io("ws://fake.test", auth_payload=7), "auth_payload: pass a f"),
    "an event's name": (lambda io: io.on(7), "pass the name of an event, not int"),
    "a name of the protocol's": (lambda io: io.on("connect"), "'connect' is no event of the serv"),
    "what has no form": (lambda io: io.emit("a", object()), "object"),
    "what has none, elsewhere": (lambda io: io.namespace("/a").emit("a", object()), "object"),
    "an async answer": (lambda io: io.answer("a", _answer), "pass a plain function"),
    "a timeout": (lambda io: io.emit_with_ack("a", timeout="1"), "timeout: pass a number"),
    "another socket": (
        lambda _: socket_io(Socket("ws://fake.test")),
        r"Socket\(url, \*\*socket_io_options\(auth=...\)\)",
    ),
    "what the socket has": (
        lambda io: socket_io(io.socket, namespace="/a"),
        r"socket_io\(namespace\): goes with an address",
    ),
}


async def _answer() -> None:
    """An answer that comes later."""


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_says_what_to_pass(stage: Make, kind: str) -> None:
    make, text = BAD[kind]
    with pytest.raises((TypeError, ValueError), match=text):
        make(stage().io)


def test_a_socket_that_was_made_for_it(clock: VirtualClock, stage: Make) -> None:
    peer = fake(OPENED)
    options = socket_io_options(auth="t", transport=peer, namespace="/")
    with Socket("ws://fake.test/socket.io/", **options) as socket:
        heard = Heard(socket_io(socket).on("a"))
        clock.advance(1.0)
        peer.push('42["a",1]')
        clock.advance(0)
        assert heard.values == [(1,)]
