"""C50 on real connections: an event stream is a socket like any other, which only receives."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from event_server import Asked, event_server, on_loop
from reactivex import operators as ops

from rxsocket import (
    Cause,
    Closed,
    ConnectFailed,
    Event,
    HandshakeRefused,
    Message,
    NoMoreEvents,
    NotAnEventStream,
    Opened,
    ReceiveOnly,
    RedirectRefused,
    Rejected,
    Socket,
    SocketFailed,
    Waiting,
    cookie,
    handover,
    header,
    json_codec,
    query,
)
from rxsocket.recording import record, replay
from rxsocket.sse import event_id, event_type, last_event_id

from .secret_surfaces import Canary, Surfaces
from .wire_helpers import quick

pytest.importorskip("httptools")
pytestmark = pytest.mark.only("websockets")  # the address chooses another one


class Heard:
    """Observes a socket on the loop of the test."""

    def __init__(self, socket: Socket[Any]) -> None:
        self.socket = socket
        self.messages: list[Any] = []
        self.events: list[Event] = []
        self._more = asyncio.Event()
        self._subscriptions = [
            socket.messages.subscribe(self._on_message, lambda _: None),
            socket.events.subscribe(self._on_event, lambda _: None),
        ]

    def _on_message(self, message: Any) -> None:
        self.messages.append(message)
        self._more.set()

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, count: int, kind: type[Any] | None = None) -> list[Any]:
        """Wait for messages, or events of a kind."""
        async with asyncio.timeout(10):
            while len(found := self.messages if kind is None else self.of(kind)) < count:
                self._more.clear()
                await self._more.wait()
        return found

    async def close(self) -> None:
        await self.socket.close()


async def forever(asked: Asked) -> None:
    await asked.gone.wait()


@on_loop
async def test_messages_types_and_ids() -> None:
    """A message is the data; a listener gets events of one type; the id is the cursor."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("data: plain\n\n", "event: trade\nid: 7\ndata: 1\ndata: 2\n\n")
        await asked.send(": ping\n\n", 'data: {"a": 1}\r\n\r', "\nid: 8\n\n")
        await forever(asked)

    async with event_server(serve) as server:
        socket = Socket(server.url)
        trades: list[Any] = []
        decoded: list[Any] = []
        socket.listener("trade").subscribe(trades.append)
        socket.listener("message", type=dict).subscribe(decoded.append, lambda _: None)
        heard = Heard(socket)
        assert await heard.until(3) == ["plain", "1\n2", '{"a": 1}']
        assert [event_type(one) for one in heard.messages] == ["message", "trade", "message"]
        assert [event_id(one) for one in heard.messages] == ["", "7", "7"]
        assert trades == ["1\n2"] and event_id(trades[0]) == "7"
        assert decoded == [{"a": 1}]  # "plain" is a TopicFailed
        async with asyncio.timeout(5):
            assert await socket.cursor.pipe(ops.first(lambda id: id == "8"))
        (asked,) = server.asked
        assert asked.headers["accept"] == "text/event-stream"
        assert "last-event-id" not in asked.headers
        await heard.close()
        await asyncio.wait_for(asked.gone.wait(), 5)


@on_loop
async def test_a_codec_and_the_type_of_an_event() -> None:
    """What a codec made of an event has no type, but a listener finds it."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("event: a\ndata: 1\n\nevent: b\nid: x\ndata: 1\n\ndata: [2]\n\n")
        await forever(asked)

    async with event_server(serve) as server:
        socket: Socket[Any] = Socket(server.url, codec=json_codec())
        values: dict[str, list[Any]] = {name: [] for name in ("a", "b", "message")}
        for name, found in values.items():
            socket.listener(name).subscribe(found.append)
        heard = Heard(socket)
        assert await heard.until(3) == [1, 1, [2]]
        assert values == {"a": [1], "b": [1], "message": [[2]]}
        assert socket.cursor.value == "x"
        await heard.close()


@on_loop
async def test_the_next_connection_goes_on_after_the_last_id() -> None:
    """``Last-Event-ID``, which also a program that begins may have; an empty id takes it away."""
    bodies = iter(["id: 7\ndata: 1\n\n", "data: 2\n\nid: 9\n\n", "id\ndata: 3\n\n", "data: 4\n\n"])

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send(next(bodies))
        await asked.finish()

    async with event_server(serve) as server:
        socket = Socket(server.url, backoff=quick(), cursor=last_event_id(start="grün"))
        heard = Heard(socket)
        await heard.until(4)
        await heard.close()
        sent = [asked.last_event_id for asked in server.asked[:4]]
        assert sent == ["grün", "7", "9", None]
        assert [event_id(one) for one in heard.messages[:3]] == ["7", "7", ""]
        closed = heard.of(Closed)[0]
        assert closed.cause is Cause.PEER and closed.code == 1005


@pytest.mark.parametrize(
    ("carrier", "place"), [(query(), "query"), (header(), "header"), (cookie(), "cookie")]
)
@on_loop
async def test_a_refused_credential_waits_for_another(carrier: Any, place: str) -> None:
    """401 is the verdict that it is for a WebSocket; the refused one is not tried again."""

    def token(asked: Asked) -> str | None:
        found = {
            "query": asked.query.get("token"),
            "header": asked.headers.get("authorization", "").removeprefix("Bearer "),
            "cookie": asked.headers.get("cookie", "").removeprefix("token="),
        }
        return found[place]

    async def serve(asked: Asked) -> None:
        if token(asked) != "good":
            await asked.answer("401 Unauthorized", body="expired")
            return
        await asked.begin()
        await asked.send("data: 1\n\n")
        await forever(asked)

    async with event_server(serve) as server:
        socket = Socket(server.url, auth={"token": "bad"}, carrier=carrier)
        heard = Heard(socket)
        (rejected,) = await heard.until(1, Rejected)
        assert isinstance(rejected.error, HandshakeRefused) and rejected.status == 401
        assert f"{place}" in str(rejected.error) and "bad" not in str(rejected.error)
        socket.set_auth({"token": "good"})
        assert await heard.until(1) == ["1"]
        assert [token(asked) for asked in server.asked] == ["bad", "good"]
        await heard.close()


@on_loop
async def test_no_content_ends_it_for_good(caplog: pytest.LogCaptureFixture) -> None:
    """204: the streams complete, also after a stable connection; it is no warning."""
    caplog.set_level(logging.DEBUG, "rxsocket")

    async def serve(asked: Asked) -> None:
        if len(server.asked) > 1:
            await asked.answer("204 No Content")
            return
        await asked.begin()
        await asked.send("data: 1\n\n")
        await asked.finish()

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url, backoff=quick(), stable_after=0.0))
        (failed,) = await heard.until(1, ConnectFailed)
        assert isinstance(failed.error, NoMoreEvents)
        await asyncio.wait_for(heard.socket.wait_closed(), 5)
        assert len(server.asked) == 2
        assert "closed by the server" in str(heard.socket.explain())
    said = [record.levelno for record in caplog.records if "204" in record.getMessage()]
    assert said and max(said) == logging.INFO


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("200 OK\r\nContent-Type: text/html", "its content type is 'text/html'"),
        ("200 OK", "it has no content type"),
        ("200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip", "is packed"),
        ("426 Upgrade Required\r\nUpgrade: websocket", "wants another protocol"),
    ],
)
@on_loop
async def test_another_answer_fails(head: str, text: str) -> None:
    """The text says what came instead; it is not tried again."""

    async def serve(asked: Asked) -> None:
        await asked.raw(f"HTTP/1.1 {head}\r\nContent-Length: 2\r\n\r\nhi")
        await forever(asked)

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url))
        (failed,) = await heard.until(1, ConnectFailed)
        assert isinstance(failed.error, NotAnEventStream) and text in str(failed.error)
        with pytest.raises(SocketFailed):
            await heard.socket.wait_closed()
        assert len(server.asked) == 1
        assert "begin it with wss://" in str(heard.socket.explain())


@on_loop
async def test_parameters_of_the_content_type_are_allowed() -> None:
    """So are other cases of its letters."""

    async def serve(asked: Asked) -> None:
        await asked.raw("HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream;charset=UTF-8\r\n\r\n")
        await asked.raw("data: 1\n\n")

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url))
        assert await heard.until(1) == ["1"]
        (closed,) = await heard.until(1, Closed)
        assert closed.code == 1005, "a body without a length ends with the link"
        await heard.close()


@on_loop
async def test_nothing_can_be_sent() -> None:
    """Whatever would is told so at once, with the reason."""
    async with event_server(forever) as server:
        socket = Socket(server.url)
        for send in (
            lambda: socket.send("x"),
            lambda: socket.emitter("topic").emit(1),
            lambda: socket.request({"id": 1}, id="id"),
            lambda: socket.channel(subscribe="x", match=bool),
        ):
            with pytest.raises(ReceiveOnly, match="the server only sends here"):
                send()  # type: ignore[no-untyped-call]


@on_loop
async def test_redirects() -> None:
    """Within the origin it goes along with the credential; to another one it is refused."""

    async def serve(asked: Asked) -> None:
        if asked.target.startswith("/events"):
            await asked.answer("307 Temporary Redirect", f"Location: {where}")
            return
        await asked.begin()
        await asked.send("data: 1\n\n")
        await forever(asked)

    async with event_server(serve) as server, event_server(forever) as other:
        where = "/elsewhere?x=1"
        heard = Heard(Socket(server.url, auth={"token": "t"}))
        await heard.until(1)
        assert server.asked[-1].query == {"x": "1", "token": "t"}
        await heard.close()

        where = other.url
        refused = Heard(Socket(server.url, auth={"token": "t"}))
        (failed,) = await refused.until(1, Rejected)
        assert isinstance(failed.error, RedirectRefused)
        assert other.asked == []
        await refused.close()


@on_loop
async def test_an_event_that_is_too_large() -> None:
    """What came before it is delivered; then the connection is ended with 1009."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("data: 1\n\n", b"data: " + b"x" * 101 + b"\n\n", "data: 2\n\n")
        await forever(asked)

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url, max_size=100, stable_after=0.0))
        (closed,) = await heard.until(1, Closed)
        assert heard.messages == ["1"]
        assert closed.sent == 1009 and "max_size=100" in closed.reason
        await heard.close()


@on_loop
async def test_a_body_that_breaks_off_is_a_lost_link() -> None:
    """A whole one is an end of the server's."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("data: 1\n\n")

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url, backoff=quick()))
        closed = (await heard.until(1, Closed))[0]
        assert closed.cause is Cause.LOST and closed.code == 1006
        await heard.close()


@on_loop
async def test_a_body_that_is_no_http() -> None:
    """Chunks without a size."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("data: 1\n\n")
        await asked.raw("nonsense\r\n")
        await forever(asked)

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url, backoff=quick()))
        closed = (await heard.until(1, Closed))[0]
        assert heard.messages[0] == "1"
        assert closed.sent == 1002 and "not valid HTTP" in closed.reason
        await heard.close()


@on_loop
async def test_the_reconnection_time() -> None:
    """``retry:`` is waited for at least, with the backoff on top of it."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("retry: 120\n\n")
        await asked.finish()

    async with event_server(serve) as server:
        heard = Heard(Socket(server.url, backoff=quick()))
        waiting = (await heard.until(1, Waiting))[0]
        assert waiting.retry_after == 0.12 and 0.12 <= waiting.delay <= 0.15
        await heard.until(2, Opened)
        await heard.close()


@on_loop
async def test_renewals_by_handover_lose_nothing() -> None:
    """Two connections at the same time, of which each event is delivered once."""
    await renewals(3, 300)


@pytest.mark.slow
@on_loop
async def test_twenty_renewals_at_a_thousand_events_a_second_lose_nothing() -> None:
    """Every event once, in order."""
    await renewals(20, 1000)


async def renewals(count: int, rate: int) -> None:
    number = 0
    grown = asyncio.Condition()

    async def produce() -> None:
        nonlocal number
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(0.005)
            async with grown:
                number = int((loop.time() - began) * rate)
                grown.notify_all()

    async def serve(asked: Asked) -> None:
        await asked.begin()
        sent = number if asked.last_event_id is None else int(asked.last_event_id)
        while True:
            async with grown:
                await grown.wait()
                upto = number
            events = (f"id: {each}\ndata: {each}\n\n" for each in range(sent + 1, upto + 1))
            if sent < upto:
                await asked.send("".join(events))
                sent = upto

    producing = asyncio.ensure_future(produce())
    async with event_server(serve) as server:
        socket = Socket(
            server.url,
            auth={"token": "0"},
            on_auth_change=handover(dedupe=event_id),
            identity=lambda _: "me",
            cursor=last_event_id(gaps=True),
        )
        heard = Heard(socket)
        for renewal in range(count):
            opened = len(heard.of(Opened))
            await heard.until(opened + (0 if renewal else 1), Opened)
            seen = len(heard.messages)
            await heard.until(seen + rate // 10)
            socket.set_auth({"token": str(renewal + 1)})
            await heard.until(renewal + 2, Opened)
        await heard.until(len(heard.messages) + rate // 10)
        numbers = [int(message) for message in heard.messages]
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        assert len(server.asked) == count + 1
        await heard.close()
    producing.cancel()


@pytest.mark.parametrize("codec", [None, json_codec()])
@on_loop
async def test_a_recording_keeps_type_and_id(codec: Any, tmp_path: Path) -> None:
    """Replayed, listeners get what they got, and the cursor moves as it did."""

    async def serve(asked: Asked) -> None:
        await asked.begin()
        await asked.send("event: trade\nid: 7\ndata: 1\n\ndata: 2\n\n")
        await forever(asked)

    path = tmp_path / "session.jsonl"
    async with event_server(serve) as server:
        socket: Socket[Any] = Socket(server.url, codec=codec)
        async with record(socket, path):
            heard = Heard(socket)
            await heard.until(2)
            await heard.close()
    for replayed in (replay(path, speed="max").socket(), again(path)):
        trades: list[Any] = []
        replayed.listener("trade").subscribe(trades.append, lambda _: None)
        heard = Heard(replayed)
        await heard.until(2)
        assert [str(trade) for trade in trades] == ["1"]
        assert replayed.cursor.value == "7"
        await heard.close()
        if codec is not None:
            break  # what a codec made is not on the wire again


def again(path: Path) -> Socket[Any]:
    recorded = replay(path, speed="max")
    return Socket(recorded.url, transport=recorded)


@on_loop
async def test_what_is_shown_has_no_secret(surfaces: Surfaces, canary: Canary) -> None:
    """The credential is in no error, event, repr, log or explanation, nor if the server says it."""

    async def serve(asked: Asked) -> None:
        if len(server.asked) == 1:
            await asked.answer("403 Forbidden", body=f"not {canary.text}")
            return
        await asked.begin()
        await asked.send(f"event: {canary.text}\nretry: 1\ndata: x\n\n", "data: y\n\n")
        await asked.raw("nonsense\r\n")

    async with event_server(serve) as server:
        socket = Socket(server.url, auth={"token": canary.text}, carrier=header(), backoff=quick())
        heard = Heard(socket)
        await heard.until(1, Rejected)
        socket.reconnect()
        await heard.until(1, Closed)
        for event in heard.events:
            if not isinstance(event, Message):
                surfaces.everything(type(event).__name__, event)
        surfaces.show("socket", socket)
        surfaces.show("explanation", socket.explain())
        await heard.close()
