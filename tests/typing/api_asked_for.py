"""What is asked of a socket has the type that was asked for: to be checked, not to be run (C49)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, assert_type

from reactivex import Observable
from reactivex import operators as ops

import rxsocket
from rxsocket import (
    Channel,
    Channels,
    Codec,
    Emitter,
    Listener,
    Opened,
    Problem,
    Socket,
    Stream,
    json_codec,
    messagepack_codec,
)
from rxsocket.testing import accept, server


@dataclass
class Trade:
    price: float


@dataclass
class Quote:
    bid: float


@dataclass
class ChatMessage:
    text: str


Message: TypeAlias = Trade | Quote


# --- codecs


def codecs() -> None:
    assert_type(json_codec(type=Trade), Codec[Trade, Trade])
    assert_type(json_codec(type=Trade | Quote), Codec[Trade | Quote, Trade | Quote])
    assert_type(json_codec(type=Message), Codec[Trade | Quote, Trade | Quote])
    assert_type(json_codec(type=list[Trade]), Codec[list[Trade], list[Trade]])
    assert_type(json_codec(type=Trade | None), Codec[Trade | None, Trade | None])
    assert_type(
        json_codec(type=Trade | Quote, sends=dict[str, int] | str),
        Codec[dict[str, int] | str, Trade | Quote],
    )
    assert_type(messagepack_codec(type=Trade | Quote), Codec[Trade | Quote, Trade | Quote])
    assert_type(rxsocket.json(type=Trade | Quote), Codec[Trade | Quote, Trade | Quote])
    assert_type(rxsocket.messagepack(type=Trade), Codec[Trade, Trade])


def union() -> None:
    socket = Socket("ws://host/", codec=json_codec(type=Trade | Quote))
    assert_type(socket, Socket[Trade | Quote])
    assert_type(socket.messages, Stream[Trade | Quote])
    socket.send(Trade(1.0))
    socket.send(1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- requests, channels, topics


async def requests(raw: Socket, typed: Socket[Trade]) -> None:
    assert_type(await raw.request("time?", match=lambda _: True), str | bytes)
    assert_type(await raw.request({}, id="id", type=Trade), Trade)
    assert_type(await raw.request({}, id="id", type=Trade | Quote), Trade | Quote)
    assert_type(await raw.request({}, id="id", type=list[Trade]), list[Trade])
    assert_type(await typed.request({}, id="id"), Trade)
    assert_type(await typed.request({}, id="id", type=Quote, timeout=1), Quote)
    answers: Observable[Quote] = typed.request({}, id="id", type=Quote, answers=None)
    assert_type(answers.pipe(ops.map(_bid)), Observable[float])
    async for quote in typed.request({}, id="id", type=Quote, answers=3):
        assert_type(quote, Quote)
    asked = Socket("ws://host/", codec=json_codec())
    assert_type(await asked.request({}, id="id"), Any)


def _bid(quote: Quote) -> float:
    return quote.bid


def _subscribe(keys: list[str]) -> dict[str, Any]:
    return {"args": keys}


async def channels(raw: Socket, typed: Socket[Trade]) -> None:
    assert_type(raw.channel(subscribe="a", match=bool), Channel[str | bytes])
    trades = typed.channel(subscribe={"op": "subscribe"}, match=lambda _: True)
    assert_type(trades, Channel[Trade])
    trades.subscribe(lambda trade: print(trade.price))
    trades.subscribe(lambda trade: print(trade.nonsense))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    async for trade in trades:
        assert_type(trade, Trade)
    many = typed.channels(["a"], subscribe=_subscribe)
    assert_type(many, Channels[Trade])
    assert_type(many["a"], Channel[Trade])
    bare: Channel = trades
    print(bare)


def topics(socket: Socket) -> None:
    assert_type(socket.listener("a", type=Trade | Quote), Listener[Trade | Quote])
    assert_type(socket.emitter("chat/:room", ChatMessage), Emitter[str])
    socket.emitter("chat/:room", ChatMessage).emit(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(socket.emitter("chat/:room", lambda text: {"text": text}), Emitter[Any])
    assert_type(socket.emitter("chat/:room", str.upper), Emitter[str])


def topics_of_the_guide() -> None:
    with server(accept().echo()) as feed, Socket(feed.url) as socket:
        chat = socket.listener("chat/:room", type=ChatMessage)  # an Observable[ChatMessage]
        chat.with_params(room=1).subscribe(lambda message: print("room 1:", message.text))
        say = socket.emitter("chat/:room", ChatMessage)  # what is emitted is a str
        say.emit("hello", params={"room": 1})
        say.emit("nobody listens", params={"room": 2})
        answer = socket.request({"topic": "time"}, match=lambda message: "time" in message)
        print(answer.run())


# --- callbacks


def _on_opened(event: Opened) -> int:
    return event.epoch


def _on_quote(_: Quote) -> None: ...


def _on_problem(_: Problem) -> None: ...


def callbacks(raw: Socket, typed: Socket[Trade]) -> None:
    prices: list[float] = []
    typed.on_message(lambda trade: prices.append(trade.price))
    typed.on_message(lambda: None)
    typed.on_message(print)
    typed.on_message(lambda trade: trade.nonsense)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType]
    typed.on_message(_on_quote)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    raw.on_message(lambda message: print(len(message)))
    raw.on_open(_on_opened)
    raw.on_open(lambda event: print(event.epoch))
    raw.on_open(lambda: None)
    raw.on_open(lambda event: event.nonsense)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType]
    raw.on_close(lambda event: print(event.code))
    raw.on_close(_on_opened)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    raw.on_error(_on_problem)
    raw.on_error(print)
