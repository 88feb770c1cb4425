"""C48: GraphQL over WebSocket: operations, errors, the credential, what is asked for anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from protocol_stage import Heard, stages
from scene import known

from rxsocket import (
    AwaitingAuth,
    ConnectionLost,
    IdentityChanged,
    ObserverFailed,
    Socket,
    SocketFailed,
    State,
    TopicFailed,
    Undecodable,
    handover,
    header,
    query,
    subprotocol,
)
from rxsocket.protocols import (
    GraphQLError,
    GraphQLResult,
    SubprotocolNotChosen,
    graphql,
    graphql_options,
)
from rxsocket.testing import VirtualClock, accept, fake

PROTOCOL = "graphql-transport-ws"
ACK = accept(PROTOCOL).expect().send('{"type":"connection_ack"}')
QUERY = "subscription { a }"


class Stage:
    """A client with its fake server.

    Attributes:
        api: The client.
        peer: The server.
    """

    def __init__(self, clock: VirtualClock, *scripts: Any, **options: Any) -> None:
        self._clock = clock
        self.peer = fake(*scripts)
        self.peer.default = ACK
        options = {"transport": self.peer, "backoff": known(), "auth": "t1", **options}
        self.api = graphql("ws://fake.test/", **options)
        self.socket = self.api.socket

    @property
    def received(self) -> list[tuple[int, Any]]:
        """What the server received but for ``connection_init``, and on which connection."""
        messages = [(number, json.loads(message)) for number, message in self.peer.received]
        return [one for one in messages if one[1]["type"] != "connection_init"]

    @property
    def inits(self) -> list[Any]:
        """The payload of each ``connection_init``."""
        messages = [json.loads(message) for _, message in self.peer.received]
        return [one.get("payload") for one in messages if one["type"] == "connection_init"]

    def say(self, *messages: Any) -> None:
        self.peer.push(*map(json.dumps, messages))
        self._clock.advance(0)

    def next(self, id: str, data: Any = None, **more: Any) -> None:
        payload = {"data": data, **more}
        self.say({"id": id, "type": "next", "payload": payload})


Make = Callable[..., Stage]


@pytest.fixture
def stage(clock: VirtualClock) -> Iterator[Make]:
    yield from stages(clock, Stage)


def subscribe(id: str, query: str = QUERY, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **more}}


def complete(id: str) -> dict[str, str]:
    return {"id": id, "type": "complete"}


def test_data_of_a_subscription(clock: VirtualClock, stage: Make) -> None:
    """Each observer has an operation of its own; the one that leaves completes it."""
    it = stage()
    numbers = it.api.subscribe(QUERY, {"of": 7}, operation_name="A")
    one, other = Heard(numbers), Heard(numbers)
    clock.advance(1.0)
    assert it.received == [
        (1, subscribe(id, variables={"of": 7}, operationName="A")) for id in "12"
    ]
    it.next("1", {"a": 1})
    it.next("2", {"a": 2})
    it.next("3", {"a": 3})
    assert (one.values, other.values) == ([{"a": 1}], [{"a": 2}])
    one.subscription.dispose()
    clock.advance(1.0)
    assert it.received[2:] == [(1, complete("1"))]
    other.subscription.dispose()
    clock.advance(1.0)
    assert it.received[3:] == [(1, complete("2"))]
    assert it.socket.state.value is State.IDLE


def test_the_server_completes(clock: VirtualClock, stage: Make) -> None:
    """Then nothing is said of it."""
    it = stage()
    held, heard = it.socket.connect(), Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.next("1", {"a": 1})
    it.say(complete("1"), {"id": "1", "type": "next", "payload": {"data": {"a": 2}}})
    clock.advance(1.0)
    assert heard.values == [{"a": 1}, "completed"]
    assert it.received == [(1, subscribe("1"))]
    held.dispose()


def test_it_is_asked_for_anew_on_each_connection(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    heard = Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.next("1", 1)
    it.peer.drop()
    clock.advance(5.0)
    it.next("1", 2)
    it.socket.set_auth("t2")
    clock.advance(5.0)
    it.next("1", 3)
    assert heard.values == [1, 2, 3]
    assert it.received == [(epoch, subscribe("1")) for epoch in (1, 2, 3)]
    assert it.inits == [{"Authorization": f"Bearer {token}"} for token in ("t1", "t1", "t2")]


def test_a_handover_asks_beside_the_old_connection(clock: VirtualClock, stage: Make) -> None:
    """C13: with ``dedupe`` of the data, nothing is missing and nothing is double."""
    key = handover(dedupe=lambda message: message.get("payload", {}).get("data"))
    it = stage(on_auth_change=key, identity=lambda _: "somebody")
    heard = Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.next("1", 1)
    it.socket.set_auth("t2")
    clock.advance(0.1)
    assert it.received == [(1, subscribe("1")), (2, subscribe("1"))]
    for number in (2, 3):
        it.next("1", number)
    clock.advance(5.0)
    it.next("1", 4)
    assert heard.values == [1, 2, 3, 4]
    assert it.peer.live == 1


@pytest.mark.parametrize("last", ["error", "next"])
def test_errors_are_errors(clock: VirtualClock, stage: Make, last: str) -> None:
    """Of the whole operation, or in a result, also with data besides; the others go on."""
    it = stage()
    other, heard = Heard(it.api.subscribe(QUERY)), Heard(it.api.subscribe("subscription { b }"))
    clock.advance(1.0)
    errors = [{"message": "no\nb", "path": ["b"]}, {"message": "nor c"}]
    if last == "error":
        it.say({"id": "2", "type": "error", "payload": errors})
    else:
        it.next("2", {"b": None, "c": 1}, errors=errors)
    clock.advance(1.0)
    assert isinstance(heard.error, GraphQLError)
    assert str(heard.error) == "no\\nb (and 1 more)"
    assert heard.error.errors == tuple(errors)
    assert heard.error.data == (None if last == "error" else {"b": None, "c": 1})
    assert it.received[2:] == ([] if last == "error" else [(1, complete("2"))])
    it.next("1", 1)
    assert other.values == [1]


def test_results_have_errors_as_values(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    heard = Heard(it.api.results(QUERY))
    clock.advance(1.0)
    it.next("1", None, errors=[{"message": "no"}])
    it.next("1", 1, extensions={"cost": 2})
    assert heard.values == [
        GraphQLResult(None, ({"message": "no"},)),
        GraphQLResult(1, (), {"cost": 2}),
    ]


@dataclass
class Named:
    name: str


def test_data_has_the_type_that_was_asked_for(clock: VirtualClock, stage: Make) -> None:
    """What has not is a ``TopicFailed``, as for a listener (C29); of a request, its error."""
    it = stage()
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    heard = Heard(it.api.subscribe(QUERY, type=Named))
    one = Heard(it.api.execute("{ b }", type=Named))
    clock.advance(1.0)
    it.next("1", {"name": 7})
    it.next("1", {"name": "b"})
    it.next("2", {"name": "s3cret-of-a-server", "nam": 1} | {"name": 7})
    assert heard.values == [Named("b")]
    [problem] = problems
    assert isinstance(problem, TopicFailed) and isinstance(problem.error, Undecodable)
    assert isinstance(one.error, Undecodable)


def test_a_query_has_one_result(clock: VirtualClock, stage: Make) -> None:
    """It completes when the server says so; then nothing is said of it."""
    it = stage()
    heard = Heard(it.api.execute("{ a }", {"b": 1}))
    clock.advance(1.0)
    it.next("1", {"a": 1})
    it.say(complete("1"))
    clock.advance(1.0)
    assert heard.values == [{"a": 1}, "completed"]
    assert it.received == [(1, subscribe("1", "{ a }", variables={"b": 1}))]
    assert it.socket.state.value is State.IDLE


def test_a_query_that_is_none(clock: VirtualClock, stage: Make) -> None:
    """A subscription has more results than one, and some servers complete without any."""
    it = stage()
    held, two, none = it.socket.connect(), Heard(it.api.execute("a")), Heard(it.api.execute("b"))
    clock.advance(1.0)
    it.next("1", 1)
    it.next("1", 2)
    it.say(complete("2"))
    clock.advance(1.0)
    assert str(two.error) == "execute(query) has more than one result; use subscribe(query)"
    assert str(none.error) == "the server sent no result"
    assert it.received[2:] == [(1, complete("1"))]
    held.dispose()


@pytest.mark.parametrize("how", ["disposed", "silent"])
def test_a_query_that_nobody_waits_for_is_completed(
    clock: VirtualClock, stage: Make, how: str
) -> None:
    it = stage()
    held, heard = it.socket.connect(), Heard(it.api.execute("{ a }", timeout=3.0))
    clock.advance(1.0)
    if how == "disposed":
        heard.subscription.dispose()
    clock.advance(5.0)
    assert it.received[1:] == [(1, complete("1"))]
    assert [*map(str, heard.values)] == ([] if how == "disposed" else ["no answer within 3 s"])
    held.dispose()


def test_a_mutation_is_not_sent_twice(clock: VirtualClock, stage: Make) -> None:
    """C30: only what is idempotent is sent again when the connection was lost."""
    it = stage()
    held, api = it.socket.connect(), it.api
    lost, again = Heard(api.execute("mutation")), Heard(api.execute("{ a }", idempotent=True))
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(5.0)
    it.next("2", 1)
    assert isinstance(lost.error, ConnectionLost) and again.values == [1]
    assert it.received[2:] == [(2, subscribe("2", "{ a }"))]
    held.dispose()


def test_pings_are_answered_wherever_they_come(clock: VirtualClock, stage: Make) -> None:
    """Before the acknowledgement, while it is open, and where a word looks like one."""
    early = accept(PROTOCOL).expect().send('{"type":"ping"}', '{"type":"connection_ack"}')
    it = stage(early)
    held = it.socket.connect()
    clock.advance(1.0)
    it.say({"type": "ping", "payload": {"n": 1}}, {"type": "pong", "payload": "ping"})
    it.peer.push('"ping" is no JSON')
    clock.advance(1.0)
    assert it.received == [
        (1, {"type": "pong"}),
        (1, {"type": "pong", "payload": {"n": 1}}),
    ]
    stats, received = it.socket.stats, [len(message) for _, message in it.peer.received]
    assert (stats.messages_sent, stats.bytes_sent) == (len(received), sum(received))
    held.dispose()


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        ({"auth": "t"}, {"Authorization": "Bearer t"}),
        ({"auth": {"token": "t", "room": 1}}, {"token": "t", "room": 1}),
        ({"auth": "t", "init_payload": lambda token: {"x": [token]}}, {"x": ["t"]}),
        ({"auth": "t", "init_payload": lambda _: None}, None),
        ({"auth": "t", "carrier": header()}, None),
        (
            {"auth": "t", "carrier": header(), "init_payload": lambda token: {"x": token}},
            {"x": "t"},
        ),
    ],
    ids=["text", "mapping", "function", "function of none", "header", "both"],
)
def test_the_payload_comes_of_the_credential(
    clock: VirtualClock, stage: Make, options: dict[str, Any], payload: Any
) -> None:
    it = stage(**options)
    with it.socket:
        clock.advance(1.0)
        assert it.inits == [payload]
        carried = it.peer.handshakes[0].headers.get("Authorization")
        assert carried == ("Bearer t" if "carrier" in options else None)


def test_connection_init_goes_without_a_credential_too(clock: VirtualClock) -> None:
    peer = fake(ACK)
    api = graphql(peer.url, transport=peer)
    with api.socket:
        clock.advance(1.0)
        assert [tuple(one) for one in peer.received] == [(1, '{"type":"connection_init"}')]
        assert api.socket.state.value is State.OPEN
    clock.advance(3.0)


def test_a_refused_credential_waits_for_another_one(clock: VirtualClock, stage: Make) -> None:
    """C9: 4403 instead of an acknowledgement; the subscription goes on with the next one."""
    it = stage(accept(PROTOCOL).expect().close(4403, "Forbidden"))
    events: list[Any] = []
    it.socket.events.subscribe(events.append)
    heard = Heard(it.api.subscribe(QUERY))
    clock.advance(30.0)
    assert any(isinstance(event, AwaitingAuth) for event in events)
    assert it.socket.state.value is State.AWAITING_AUTH and heard.values == []
    it.socket.set_auth("t2")
    clock.advance(1.0)
    it.next("1", 1)
    assert heard.values == [1]


@pytest.mark.parametrize("code", [4400, 4409, 4429])
def test_a_mistake_of_ours_ends_it(clock: VirtualClock, stage: Make, code: int) -> None:
    it = stage(accept(PROTOCOL).expect().send('{"type":"connection_ack"}').wait(1).close(code))
    heard = Heard(it.api.subscribe(QUERY))
    clock.advance(30.0)
    assert isinstance(heard.error, SocketFailed) and str(code) in str(heard.error)


@pytest.mark.parametrize("chosen", [None, "older"])
def test_a_server_that_does_not_speak_it(
    clock: VirtualClock, stage: Make, chosen: str | None
) -> None:
    """It is said at once, to whoever waits, with what to do; the connection is dropped."""
    it = stage(accept(chosen), carrier=subprotocol("older") if chosen else query())
    heard, asked = Heard(it.api.subscribe(QUERY)), Heard(it.api.execute("{ a }"))
    clock.advance(30.0)
    assert isinstance(heard.error, SocketFailed)
    cause = heard.error.cause
    assert isinstance(cause, SubprotocolNotChosen) and cause.chosen == chosen
    how = f"with the subprotocol {chosen!r}" if chosen else "without a subprotocol"
    said = f"does not speak 'graphql-transport-ws': it opened the WebSocket {how}; check the path"
    for error in (heard.error, asked.error):
        assert said in str(error)
    assert it.peer.received == [] and it.peer.live == 0


def test_a_server_that_only_repeats_the_subprotocol(clock: VirtualClock, stage: Make) -> None:
    """As the library ws does by default: it is said that no acknowledgement came."""
    it = stage(accept(PROTOCOL))
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    with it.socket:
        clock.advance(11.0)
    text = (
        "the server, which may not speak graphql-transport-ws at this path, or wants something "
        "else in the payload of connection_init (see auth= and init_payload=), sent no "
        "connection_ack"
    )
    assert [str(problem.error) for problem in problems] == [f"{text} in 10 s"]


def test_no_secret_is_in_an_error(clock: VirtualClock, stage: Make) -> None:
    """C28: a server may repeat the token."""
    canary = "c4n4ry/z0rk+q8x5"
    it = stage(auth=canary)
    heard = Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.say({"id": "1", "type": "error", "payload": [{"message": f"no place for {canary}"}]})
    assert str(heard.error) == "no place for ***" and canary not in repr(heard.error)
    assert repr(it.api) == "<GraphQL of <Socket ws://fake.test/: idle>>"


def test_a_payload_that_cannot_be_made(clock: VirtualClock, stage: Make) -> None:
    """It is a failed attempt that says so, without the credential, or an error at once."""
    canary = "c4n4ry/z0rk+q8x5"

    def failing(credential: Any) -> Any:
        raise LookupError(f"no place for {credential}")

    for function, text in ((failing, r"no place for \*\*\*"), (str, "return a mapping or None")):
        with pytest.raises((LookupError, TypeError), match=text) as failed:
            stage(auth=canary, init_payload=function)
        assert canary not in str(failed.value)


@pytest.mark.parametrize("payload", [None, [], 7])
def test_a_result_that_is_none(clock: VirtualClock, stage: Make, payload: Any) -> None:
    it = stage()
    heard = Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.say({"id": "1", "type": "next", "payload": payload})
    assert str(heard.error) == "the server sent a result without a payload"


def test_an_observer_that_raises_harms_nobody(clock: VirtualClock, stage: Make) -> None:
    """C23: it is named, its operation is completed, and the others go on."""
    it = stage()
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)

    def raising(data: Any) -> None:
        raise LookupError("of mine")

    it.api.subscribe(QUERY).subscribe(raising)
    other = Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.next("1", 1)
    it.next("2", 1)
    clock.advance(1.0)
    [problem] = problems
    assert isinstance(problem, ObserverFailed) and "raising" in problem.observer
    assert it.received[2:] == [(1, complete("1"))] and other.values == [1]


def test_it_ends_with_the_socket(clock: VirtualClock, stage: Make) -> None:
    """A subscription completes, a query fails (C3, C30); another subscription starts it afresh."""
    it = stage()
    heard, query = Heard(it.api.subscribe(QUERY)), Heard(it.api.execute("{ a }"))
    clock.advance(1.0)
    it.socket.close()
    clock.advance(3.0)
    assert heard.values == ["completed"] and isinstance(query.error, ConnectionLost)
    again = Heard(it.api.subscribe(QUERY))
    clock.advance(1.0)
    it.next("3", 1)
    assert again.values == [1]


def test_another_identity_asks_anew(clock: VirtualClock, stage: Make) -> None:
    """C14: a subscription is asked for as the next one; a query is not sent again."""
    it = stage()
    heard = Heard(it.api.subscribe(QUERY))
    query = Heard(it.api.execute("{ a }", idempotent=True))
    clock.advance(1.0)
    it.socket.set_auth("of somebody else")
    clock.advance(3.0)
    assert isinstance(query.error, IdentityChanged)
    assert it.received[2:] == [(2, subscribe("1"))] and heard.values == []


def test_nothing_is_sent_of_a_query_that_is_not_awaited(stage: Make) -> None:
    with pytest.warns(RuntimeWarning, match=r"^execute\(query\) was never awaited"):
        stage().api.execute("{ a }")


def test_a_socket_that_was_made_for_it(clock: VirtualClock) -> None:
    """Two clients of one socket share its ids."""
    peer = fake(ACK)
    socket = Socket(peer.url, **graphql_options(auth="t", transport=peer))
    heard = [Heard(graphql(socket).subscribe(QUERY)) for _ in range(2)]
    clock.advance(1.0)
    ids = [json.loads(message)["id"] for _, message in peer.received[1:]]
    assert ids == ["1", "2"] and heard[0].values == []
    socket.close()
    clock.advance(3.0)


def test_arguments_that_cannot_be_used() -> None:
    api: Any = graphql("ws://fake.test/")
    plain = Socket("ws://fake.test/")
    made = Socket("ws://fake.test/", **graphql_options())
    for call, text in (
        (lambda: graphql(plain), r"^graphql\(socket\): this one was not made for graphql-trans"),
        (lambda: graphql(made, auth="t"), r"^graphql\(auth\): goes with an address; a socket is"),
        (lambda: graphql("ws://a/", init_payload=7), r"^init_payload: pass a function of the cr"),
        (lambda: graphql("https://a/"), r"^url: not a WebSocket address; pass wss:// i"),
        (lambda: graphql("http://a/", transport="sse"), r"^transport: 'sse' only receives; graph"),
        (lambda: api.subscribe(7), r"^query: pass the document as a string, not int$"),
        (lambda: api.execute("{ a }", [1]), r"^variables: pass a mapping or None, not list$"),
        (lambda: api.results("a", operation_name=1), r"^operation_name: pass a string or None"),
        (lambda: api.execute("a", timeout=-1), r"^timeout: pass a number of seconds that is 0"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            call()
