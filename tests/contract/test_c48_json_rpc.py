"""C48: JSON-RPC 2.0: requests, notifications, subscriptions, batches, what the server requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from protocol_stage import Heard, stages
from reactivex import operators as ops
from scene import known

from rxsocket import (
    ChannelFailed,
    ConnectionLost,
    ObserverFailed,
    Socket,
    SocketFailed,
    State,
    TopicFailed,
    Undecodable,
    handover,
)
from rxsocket.protocols import JsonRpcError, SubprotocolNotChosen, json_rpc, json_rpc_options
from rxsocket.testing import VirtualClock, accept, fake


class Stage:
    """A client with its fake server.

    Attributes:
        rpc: The client.
        peer: The server.
    """

    def __init__(self, clock: VirtualClock, *scripts: Any, **options: Any) -> None:
        self._clock = clock
        self.peer = fake(*scripts)
        options = {"transport": self.peer, "backoff": known(), **options}
        self.rpc = json_rpc("ws://fake.test/", **options)
        self.socket = self.rpc.socket

    @property
    def received(self) -> list[tuple[int, Any]]:
        """What the server received, without the version, and on which connection."""
        messages = [(number, json.loads(message)) for number, message in self.peer.received]
        for _, message in messages:
            for one in message if isinstance(message, list) else [message]:
                assert one.pop("jsonrpc") == "2.0"
        return messages

    def say(self, *messages: Any) -> None:
        for message in messages:
            for one in message if isinstance(message, list) else [message]:
                one["jsonrpc"] = "2.0"
        self.peer.push(*map(json.dumps, messages))
        self._clock.advance(0)

    def notify(self, id: Any, result: Any) -> None:
        params = {"subscription": id, "result": result}
        self.say({"method": "eth_subscription", "params": params})


Make = Callable[..., Stage]


@pytest.fixture
def stage(clock: VirtualClock) -> Iterator[Make]:
    yield from stages(clock, Stage)


@dataclass
class Head:
    number: int


LOGS = ("eth_subscribe", ["logs"])
HEADS = ("eth_subscribe", ["newHeads"])


def asked(id: int, method: str, params: Any = None) -> dict[str, Any]:
    request = {"id": id, "method": method}
    return request if params is None else {**request, "params": params}


def test_a_request_has_its_result(clock: VirtualClock, stage: Make) -> None:
    """By position, by name, or without params; answers come in any order."""
    it = stage()
    heard = [
        Heard(it.rpc.request("sum", [1, 2])),
        Heard(it.rpc.request("head", {"of": 1}, type=Head)),
        Heard(it.rpc.request("none")),
    ]
    clock.advance(1.0)
    assert it.received == [
        (1, asked(1, "sum", [1, 2])),
        (1, asked(2, "head", {"of": 1})),
        (1, asked(3, "none")),
    ]
    it.say({"id": 3, "result": None}, {"id": 2, "result": {"number": 7}}, {"id": 1, "result": 3})
    assert [one.values for one in heard] == [
        [3, "completed"],
        [Head(7), "completed"],
        [None, "completed"],
    ]
    clock.advance(1.0)
    assert it.socket.state.value is State.IDLE


def test_errors_are_errors(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    refused, odd = Heard(it.rpc.request("a")), Heard(it.rpc.request("b"))
    typed = Heard(it.rpc.request("c", type=Head))
    clock.advance(1.0)
    it.say({"id": 1, "error": {"code": -32602, "message": "no\nsuch", "data": [1]}})
    it.say({"id": 2, "error": "no"}, {"id": 3, "result": {"number": "s3cret"}})
    assert isinstance(refused.error, JsonRpcError)
    assert str(refused.error) == "no\\nsuch (-32602)"
    assert (refused.error.code, refused.error.data) == (-32602, [1])
    assert isinstance(odd.error, JsonRpcError)
    assert isinstance(typed.error, Undecodable) and "s3cret" not in str(typed.error)


def test_what_the_server_requests_is_no_answer(clock: VirtualClock, stage: Make) -> None:
    """It may have the same id; it is answered, and so is one within a batch, on its connection."""
    it = stage()
    heard = Heard(it.rpc.request("a"))
    clock.advance(1.0)
    it.say({"id": 1, "method": "b"}, [{"id": "x", "method": "c"}, {"method": "d"}])
    clock.advance(1.0)
    error = {"code": -32601, "message": "Method not found"}
    assert it.received[1:] == [(1, {"id": 1, "error": error}), (1, [{"id": "x", "error": error}])]
    it.say({"id": 1, "result": 1})
    assert heard.values == [1, "completed"]


def test_handlers_answer_what_the_server_requests(clock: VirtualClock, stage: Make) -> None:
    """What one raises is an answer, and an event unless it was meant as one."""

    def refuse(params: Any) -> Any:
        raise JsonRpcError(-32602, "no such item", params)

    def fail(params: Any) -> Any:
        raise LookupError("a secret of ours")

    handlers = {"add": sum, "refuse": refuse, "fail": fail, "odd": lambda _: object()}
    it = stage(handlers=handlers)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    with it.socket:
        clock.advance(1.0)
        it.say({"id": 1, "method": "add", "params": [1, 2]})
        it.say({"id": 2, "method": "refuse", "params": {"a": 1}})
        it.say({"id": 3, "method": "fail"}, {"id": 4, "method": "odd"})
        clock.advance(1.0)
        internal = {"code": -32603, "message": "Internal error"}
        assert it.received == [
            (1, {"id": 1, "result": 3}),
            (1, {"id": 2, "error": {"code": -32602, "message": "no such item", "data": {"a": 1}}}),
            (1, {"id": 3, "error": internal}),
            (1, {"id": 4, "error": internal}),
        ]
        assert [type(one) for one in problems] == [ObserverFailed, ObserverFailed]
        assert it.socket.stats.messages_sent == len(it.peer.received)
        assert problems[0].observer == "handlers['fail']"


def test_notifications_go_both_ways(clock: VirtualClock, stage: Make) -> None:
    """Each method is a topic; what has not the type is a ``TopicFailed``, once (C29)."""
    it = stage()
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    heads = Heard(it.rpc.notifications("head", type=Head))
    texts = Heard(it.rpc.notifications("window/log"))
    clock.advance(1.0)
    it.say({"method": "head", "params": {"number": "x"}}, {"method": "window/log", "params": ["a"]})
    it.say({"method": "head", "params": {"number": 2}}, {"method": "head", "id": 1, "params": {}})
    it.rpc.notify("exit")
    it.rpc.notify("did", {"open": 1})
    clock.advance(1.0)
    assert (heads.values, texts.values) == ([Head(2)], [["a"]])
    assert [type(one) for one in problems] == [TopicFailed]
    assert it.received[1:] == [
        (1, {"method": "exit"}),
        (1, {"method": "did", "params": {"open": 1}}),
    ]


def test_a_subscription_has_another_id_on_each_connection(clock: VirtualClock, stage: Make) -> None:
    """What the server calls it is nobody's business; two may have changed their names."""
    it = stage()
    heads, logs = (
        Heard(it.rpc.subscribe(*HEADS)),
        Heard(it.rpc.subscribe(*LOGS)),
    )
    clock.advance(1.0)
    assert it.received == [(1, asked(1, *HEADS)), (1, asked(2, *LOGS))]
    it.say({"id": 1, "result": "0xa"}, {"id": 2, "result": "0xb"})
    it.notify("0xa", 1)
    it.notify("0xb", "l1")
    it.peer.drop()
    clock.advance(5.0)
    it.say({"id": 3, "result": "0xb"}, {"id": 4, "result": "0xa"})
    it.notify("0xb", 2)
    it.notify("0xa", "l2")
    it.notify("0xc", "of nobody")
    assert (heads.values, logs.values) == ([1, 2], ["l1", "l2"])
    heads.subscription.dispose()
    clock.advance(1.0)
    assert it.received[-1] == (2, asked(5, "eth_unsubscribe", ["0xb"]))


def note(id: Any, result: Any) -> str:
    params = {"subscription": id, "result": result}
    return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


def test_a_handover_of_subscriptions(clock: VirtualClock, stage: Make) -> None:
    """C13: the same id means another one on the next connection, from the switch on."""
    answer = '{{"jsonrpc": "2.0", "id": {}, "result": {}}}'.format
    later = accept().expect().expect().send(answer(4, 1)).wait(1.0)
    later = later.send(answer(3, 2), note(1, "log 2"), note(2, "head 2"))
    strategy = handover(ready="acknowledged")
    it = stage(accept(), later, auth="1", on_auth_change=strategy, identity=lambda _: "somebody")
    heads, logs = Heard(it.rpc.subscribe(*HEADS)), Heard(it.rpc.subscribe(*LOGS))
    clock.advance(1.0)
    it.say({"id": 1, "result": 1}, {"id": 2, "result": 2})
    it.socket.set_auth("2")
    clock.advance(0.5)
    it.peer.push(note(1, "1"))  # over both: a head on the old one, a log on the new one
    clock.advance(5.0)
    assert it.peer.live == 1
    assert (heads.values, logs.values) == (["1", "head 2"], ["1", "log 2"])
    assert [message["method"] for _, message in it.received] == ["eth_subscribe"] * 4


@pytest.mark.parametrize("on", ["old", "new"])
def test_who_leaves_during_a_handover(clock: VirtualClock, stage: Make, on: str) -> None:
    """It is ended on both, on the next one after the switch, when its answer has come."""
    answer = '{"jsonrpc": "2.0", "id": 2, "result": "0xb"}'
    later = accept().expect().wait(1.0).send(answer).expect()
    strategy = handover(ready="acknowledged")
    it = stage(accept(), later, auth="1", on_auth_change=strategy, identity=lambda _: "somebody")
    with it.socket:
        heard = Heard(it.rpc.subscribe(*HEADS))
        clock.advance(1.0)
        it.say({"id": 1, "result": "0xa"})
        it.socket.set_auth("2")
        clock.advance(0.5 if on == "old" else 5.0)
        heard.subscription.dispose()
        clock.advance(5.0)
        ended = [message["params"] for _, message in it.received[2:]]
        assert ended == ([["0xa"], ["0xb"]] if on == "old" else [["0xb"]])


def test_a_refused_subscription_fails_alone(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    refused, other = (
        Heard(it.rpc.subscribe("eth_subscribe", ["x"])),
        Heard(it.rpc.subscribe(*HEADS)),
    )
    odd = Heard(it.rpc.subscribe("accountSubscribe"))
    clock.advance(1.0)
    it.say({"id": 1, "error": {"code": -32602, "message": "no"}})
    it.say({"id": 3, "result": True}, {"id": 2, "result": "0xa"})
    it.notify("0xa", 1)
    assert str(refused.error) == "no (-32602)" and other.values == [1]
    assert "was not answered with the id of a subscription" in str(odd.error)
    assert [type(one) for one in problems] == [ChannelFailed, ChannelFailed]
    clock.advance(1.0)
    assert len(it.received) == 3


@pytest.mark.parametrize("then", ["answered", "refused", "dropped"])
def test_who_leaves_before_the_answer_unsubscribes_after_it(
    clock: VirtualClock, stage: Make, then: str
) -> None:
    """The server does not go on for nobody; nothing waits for a connection that is gone."""
    it = stage()
    with it.socket:
        heard = Heard(it.rpc.subscribe(*HEADS))
        clock.advance(1.0)
        heard.subscription.dispose()
        clock.advance(1.0)
        assert len(it.received) == 1
        if then == "dropped":
            it.peer.drop()
            clock.advance(5.0)
        answer = {"error": {}} if then == "refused" else {"result": "0xa"}
        it.say({"id": 1, **answer}, {"id": 1, **answer})
        clock.advance(1.0)
        ended = [(1, asked(2, "eth_unsubscribe", ["0xa"]))]
        assert it.received[1:] == (ended if then == "answered" else [])


@pytest.mark.parametrize(
    ("method", "ending"),
    [
        ("eth_subscribe", "eth_unsubscribe"),
        ("accountSubscribe", "accountUnsubscribe"),
        ("chain_subscribeNewHeads", "chain_unsubscribeNewHeads"),
    ],
)
def test_what_ends_a_subscription_is_named_after_it(
    clock: VirtualClock, stage: Make, method: str, ending: str
) -> None:
    it = stage()
    with it.socket:
        heard = Heard(it.rpc.subscribe(method))
        clock.advance(1.0)
        it.say({"id": 1, "result": 23})
        heard.subscription.dispose()
        clock.advance(1.0)
        assert it.received[1:] == [(1, asked(2, ending, [23]))]


def test_results_of_a_subscription_have_their_type(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    heard = Heard(it.rpc.subscribe(*HEADS, type=Head))
    clock.advance(1.0)
    it.say({"id": 1, "result": "0xa"})
    it.notify("0xa", {"number": "x"})
    it.notify("0xa", {"number": 2})
    assert heard.values == [Head(2)]
    assert [(type(one), one.topic) for one in problems] == [(TopicFailed, "eth_subscribe")]


@pytest.mark.parametrize("how", ["one message", "several", "one left out"])
def test_a_batch_is_one_message(clock: VirtualClock, stage: Make, how: str) -> None:
    """Results are in the order of the calls, errors in their place."""
    it = stage()
    heard = Heard(it.rpc.batch(["a", ("b", [1]), "c"]))
    clock.advance(1.0)
    assert it.received == [(1, [asked(1, "a"), asked(2, "b", [1]), asked(3, "c")])]
    answers: list[Any] = [{"id": 3, "result": 3}, {"id": 1, "result": 1}]
    if how != "one left out":
        answers.append({"id": 2, "error": {"code": 7, "message": "no"}})
    it.say(*(answers if how == "several" else [answers]))
    [[first, error, last], completed] = heard.values
    assert (first, last, completed) == (1, 3, "completed")
    assert str(error) == (
        "the server left this one out (-32603)" if how == "one left out" else "no (7)"
    )


def test_a_batch_that_is_refused(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    heard = Heard(it.rpc.batch(["a", "b"]))
    clock.advance(1.0)
    it.say({"id": None, "error": {"code": -32600, "message": "no batches"}})
    assert str(heard.error) == "no batches (-32600)"


def test_what_is_lost_is_not_sent_twice(clock: VirtualClock, stage: Make) -> None:
    """C30: only what is idempotent is sent again."""
    it = stage()
    with it.socket:
        lost, again = Heard(it.rpc.request("a")), Heard(it.rpc.request("b", idempotent=True))
        batch = Heard(it.rpc.batch(["c"]))
        clock.advance(1.0)
        it.peer.drop()
        clock.advance(5.0)
        it.say({"id": 2, "result": 1})
        assert isinstance(lost.error, ConnectionLost) and isinstance(batch.error, ConnectionLost)
        assert again.values == [1, "completed"]


def test_a_server_that_does_not_speak_it(clock: VirtualClock, stage: Make) -> None:
    """Whoever waits is told what to check, unless it did speak before."""
    it = stage()
    heard = Heard(it.rpc.request("a", timeout=2.0))
    clock.advance(1.0)
    it.peer.push('{"hello": "world"}', "welcome")
    clock.advance(2.0)
    text = "no message of JSON-RPC 2.0 has come from this server: check the path in the URL"
    assert str(heard.error) == f"no answer within 2 s; {text}"
    heard = Heard(it.rpc.request("a", timeout=2.0))
    clock.advance(1.0)
    it.say({"method": "late"})
    clock.advance(2.0)
    assert str(heard.error) == "no answer within 2 s"


def test_a_subprotocol_that_is_not_chosen(clock: VirtualClock, stage: Make) -> None:
    it = stage(subprotocol="jsonrpc")
    heard = Heard(it.rpc.request("a"))
    clock.advance(30.0)
    ended: list[Any] = []
    assert "does not speak 'jsonrpc'" in str(heard.error)
    it.socket.opens.subscribe(on_error=ended.append)
    clock.advance(30.0)
    assert isinstance(ended[0], SocketFailed) and isinstance(ended[0].cause, SubprotocolNotChosen)


def test_a_chosen_subprotocol(clock: VirtualClock, stage: Make) -> None:
    it = stage(accept("jsonrpc"), subprotocol="jsonrpc")
    with it.socket:
        clock.advance(1.0)
        assert it.socket.state.value is State.OPEN


def test_no_secret_is_in_an_error(clock: VirtualClock, stage: Make) -> None:
    """C28: a server may repeat the token; of a channel, an event says so, too."""
    canary = "c4n4ry/z0rk+q8x5"
    it = stage(auth=canary)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    heard = [Heard(it.rpc.request("a")), Heard(it.rpc.subscribe("eth_subscribe", [canary]))]
    clock.advance(1.0)
    for id in (1, 2):
        it.say({"id": id, "error": {"code": 7, "message": f"no place for {canary}"}})
    assert [str(one.error) for one in heard] == ["no place for *** (7)"] * 2
    assert repr(it.rpc) == "<JsonRpc of <Socket ws://fake.test/: idle>>"
    assert canary not in repr([*problems, *(one.error for one in heard), heard[0].error.message])


def test_nothing_is_sent_of_a_request_that_is_not_awaited(stage: Make) -> None:
    with pytest.warns(RuntimeWarning, match=r"^request\('a'\) was never awaited"):
        stage().rpc.request("a")


def test_arguments_that_cannot_be_used() -> None:
    rpc: Any = json_rpc("ws://fake.test/")
    plain = Socket("ws://fake.test/")
    made = Socket("ws://fake.test/", **json_rpc_options())
    options: Any = json_rpc_options

    async def answer(params: Any) -> Any: ...

    for call, text in (
        (lambda: json_rpc(plain), r"^json_rpc\(socket\): this one was not made for JSON-RPC 2\.0"),
        (lambda: json_rpc(made, handlers={}), r"^json_rpc\(handlers\): goes with an address"),
        (lambda: options(handlers=[1]), r"^handlers: pass a mapping of methods to functions"),
        (lambda: options(handlers={"a": answer}), r"^handlers\['a'\]: pass a plain function; an"),
        (lambda: options(handlers={"a": 7}), r"^handlers\['a'\]: pass a function of the params"),
        (lambda: rpc.request(7), r"^method: pass a string, not int$"),
        (lambda: rpc.request("a", "b"), r"^params: pass a list, a mapping or None, not str$"),
        (lambda: rpc.notify("a", 7), r"^params: pass a list, a mapping or None, not int$"),
        (lambda: rpc.subscribe("watch"), r"^unsubscribe: name the method that ends what 'watch'"),
        (lambda: rpc.batch([]), r"^calls: pass at least one; an empty batch is no request$"),
        (lambda: rpc.batch("a"), r"^calls: pass a list of methods or of pairs with their params"),
        (lambda: rpc.batch([7]), r"^calls: pass a list of methods or of pairs with their params"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            call()


NULL = {"id": None, "error": {"code": -32600, "message": "Invalid Request"}}


def test_an_error_without_an_id_is_that_of_the_only_request(
    clock: VirtualClock, stage: Make
) -> None:
    """The server could not read the id; nobody waits for the timeout."""
    it = stage()
    heard = Heard(it.rpc.request("a"))
    clock.advance(1.0)
    it.say(dict(NULL))
    assert str(heard.error) == "Invalid Request (-32600)"
    refused = Heard(it.rpc.subscribe(*HEADS))
    clock.advance(1.0)
    it.say(dict(NULL))
    clock.advance(1.0)
    assert "Invalid Request (-32600)" in str(refused.error)


def test_an_error_without_an_id_of_several_requests_is_in_the_log(
    clock: VirtualClock, stage: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can know whose it is; all of them go on."""
    it = stage()
    heard = [Heard(it.rpc.request(name)) for name in "ab"]
    Heard(it.rpc.subscribe(*HEADS))
    clock.advance(1.0)
    it.say(dict(NULL))
    (line,) = [text for text in caplog.messages if "which request" in text]
    assert line.endswith("does not say which request it is of: Invalid Request (-32600)")
    it.say({"id": 1, "result": 1}, {"id": 2, "result": 2})
    assert [one.values for one in heard] == [[1, "completed"], [2, "completed"]]


def test_a_notification_before_the_answer_is_not_lost(clock: VirtualClock, stage: Make) -> None:
    """Servers that notify on another thread than they answer on do so."""
    it = stage()
    heads, logs = Heard(it.rpc.subscribe(*HEADS)), Heard(it.rpc.subscribe(*LOGS))
    clock.advance(1.0)
    it.notify("0xb", "l1")
    it.notify("0xa", 1)
    it.notify("0xa", 2)
    it.notify("0xc", "of nobody")
    assert heads.values == logs.values == []
    it.say({"id": 1, "result": "0xa"})
    it.notify("0xa", 3)
    it.say({"id": 2, "result": "0xb"})
    assert (heads.values, logs.values) == ([1, 2, 3], ["l1"])
    it.peer.drop()
    clock.advance(5.0)
    it.notify("0xa", 4)  # of which nobody knows yet, on this connection
    it.say({"id": 3, "result": "0xa"}, {"id": 4, "result": "0xb"})
    assert (heads.values, logs.values) == ([1, 2, 3, 4], ["l1"])


def test_who_leaves_at_an_early_notification_unsubscribes(clock: VirtualClock, stage: Make) -> None:
    it = stage()
    got: list[Any] = []
    it.rpc.subscribe(*HEADS).pipe(ops.take(1)).subscribe(got.append)
    clock.advance(1.0)
    it.notify("0xa", 1)
    it.notify("0xa", 2)
    it.say({"id": 1, "result": "0xa"})
    clock.advance(1.0)
    assert got == [1]
    assert it.received[-1][1]["method"] == "eth_unsubscribe"


def test_an_observer_that_raises_at_an_early_notification_harms_nobody(
    clock: VirtualClock, stage: Make
) -> None:
    it = stage()
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)

    def fail(_: Any) -> None:
        raise RuntimeError("mine")

    it.rpc.subscribe(*HEADS).subscribe(fail)
    logs = Heard(it.rpc.subscribe(*LOGS))
    clock.advance(1.0)
    it.notify("0xa", 1)
    it.notify("0xb", "l1")
    it.say({"id": 1, "result": "0xa"}, {"id": 2, "result": "0xb"})
    clock.advance(1.0)
    assert logs.values == ["l1"]
    assert [type(one) for one in problems] == [ObserverFailed]
