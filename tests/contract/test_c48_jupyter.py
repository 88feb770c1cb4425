"""C48: kernels of Jupyter: code, requests that outlive a connection, input, a kernel's death."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from internals import Accept
from protocol_stage import Heard, stages
from scene import known

from rxsocket import (
    ConnectionLost,
    DecodeFailed,
    Dropped,
    IdentityChanged,
    NotConnected,
    ObserverFailed,
    Socket,
    history,
)
from rxsocket.protocols import (
    Evaluated,
    KernelDied,
    KernelError,
    KernelMessage,
    jupyter,
    jupyter_options,
    kernel_message,
)
from rxsocket.testing import VirtualClock, accept, fake, reject

URL = "ws://fake.test/api/kernels/k1/channels"
V1 = "v1.kernel.websocket.jupyter.org"
PARTS = ("header", "parent_header", "metadata", "content")


def in_v1(message: dict[str, Any], buffers: tuple[bytes, ...] = ()) -> bytes:
    """The form v1 of a message."""
    texts = [json.dumps(message[name]).encode() for name in PARTS]
    pieces = [message["channel"].encode(), *texts, *buffers]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(pieces)


def of_v1(data: bytes) -> dict[str, Any]:
    """A message from the form v1."""
    (count,) = struct.unpack_from("<Q", data)
    places = struct.unpack_from(f"<{count}Q", data, 8)
    pieces = [data[start:end] for start, end in pairwise(places)]
    found = dict(zip(PARTS, map(json.loads, pieces[1:5]), strict=True))
    return {"channel": pieces[0].decode(), **found, "buffers": pieces[5:]}


class Stage:
    """A client with its fake server.

    Attributes:
        kernel: The client.
        peer: The server.
    """

    def __init__(self, clock: VirtualClock, *scripts: Accept, **options: Any) -> None:
        self._clock = clock
        self.peer = fake(*scripts)
        self.peer.default = options.pop("default", accept())
        options = {"transport": self.peer, "backoff": known(), "auth": "t1", **options}
        self.kernel = jupyter(options.pop("url", URL), **options)
        self.socket = self.kernel.socket

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in history(self.socket) if isinstance(event, kind)]

    @property
    def received(self) -> list[tuple[int, dict[str, Any]]]:
        """What the server received, and on which connection."""
        return [
            (number, json.loads(message) if isinstance(message, str) else of_v1(message))
            for number, message in self.peer.received
        ]

    @property
    def asked(self) -> list[tuple[int, str]]:
        """The types of it."""
        return [(number, message["header"]["msg_type"]) for number, message in self.received]

    def header(self, place: int = -1) -> dict[str, Any]:
        """The header of one of these messages."""
        found: dict[str, Any] = self.received[place][1]["header"]
        return found

    def say(self, *messages: str | bytes) -> None:
        """Let the server send."""
        self.peer.push(*messages)
        self._clock.advance(0)

    def tell(self, parent: Any, type: str, channel: str = "iopub", **content: Any) -> None:
        """Let the kernel say something because of a request."""
        self.say(json.dumps(told(parent, type, channel, **content)))

    def status(self, parent: Any, state: str) -> None:
        self.tell(parent, "status", execution_state=state)

    def finish(self, parent: Any, status: str = "ok", **content: Any) -> None:
        """Reply, and be idle."""
        kind = parent["msg_type"].replace("_request", "_reply")
        self.tell(parent, kind, "shell", status=status, **content)
        self.status(parent, "idle")


def told(parent: Any, type: str, channel: str = "iopub", **content: Any) -> dict[str, Any]:
    """A message of the kernel."""
    header = {"msg_type": type, "msg_id": "k", "session": "kernel"}
    whole = {"header": header, "parent_header": parent, "metadata": {}, "content": content}
    return {"channel": channel, **whole}


Make = Callable[..., Stage]


@pytest.fixture
def stage(clock: VirtualClock) -> Iterator[Make]:
    yield from stages(clock, Stage)


def test_what_is_because_of_the_code(clock: VirtualClock, stage: Make) -> None:
    """Until the reply came and the kernel is idle, in either order; nobody else's."""
    it = stage()
    heard, evaluated = Heard(it.kernel.execute("1")), Heard(it.kernel.evaluate("2"))
    clock.advance(1.0)
    first, second = it.header(0), it.header(1)
    it.status({"msg_id": "another"}, "idle")
    for parent in (first, second):
        it.status(parent, "busy")
        it.tell(parent, "stream", name="stdout", text="a")
        it.tell(parent, "stream", name="stderr", text="e")
        it.tell(parent, "stream", name="stdout", text="b")
        it.tell(parent, "display_data", data={"image/png": "x"})
        it.tell(parent, "execute_result", data={"text/plain": "42"})
    it.status(first, "idle")
    assert heard.types[-2:] == ["execute_result", "status"]
    it.tell(first, "execute_reply", "shell", status="ok", execution_count=7)
    it.finish(second, execution_count=8)
    assert heard.types[-2:] == ["execute_reply", "str"]
    assert heard.types.count("status") == 2
    result = Evaluated(
        data={"text/plain": "42"},
        stdout="ab",
        stderr="e",
        displayed=({"image/png": "x"},),
        execution_count=8,
    )
    assert evaluated.values == [result, "completed"]
    assert result.text == "42"


def test_the_message(clock: VirtualClock, stage: Make) -> None:
    """The skeleton; each subscription has an id of its own, all the session of the address."""
    it = stage()
    code = it.kernel.execute("a", silent=True, user_expressions={"b": "c"}, stop_on_error=False)
    held = [Heard(code), Heard(code)]
    clock.advance(1.0)
    (_, message), (_, other) = it.received
    assert message["content"] == {
        "code": "a",
        "silent": True,
        "store_history": True,
        "user_expressions": {"b": "c"},
        "allow_stdin": False,
        "stop_on_error": False,
    }
    assert (message["channel"], message["parent_header"]) == ("shell", {})
    assert message["header"]["msg_id"] != other["header"]["msg_id"]
    (handshake,) = it.peer.handshakes
    assert handshake.query == {"session_id": it.kernel.session}
    assert {message["header"]["session"], other["header"]["session"]} == {it.kernel.session}
    assert handshake.headers["Authorization"] == "token t1"
    assert handshake.subprotocols == (V1,)
    del held


def test_code_that_raises(clock: VirtualClock, stage: Make) -> None:
    """As an error of ``evaluate``, as a message of ``execute``; what was aborted says so."""
    it = stage()
    raising, aborted, messages = (
        Heard(ask)
        for ask in (it.kernel.evaluate("1/0"), it.kernel.evaluate("2"), it.kernel.execute("3"))
    )
    clock.advance(1.0)
    failure = {"ename": "E", "evalue": "no", "traceback": ["a", "b"]}
    it.finish(it.header(0), status="error", **failure)
    it.tell(it.header(1), "execute_reply", "shell", status="aborted")
    it.tell(it.header(2), "error", **failure)
    it.finish(it.header(2), status="error", **failure)
    assert isinstance(raising.error, KernelError) and str(raising.error) == "E: no"
    assert (raising.error.name, raising.error.traceback) == ("E", ("a", "b"))
    assert "a request before it failed" in str(aborted.error)
    assert messages.types == ["error", "execute_reply", "status", "str"]


def test_what_code_raises_shows_no_secret(clock: VirtualClock, stage: Make) -> None:
    """C28, C32: the text is in one line; what the kernel sent is in attributes."""
    canary = "c4n4ry/z0rk+q8x5"
    it = stage(auth=canary)
    heard = [Heard(it.kernel.evaluate("a")), Heard(it.kernel.request("complete_request"))]
    clock.advance(1.0)
    for number, one in enumerate(heard):
        it.finish(it.header(number), "error", ename="E", evalue=f"no\n{canary}", traceback=[])
        assert isinstance(one.error, KernelError) and one.error.value == f"no\n{canary}"
        assert str(one.error) == "E: no\\n***" and canary not in repr(one.error)
    assert repr(it.kernel).startswith("<Kernel of <Socket ws")


def test_the_protocol_that_the_server_chooses(clock: VirtualClock, stage: Make) -> None:
    """v1 or the default one, with buffers in both; the next connection may have the other one."""
    it = stage(accept(V1), accept())
    held, iopub = it.socket.connect(), Heard(it.kernel.iopub)
    message = kernel_message("comm_msg", {}, session="s", buffers=[b"1", b""])
    clock.advance(1.0)
    it.socket.send(message)
    clock.advance(1.0)
    (sent,) = it.peer.received
    assert isinstance(sent.message, bytes)
    assert of_v1(sent.message)["buffers"] == [b"1", b""]
    it.say(in_v1(told({}, "comm_msg"), (b"x",)))
    it.peer.drop()
    clock.advance(5.0)
    it.socket.send(kernel_message("comm_msg", {"a": 1}, session="s"))
    it.socket.send(message)
    clock.advance(1.0)
    text, binary = (one.message for one in it.peer.received[1:])
    assert isinstance(text, str) and json.loads(text)["content"] == {"a": 1}
    assert isinstance(binary, bytes)
    count, *offsets = struct.unpack_from("!4I", binary)
    assert count == 3
    assert binary[offsets[1] :] == b"1"
    assert json.loads(binary[offsets[0] : offsets[1]])["header"] == message.header
    body = json.dumps(told({}, "comm_msg")).encode()
    it.say(struct.pack("!3I", 2, 12, 12 + len(body)) + body + b"y")
    assert [one.buffers for one in iopub.values] == [(b"x",), (b"y",)]
    held.dispose()


def test_a_request_outlives_its_connection(clock: VirtualClock, stage: Make) -> None:
    """Where the server replays for the same session; it is sent once, and asked after once."""
    it = stage()
    heard = Heard(it.kernel.execute("work()"))
    clock.advance(1.0)
    header = it.header()
    it.tell(header, "stream", text="1")
    it.peer.drop()
    clock.advance(5.0)
    assert it.asked == [(1, "execute_request"), (2, "kernel_info_request")]
    first, second = it.peer.handshakes
    assert first.query["session_id"] == second.query["session_id"] == it.kernel.session
    it.tell(header, "stream", text="2")
    it.finish(header)
    assert heard.types == ["stream", "stream", "execute_reply", "status", "str"]
    assert it.of(Dropped) == []


def test_an_answer_that_was_lost(clock: VirtualClock, stage: Make) -> None:
    """It fails when that is certain: the kernel answers in order."""
    it = stage()
    lost, held = Heard(it.kernel.evaluate("a")), it.socket.connect()
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(5.0)
    question = it.header()
    it.peer.drop()
    clock.advance(9.0)
    later = Heard(it.kernel.evaluate("b"))
    clock.advance(1.0)
    kinds = [(1, "execute_request"), (2, "kernel_info_request"), (3, "kernel_info_request")]
    assert it.asked == [*kinds, (3, "execute_request")]
    it.finish(question)
    assert lost.values == later.values == []
    it.finish(it.header(2))
    assert isinstance(lost.error, ConnectionLost)
    assert "whether it was run is not known" in str(lost.error)
    it.finish(it.header(3))
    assert later.values[-1] == "completed"
    it.peer.drop()
    clock.advance(5.0)
    assert len(it.asked) == 4
    held.dispose()


def test_what_nobody_wants_is_not_sent(clock: VirtualClock, stage: Make) -> None:
    """C30: what was disposed or timed out before; a late answer is nobody's."""
    it = stage(accept().wait(0.5).drop(), accept().delay(1.0))
    held = it.socket.connect()
    clock.advance(1.0)
    disposed = Heard(it.kernel.execute("a"))
    late = Heard(it.kernel.kernel_info(timeout=0.5))
    disposed.subscription.dispose()
    clock.advance(0.6)
    assert isinstance(late.error, TimeoutError) and "was not sent within 0.5 s" in str(late.error)
    silent = Heard(it.kernel.kernel_info(timeout=4.0))
    clock.advance(8.0)
    assert str(silent.error) == "no answer to the kernel_info_request within 4 s"
    assert it.asked == [(2, "kernel_info_request")]
    it.finish(it.header())
    assert disposed.values == []
    held.dispose()


def test_a_kernel_that_dies(clock: VirtualClock, stage: Make) -> None:
    """Whatever waits for it fails, in words; the next request is as ever."""
    it = stage()
    heard, held = (
        [Heard(it.kernel.evaluate("a")), Heard(it.kernel.kernel_info())],
        it.socket.connect(),
    )
    clock.advance(1.0)
    it.status({}, "starting")
    assert [one.values for one in heard] == [[], []]
    it.status({}, "restarting")
    assert [type(one.error) for one in heard] == [KernelDied, KernelDied]
    assert "run again what made that" in str(heard[0].error)
    dead = Heard(it.kernel.evaluate("b"))
    clock.advance(1.0)
    it.status({}, "dead")
    assert "start another one" in str(dead.error)
    again = Heard(it.kernel.evaluate("c"))
    clock.advance(1.0)
    it.finish(it.header())
    assert again.values[-1] == "completed"
    held.dispose()


def test_another_identity(clock: VirtualClock, stage: Make) -> None:
    """C14: it has a session of its own, and no answer of the one before."""
    it = stage()
    heard = Heard(it.kernel.evaluate("a"))
    held = it.socket.connect()
    clock.advance(1.0)
    before = it.kernel.session
    it.socket.set_auth("t2")
    clock.advance(1.0)
    assert isinstance(heard.error, IdentityChanged)
    assert it.kernel.session != before
    assert [one.query["session_id"] for one in it.peer.handshakes] == [before, it.kernel.session]
    held.dispose()


async def _later(prompt: str, _: bool) -> str:
    await asyncio.sleep(1.0)
    return prompt.upper()


@pytest.mark.parametrize("on_input", [lambda prompt, _: prompt.upper(), _later])
def test_code_that_asks(clock: VirtualClock, stage: Make, on_input: Any) -> None:
    """A function answers, now or later, on the channel that asked."""
    it = stage()
    heard = Heard(it.kernel.execute("input('who? ')", on_input=on_input))
    clock.advance(1.0)
    header = it.header()
    assert it.received[0][1]["content"]["allow_stdin"] is True
    it.tell(header, "input_request", "stdin", prompt="who? ", password=False)
    clock.advance(2.0)
    _, reply = it.received[1]
    assert (reply["channel"], reply["header"]["msg_type"]) == ("stdin", "input_reply")
    assert (reply["content"], reply["parent_header"]["msg_id"]) == ({"value": "WHO? "}, "k")
    it.finish(header)
    assert heard.types[-1] == "str"


def test_an_answer_that_raises(
    clock: VirtualClock, stage: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C23: it is reported once; the code is interrupted, and what asked fails with that."""
    caplog.set_level(logging.DEBUG)
    it = stage()
    odd: Any = lambda prompt, _: 7  # noqa: E731
    heard = [Heard(it.kernel.execute("input()", on_input=one)) for one in (_raises, odd)]
    clock.advance(1.0)
    headers = [it.header(0), it.header(1)]
    for header in headers:
        it.tell(header, "input_request", "stdin", prompt="", password=True)
        clock.advance(1.0)
    assert [kind for _, kind in it.asked[2:]] == ["interrupt_request"] * 2
    assert it.received[-1][1]["channel"] == "control"
    it.finish(headers[0], status="error", ename="KeyboardInterrupt")
    assert isinstance(heard[0].error, ZeroDivisionError)
    assert heard[1].types == ["KernelMessage"] or heard[1].types == ["input_request"]
    clock.advance(5.0)
    assert str(heard[1].error) == "on_input: return a string, not int"
    assert len(it.of(ObserverFailed)) == 2


def _raises(prompt: str, is_password: bool) -> str:
    raise ZeroDivisionError


def test_other_requests(clock: VirtualClock, stage: Make) -> None:
    """The content of the reply, as soon as it is there; what cannot be done is an error."""
    it = stage()
    kernel, held = it.kernel, it.socket.connect()
    asking = [
        kernel.kernel_info(),
        kernel.complete("impo"),
        kernel.inspect("print", 3, detail_level=1),
        kernel.interrupt(),
        kernel.shutdown(restart=True),
        kernel.request("history_request", {"n": 3}),
    ]
    heard = [Heard(one) for one in asking]
    clock.advance(1.0)
    kinds = ["kernel_info", "complete", "inspect", "interrupt", "shutdown", "history"]
    assert it.asked == [(1, f"{kind}_request") for kind in kinds]
    messages = [message for _, message in it.received]
    assert [message["channel"] for message in messages] == ["shell"] * 3 + ["control"] * 2 + [
        "shell"
    ]
    assert [message["content"] for message in messages] == [
        {},
        {"code": "impo", "cursor_pos": 4},
        {"code": "print", "cursor_pos": 3, "detail_level": 1},
        {},
        {"restart": True},
        {"n": 3},
    ]
    for message in messages[:5]:
        kind = message["header"]["msg_type"].replace("request", "reply")
        it.tell(message["header"], kind, message["channel"], status="ok", a=1)
    it.finish(messages[5]["header"], status="error", ename="E", evalue="")
    assert [one.values for one in heard[:5]] == [[{"status": "ok", "a": 1}, "completed"]] * 5
    assert isinstance(heard[5].error, KernelError) and str(heard[5].error) == "E"
    held.dispose()


def test_damaged_messages(clock: VirtualClock, stage: Make) -> None:
    """C3: they are reported, and nothing else is lost."""
    it = stage(accept(V1), accept())
    heard = Heard(it.kernel.evaluate("a"))
    for epoch in (1, 2):
        clock.advance(5.0)
        good = in_v1(told({"msg_id": "x"}, "status"))
        it.say("{", "[]", b"", b"\x07" * 30, good[:-1], good[:64], b"\x00\x00\x00\x02" * 3)
        assert len(it.of(DecodeFailed)) == 7 * epoch
        if epoch == 1:
            it.peer.drop()
    it.finish(it.header(0))
    assert heard.values[-1] == "completed"


def test_an_observer_that_raises_harms_nobody(clock: VirtualClock, stage: Make) -> None:
    """C23: it is detached and reported."""
    it = stage()
    it.kernel.execute("a").subscribe(lambda message: 1 / 0)  # type: ignore[arg-type, return-value]
    heard = Heard(it.kernel.execute("b"))
    clock.advance(1.0)
    for place in (0, 1):
        it.status(it.header(place), "busy")
        it.finish(it.header(place))
    assert heard.values[-1] == "completed"
    assert len(it.of(ObserverFailed)) == 1


def test_a_kernel_that_there_is_not(clock: VirtualClock, stage: Make) -> None:
    """HTTP 404 ends it at once, and whatever waits."""
    it = stage(default=reject(404))
    heard = Heard(it.kernel.evaluate("a"))
    clock.advance(1.0)
    assert isinstance(heard.error, NotConnected) and "HTTP 404" in str(heard.error)
    again = Heard(it.kernel.evaluate("a"))
    clock.advance(1.0)
    assert isinstance(again.error, NotConnected)


def test_nobody_is_told_of_messages_that_are_nobodys(
    clock: VirtualClock, stage: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C4: a client that only asks hears of no message that was dropped."""
    it = stage()
    held = it.socket.connect()
    clock.advance(1.0)
    it.status({}, "idle")
    clock.advance(10.0)
    assert it.of(Dropped) == [] and not [one for one in caplog.records if one.levelno > 20]
    held.dispose()


def test_a_session_goes_on_elsewhere(clock: VirtualClock, stage: Make) -> None:
    it = stage(session="earlier", url="http://fake.test/api/kernels/k1/channels?a=1")
    Heard(it.kernel.kernel_info())
    clock.advance(1.0)
    (handshake,) = it.peer.handshakes
    assert handshake.query == {"a": "1", "session_id": "earlier"}
    assert it.header()["session"] == "earlier"


def test_a_socket_that_was_made_for_it(clock: VirtualClock) -> None:
    peer = fake()
    with Socket(URL, **jupyter_options(auth="t", transport=peer)) as socket:
        heard = Heard(jupyter(socket).iopub)
        clock.advance(1.0)
        peer.push(json.dumps(told({}, "status")), json.dumps(told({}, "a_reply", "shell")))
        clock.advance(0)
        assert heard.types == ["status"]


BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "the address of a server": (
        lambda _: jupyter("http://127.0.0.1:8888"),
        "as in 'ws://127.0.0.1:8888/api/kernels/<id>/channels'",
    ),
    "a session": (lambda _: jupyter(URL, session=7), "session: pass the id of an earlier session"),
    "no code": (lambda kernel: kernel.execute(7), r"execute\(code\): pass a string, not int"),
    "no function": (lambda kernel: kernel.execute("a", on_input=7), "on_input: pass a function"),
    "no channel": (lambda kernel: kernel.request("a_request", channel="x"), "'shell' or 'control'"),
    "a reply": (lambda kernel: kernel.request("history"), "such as 'history_request'"),
    "no message": (lambda kernel: kernel.socket.send("a"), "pass a KernelMessage, not str"),
    "another socket": (lambda _: jupyter(Socket(URL)), r"Socket\(url, \*\*jupyter_options\(auth"),
    "what the socket has": (
        lambda kernel: jupyter(kernel.socket, session="a"),
        r"jupyter\(session\): goes with an address",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_says_what_to_pass(stage: Make, kind: str) -> None:
    make, text = BAD[kind]
    with pytest.raises((TypeError, ValueError), match=text):
        make(stage().kernel)


def test_what_is_never_awaited(stage: Make) -> None:
    """C30: it was not sent, and somebody should know."""
    kernel = stage().kernel
    with pytest.warns(RuntimeWarning, match="execute.code. was never awaited"):
        kernel.evaluate("a")
    with pytest.warns(RuntimeWarning, match="kernel_info_request was never awaited"):
        kernel.kernel_info()


def test_messages_are_values() -> None:
    message = kernel_message("a_request", {}, session="s")
    assert isinstance(message, KernelMessage)
    assert (message.type, message.parent, message.id) == ("a_request", "", message.header["msg_id"])
