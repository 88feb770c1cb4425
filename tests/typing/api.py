"""The types of the public API, as mypy and pyright see them. It is checked, not run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ssl import create_default_context
from typing import Any, assert_never, assert_type

import reactivex
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject

from rxsocket import (
    Aborted,
    AddressSource,
    Ask,
    AuthChange,
    AwaitingAuth,
    Backoff,
    Carried,
    Carrier,
    Cause,
    Channel,
    ChannelFailed,
    Channels,
    ChannelStale,
    Closed,
    Codec,
    ConnectFailed,
    Connecting,
    Credential,
    DecodeFailed,
    Dropped,
    Emitter,
    End,
    Ended,
    Endpoint,
    Event,
    Explanation,
    Fresh,
    Gated,
    HandshakeRefused,
    InEffect,
    Limits,
    Listener,
    Message,
    Missed,
    NotInEffect,
    ObserverFailed,
    Opened,
    Overtaken,
    Problem,
    Reason,
    Receipt,
    Refreshing,
    Refused,
    Rejected,
    RenewalFailed,
    Renewed,
    Request,
    Resumed,
    Row,
    Secret,
    SendFailed,
    Sent,
    Session,
    Signal,
    SlowConsumer,
    Socket,
    SourceFailed,
    Stale,
    State,
    Stats,
    Stored,
    Stream,
    Subscribing,
    Ticket,
    TopicFailed,
    Transport,
    ValueStream,
    Verdict,
    Verdicts,
    Waiting,
    carrier,
    centrifugo,
    client_certificate,
    cookie,
    cursor,
    endpoint,
    first_message,
    graphql_transport_ws,
    header,
    heartbeat,
    history,
    json_codec,
    jupyter_kernel,
    messagepack_codec,
    query,
    refreshing,
    standard,
    subprotocol,
)
from rxsocket.fleet import (
    AnswerMissing,
    Capped,
    ChannelSpec,
    Fleet,
    FleetEvent,
    FleetExplanation,
    FleetStats,
    Lost,
    Moved,
    Placed,
    Processes,
    Ray,
    Restored,
    ShardFailed,
    Throttled,
)
from rxsocket.operators import (
    Drops,
    buffer_up_to,
    concat_map_async,
    conflate,
    flat_map_async,
    latest,
    resync,
)
from rxsocket.runtime.scheduler import LoopScheduler
from rxsocket.testing import VirtualClock, accept, clock, fake

# --- construction


def provider() -> str:
    return "token"


def asked(ask: Ask) -> dict[str, str]:
    assert_type(ask.attempt, int)
    assert_type(ask.reason, Reason)
    assert_type(ask.code, int | None)
    return {"token": "a"}


async def fetched() -> str:
    return "token"


def transport(request: Request) -> Observable[Signal]:
    assert_type(request.url, str)
    assert_type(request.headers, tuple[tuple[str, str], ...])
    return reactivex.never()


def resuming(value: object, cursor: object) -> Carried:
    return Carried(query={"after": str(cursor)})


def constructed() -> None:
    Socket("ws://host/")
    Socket("ws://host/", auth=None)
    Socket("ws://host/", auth="token")
    Socket("ws://host/", auth=Secret("token"))
    Socket("ws://host/", auth={"token": "a", "room": 7, "flags": ["x", True, None]})
    Socket("ws://host/", auth={"token": Secret("a")})
    Socket("ws://host/", auth=BehaviorSubject({"token": "a"}))
    Socket("ws://host/", auth=provider)
    Socket("ws://host/", auth=asked)
    Socket("ws://host/", auth=fetched)
    Socket("ws://host/", carrier=query())
    Socket("ws://host/", carrier=header("X-Api-Key", scheme=None))
    Socket("ws://host/", carrier=lambda value: Carried(query=(("t", str(value)),)))
    Socket("ws://host/", transport=transport)
    Socket("ws://host/", transport=fake(accept().send("hello")))
    Socket("ws://host/", verdicts=standard().override({4404: Verdict.FAIL}))
    Socket("ws://host/", verdicts=lambda end: Verdict.RECONNECT)
    Socket("ws://host/", backoff=Backoff(cap=60), stable_after=3)
    Socket("ws://host/", verdicts=centrifugo().then(lambda end: None))
    Socket("ws://host/", verdicts=graphql_transport_ws(), max_attempts=3, give_up_after=60)
    Socket("ws://host/", verdicts=jupyter_kernel(), stable_after=reactivex.timer(5.0))
    Socket("ws://host/", stable_after=ops.first(lambda message: message == "ready"))
    Socket("ws://host/", heartbeat=heartbeat(send="a", expect="b"), stale_after=60)
    Socket("ws://host/", heartbeat=heartbeat(send=provider, expect=lambda m: len(m) > 1))
    Socket("ws://host/", stale_after=60, on_stale="reconnect")
    Socket("ws://host/", carrier=lambda value, cursor: Carried(query={"after": str(cursor)}))
    Socket("ws://host/", carrier=query() & resuming)
    Socket("ws://host/", carrier=first_message(lambda token, cursor: f"{token} {cursor}"))
    Socket("ws://host/", carrier=first_message(lambda token: f"{token}"))
    Socket("wss://host/", carrier=client_certificate() & header(), ssl=create_default_context)
    Socket("wss://host/", ssl=create_default_context())
    assert_type(Socket("ws://host/", cursor=len).cursor, ValueStream[Any])
    Socket("ws://host/", cursor=cursor(len, start=7, gaps=False))
    Socket("ws://host/", codec=json_codec(), cursor=lambda message: message.get("seq"))
    Socket("ws://host/", gate=BehaviorSubject(True))
    assert_type(
        Socket("ws://host/").renew(within=2.0, url="ws://host/2", why="goaway", code=4000), None
    )
    Socket("ws://host/", clean_close="reconnect", linger=1, loop=asyncio.new_event_loop())
    Socket("ws://host/", additional_headers={"X-A": "1"}, subprotocols=["v2"])
    Socket("ws://host/", additional_headers=[("X-A", "1"), ("X-A", "2")], proxy=None)
    Socket("ws://host/", transport="picows", compression="auto")
    Socket("ws://host/", compression=None, max_size=None, open_timeout=None, ping_interval=None)


async def located(ask: Ask) -> str:
    return f"wss://example.com/?attempt={ask.attempt}"


def tickets(ask: Ask) -> Ticket:
    return Ticket("wss://example.com/", auth={"token": str(ask.attempt)})


def addresses() -> None:
    """Where a socket connects, and what may not be passed."""
    url = "wss://example.com/"
    assert_type(endpoint(located, hosts=["*.example.com"]), Endpoint)
    source: AddressSource = [url, url]
    for one in (source, located, provider, reactivex.of(url), endpoint(url, local_address="::1")):
        Socket(one)
    socket = Socket(url, auth=tickets)
    assert_type(socket.url, str)
    socket.set_auth(Ticket(url))
    assert_type(Ticket(url), Ticket)


def refused() -> None:
    Socket()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Socket(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Socket("ws://host/", auth=b"a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Socket("ws://host/", clean_close="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Socket("ws://host/", "a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# --- codecs


@dataclass
class Trade:
    price: float


@dataclass
class Subscribe:
    topic: str


class LinesCodec:
    def encode(self, value: list[str]) -> str:
        return "\n".join(value)

    def decode(self, data: str | bytes) -> tuple[str, ...]:
        return tuple(str(data).split("\n"))


def codecs() -> None:
    assert_type(json_codec(), Codec[Any, Any])
    assert_type(json_codec(type=Trade), Codec[Trade, Trade])
    assert_type(json_codec(type=Trade, sends=Subscribe), Codec[Subscribe, Trade])
    assert_type(messagepack_codec(), Codec[Any, Any])
    assert_type(messagepack_codec(type=Trade), Codec[Trade, Trade])
    assert_type(messagepack_codec(type=Trade, sends=Subscribe), Codec[Subscribe, Trade])
    union = json_codec(type=Trade | Subscribe)
    assert_type(union, Codec[Trade | Subscribe, Trade | Subscribe])
    assert_type(Socket("ws://host/", codec=union), Socket[Trade | Subscribe, Trade | Subscribe])


def decoded() -> None:
    raw = Socket("ws://host/")
    assert_type(raw, Socket)
    assert_type(raw.messages, Stream[str | bytes])
    assert_type(raw.batches, Stream[list[str | bytes]])
    trades = Socket("ws://host/", codec=json_codec(type=Trade))
    assert_type(trades, Socket[Trade])
    assert_type(trades.messages, Stream[Trade])
    assert_type(trades.batches, Stream[list[Trade]])
    assert_type(trades.sessions, Stream[Session[Trade]])
    trades.send(Trade(1.5))
    trades.send("1.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    feed = Socket("ws://host/", codec=json_codec(type=Trade, sends=Subscribe))
    assert_type(feed, Socket[Trade, Subscribe])
    feed.send(Subscribe("trades"))
    untyped = Socket("ws://host/", codec=json_codec())
    assert_type(untyped.messages, Stream[Any])
    untyped.send({"op": "subscribe"})
    lines = Socket("ws://host/", codec=LinesCodec())
    assert_type(lines, Socket[tuple[str, ...], list[str]])
    assert_type(lines.messages.pipe(ops.map(_first)), Observable[str])
    Socket("ws://host/", codec=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _first(lines: tuple[str, ...]) -> str:
    return lines[0]


# --- streams


def streams(socket: Socket) -> None:
    assert_type(socket.events, Stream[Event])
    assert_type(socket.opens, Stream[Opened])
    assert_type(socket.closes, Stream[Closed])
    assert_type(socket.messages, Stream[str | bytes])
    assert_type(socket.sessions, Stream[Session[str | bytes]])
    assert_type(socket.errors, Stream[Problem])
    assert_type(socket.state, ValueStream[State])
    assert_type(socket.auth, ValueStream[Credential])
    assert_type(socket.latency, ValueStream[float | None])
    assert_type(socket.stats, Stats)
    assert_type(socket.stats.messages_received, int)
    assert_type(socket.stats.outage, float)
    assert_type(socket.explain(), Explanation)
    assert_type(history(socket, 20), tuple[Event, ...])
    assert_type(socket.state.value, State)
    assert_type(socket.auth.value, Credential)
    assert_type(socket.events.passive(), Observable[Event])
    assert_type(socket.messages.subscribe(print), abc.DisposableBase)


def operators(socket: Socket) -> None:
    assert_type(socket.opens.pipe(ops.map(_epoch)), Observable[int])
    assert_type(socket.closes.pipe(ops.map(_code)), Observable[int | None])
    assert_type(socket.closes.pipe(ops.filter(_is_lost)), Observable[Closed])
    assert_type(
        socket.opens.pipe(ops.filter(_is_later), ops.map(_gap)),
        Observable[float | None],
    )
    assert_type(socket.state.pipe(ops.map(lambda state: state is State.OPEN)), Observable[bool])
    assert_type(socket.state.pipe(ops.distinct_until_changed()), Observable[State])


def consumers(socket: Socket[Trade]) -> None:
    drops = Drops()
    assert_type(drops.value, int)
    assert_type(drops.pipe(ops.sample(1.0)), Observable[int])
    assert_type(socket.messages.pipe(latest(drops=drops)), Observable[Trade])
    assert_type(socket.messages.pipe(conflate(_price)), Observable[Trade])
    assert_type(socket.messages.pipe(conflate(lambda trade: trade.price)), Observable[Trade])
    assert_type(
        socket.messages.pipe(buffer_up_to(9, overflow="drop_oldest"), concat_map_async(_named)),
        Observable[str],
    )
    assert_type(
        socket.messages.pipe(flat_map_async(_named, max_concurrent=2), ops.map(len)),
        Observable[int],
    )
    assert_type(socket.sessions.pipe(resync(_book, _applied)), Observable[list[float]])
    socket.messages.pipe(
        buffer_up_to(9, overflow="block")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )


def _price(trade: Trade) -> float:
    return trade.price


async def _named(trade: Trade) -> str:
    return str(trade.price)


async def _book() -> list[float]:
    return []


def _applied(book: list[float], trade: Trade) -> list[float]:
    return [*book, trade.price]


def _epoch(event: Opened) -> int:
    return event.epoch


def _is_later(event: Opened) -> bool:
    return event.epoch > 1


def _sent_on(sent: Sent) -> int:
    return sent.epoch


def _code(event: Closed) -> int | None:
    return event.code


def _is_lost(event: Closed) -> bool:
    return event.cause is Cause.LOST


def _gap(event: Opened) -> float | None:
    return event.gap


def callbacks(socket: Socket) -> None:
    assert_type(socket.on_open(lambda: None), abc.DisposableBase)
    socket.on_open(lambda event: print(event))
    socket.on_close(print)
    socket.on_message(print)
    socket.on_error(print)


# --- doing


async def doing(socket: Socket) -> None:
    changing = socket.set_auth({"token": "b"})
    assert_type(changing, Receipt[AuthChange])
    assert_type(await changing, AuthChange)
    assert_type(changing.result(5), AuthChange)
    assert_type(changing.done, bool)
    socket.set_auth("b")
    socket.set_auth(Secret("b"))
    socket.set_auth(None)
    socket.set_auth(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    sending = socket.send("text")
    assert_type(sending, Receipt[Sent])
    assert_type((await sending).epoch, int)
    socket.send(b"binary")
    socket.send(["fragments", "of text"])
    socket.send(7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    reactivex.of("1", "2").subscribe(socket.outgoing)
    assert_type(socket.before_send(str.upper), abc.DisposableBase)

    assert_type(socket.connect(), abc.DisposableBase)
    assert_type(socket.close(4000, "bye"), Receipt[None])
    assert_type(socket.wait(timeout=1), bool)
    assert_type(socket.opened(5), Receipt[Opened])
    assert_type((await socket.opened()).gap, float | None)
    socket.reconnect()
    await socket.wait_closed()
    with Socket("ws://host/") as entered:
        assert_type(entered, Socket)
    async with Socket("ws://host/") as entered:
        assert_type(entered, Socket)


def topics(socket: Socket) -> None:
    trades: Observable[Trade] = socket.listener("trades", type=Trade)
    listener = socket.listener("trades/:symbol", type=Trade)
    assert_type(listener, Listener[Trade])
    assert_type(listener.with_params(symbol="X"), Listener[Trade])
    assert_type(listener.pipe(ops.map(_price)), Observable[float])
    assert_type(socket.listener("anything"), Listener[Any])
    trades.subscribe(lambda trade: print(trade.price))
    assert_type(socket.scheduler, LoopScheduler)
    listener.pipe(ops.debounce(0.5, socket.scheduler)).subscribe(lambda trade: print(trade.price))
    trades.subscribe(lambda trade: print(trade.price), scheduler=socket.scheduler)
    emitter = socket.emitter("trades/:symbol", _price)
    assert_type(emitter, Emitter[Trade])
    assert_type(emitter.emit(Trade(1.0), params={"symbol": "X"}), Receipt[Sent])
    assert_type(socket.emitter("anything"), Emitter[Any])
    trades.subscribe(emitter.with_params(symbol="X"))


def _asking(keys: list[str], to: Subscribing) -> dict[str, Any]:
    return {"args": keys, "token": to.credential, "after": to.cursor}


def limited() -> None:
    socket = Socket("ws://host/", limits=Limits(pace="5/s", burst=1, batch=200))
    assert_type(Limits(5).rate, tuple[int, float] | None)
    of_a_venue = Limits(
        "5/s", channels=1024, bytes=1e6, connects="300/5min", connections=10, lifetime=86_400
    )
    assert_type(of_a_venue.connect_rate, tuple[int, float] | None)
    assert_type(of_a_venue.connections_per_credential, int | None)
    quotes = socket.channels(["a", "b"], subscribe=_asking, by=len, stale_after=60)
    assert_type(quotes, Channels[str | bytes])
    assert_type(quotes["a"], Channel[str | bytes])
    observable: Observable[Any] = quotes
    assert_type(observable.pipe(ops.map(str)), Observable[str])


def _texts(messages: Observable[int]) -> Observable[str]:
    return messages.pipe(ops.map(str))


def fleets() -> None:
    spec = ChannelSpec(subscribe=_asking, by=lambda message: message["symbol"])
    fleet = Fleet("ws://host/", channel=spec, limits=Limits(channels=200), dedupe=lambda _: 1)
    fleet.want(["a", ("b", 1)])
    fleet.want(reactivex.of({"a"}, {"b"}))
    assert_type(fleet.messages, Stream[Any])
    assert_type(fleet.channel("a"), Stream[Any])
    assert_type(fleet.set_auth({"token": "a"}), Receipt[AuthChange])
    assert_type(fleet.close(), Receipt[None])
    assert_type(fleet.explain(), FleetExplanation)
    assert_type(fleet.stats, FleetStats)
    fleet.events.pipe(ops.map(became)).subscribe(print)
    Fleet("ws://host/", channel=spec, on="processes")
    Fleet("ws://host/", channel=spec, on=Processes(4, pipeline=_texts, when_full="drop"))
    Fleet("ws://host/", channel=spec, on=Ray(4, resources={"CPU": 1}, egress=["a"] * 4))
    Fleet("ws://host/", channel=spec, on="cluster")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def became(event: FleetEvent) -> str:
    """Every kind of event is told apart, and its fields have types."""
    match event:
        case Placed(socket=socket) | Moved(socket=socket):
            return f"{assert_type(socket, int)} {len(event.keys)}"
        case Lost(why=why):
            return assert_type(why, str)
        case Restored(gap=gap):
            return str(assert_type(gap, float))
        case AnswerMissing(seconds=seconds):
            return str(assert_type(seconds, float))
        case Throttled(rate=rate):
            return str(assert_type(rate, float | None))
        case Capped(cap=cap):
            return str(assert_type(cap, int))
        case ShardFailed(error=error):
            return str(assert_type(error, Exception))
        case _:
            assert_never(event)


def receipts(socket: Socket) -> None:
    observable: Observable[Sent] = socket.send("text")
    assert_type(observable.pipe(ops.map(_sent_on)), Observable[int])


# --- closed unions


def outcome(change: AuthChange) -> str:
    match change:
        case InEffect(epoch):
            assert_type(epoch, int | None)
            return "in effect"
        case Refused(reason) | NotInEffect(reason):
            return reason
        case Overtaken():
            return "overtaken"
        case Stored():
            return "stored"
        case _:
            assert_never(change)


def told(event: Event) -> str:
    match event:
        case Connecting(epoch=epoch, cause=cause, attempt=attempt, url=url):
            assert_type((epoch, cause, attempt, url), tuple[int, Cause, int, str])
            return url
        case Opened(gap=gap, subprotocol=subprotocol):
            assert_type((gap, subprotocol), tuple[float | None, str | None])
            return "opened"
        case Message(data=data):
            return str(data)
        case Closed(code=code, verdict=verdict, uptime=uptime):
            assert_type((code, verdict, uptime), tuple[int | None, Verdict | None, float])
            return "closed"
        case ConnectFailed(error=error, status=status):
            assert_type((error, status), tuple[Exception, int | None])
            return "failed"
        case Rejected(error=error):
            return str(error)
        case Aborted(cause=cause):
            return cause.value
        case Waiting(delay=delay, failures=failures):
            assert_type((delay, failures), tuple[float, int])
            return "waiting"
        case AwaitingAuth(reason=reason):
            return reason
        case Stale(silence=silence) | Fresh(silence=silence):
            assert_type(silence, float)
            return "quiet"
        case Resumed(slept=slept):
            assert_type(slept, float)
            return "resumed"
        case Ended(verdict=verdict, error=error):
            assert_type((verdict, error), tuple[Verdict, Exception | None])
            return "ended"
        case ObserverFailed(observer=observer):
            return observer
        case SourceFailed(error=error):
            return str(error)
        case SendFailed(error=error, epoch=sent_on):
            assert_type((error, sent_on), tuple[Exception, int | None])
            return "not sent"
        case DecodeFailed(error=error, epoch=came_on, excerpt=excerpt):
            assert_type((error, came_on, excerpt), tuple[Exception, int, str])
            return "not decoded"
        case Dropped(count=count):
            assert_type(count, int)
            return "dropped"
        case Missed(epoch=went_on, first=first, last=last):
            assert_type((went_on, first, last), tuple[int, int, int])
            return "missed"
        case Gated(reason=gated):
            assert_type(gated, str)
            return gated
        case Renewed(epoch=renewed):
            assert_type(renewed, int)
            return "renewed"
        case RenewalFailed(retry_in=retry_in, refused=refused):
            assert_type((retry_in, refused), tuple[float | None, bool])
            return "not renewed"
        case SlowConsumer(observer=observer, seconds=seconds):
            assert_type((observer, seconds), tuple[str, float])
            return observer
        case TopicFailed(topic=topic, error=error):
            assert_type((topic, error), tuple[str, Exception])
            return topic
        case ChannelFailed(channel=channel, error=error):
            assert_type((channel, error), tuple[str, Exception])
            return channel
        case ChannelStale(channel=channel, silence=silence, answered=answered):
            assert_type((channel, silence, answered), tuple[str, float, bool])
            return channel
        case _:
            assert_never(event)


def wrong(problem: Problem) -> str:
    match problem:
        case ConnectFailed() | Rejected() | SourceFailed() | SendFailed() | DecodeFailed():
            assert_type(problem.error, Exception)
            return str(problem.error)
        case ObserverFailed():
            assert_type(problem.error, BaseException)
            return str(problem.error)
        case RenewalFailed(error=error):
            return str(error)
        case TopicFailed(topic=topic):
            return topic
        case ChannelFailed(channel=channel):
            return channel
        case Closed(reason=reason) | Dropped(reason=reason):
            return reason
        case Missed(first=first):
            return str(first)
        case SlowConsumer(observer=observer):
            return observer
        case _:
            assert_never(problem)


def doing_what(state: State) -> bool:
    match state:
        case State.IDLE | State.CLOSED:
            return False
        case State.CONNECTING | State.OPEN | State.WAITING | State.AWAITING_AUTH | State.GATED:
            return True
        case _:
            assert_never(state)


# --- policy and carriers


def policy() -> None:
    table = standard()
    assert_type(table, Verdicts)
    assert_type(
        table.override({4404: Verdict.FAIL, range(4500, 4600): Row(Verdict.FAIL)}), Verdicts
    )
    assert_type(table.override({OSError: Verdict.FAIL}), Verdicts)
    assert_type(table(End(code=1012, stable=True)), Verdict)
    assert_type(HandshakeRefused(429, retry_after="3").retry_after, str | None)
    assert_type(Backoff().delay(3), float)


def carriers() -> None:
    combined: Carrier = query("key") & header(scheme=None) & cookie() & subprotocol("v1")
    assert_type(combined("a"), Carried)
    carrying: Carrier = lambda value: Carried(headers=(("X-A", str(value)),))  # noqa: E731
    assert_type(carrying("a"), Carried)
    tokens = refreshing(lambda: "a", 60.0, expires=lambda answer: 1_900_000_000.0)
    assert_type(tokens, Refreshing)
    assert_type(tokens.errors, Stream[Exception])
    masked: Observable[Credential] = tokens
    assert_type(masked.pipe(ops.take(1)), Observable[Credential])
    Socket("ws://host/", auth=tokens)
    either: list[Carrier] = [query() & carrying, carrying & query(), carrier(carrying) & carrying]
    assert_type(either[0]("a"), Carried)
    moving: list[Transport] = [fake(), transport]
    assert_type(moving[0](Request(url="ws://host/")), Observable[Signal])


def kit() -> None:
    with clock() as virtual:
        assert_type(virtual, VirtualClock)
        assert_type(virtual.run(fetched()), str)
