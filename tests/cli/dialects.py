"""Three servers that speak as exchanges do: as Binance, Coinbase and Bitfinex."""

from __future__ import annotations

import itertools
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


class Dialect(ABC):
    """A server of numbered messages; each connection has what it keeps to itself."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.keys: dict[str, int] = {}
        self.number = 0

    @abstractmethod
    def answer(self, asked: Any) -> Iterable[Any]:
        """What is said to a message of a client, whose channels are put into ``keys``."""

    @abstractmethod
    def message(self, key: str) -> Any:
        """The next message of a channel."""

    def talk(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                with suppress(TimeoutError):
                    asked = json.loads(connection.recv(0.01))
                    self.asked.append(asked)
                    for said in self.answer(asked):
                        connection.send(json.dumps(said))
                for key in tuple(self.keys):
                    connection.send(json.dumps(self.message(key)))


class Binance(Dialect):
    def answer(self, asked: Any) -> Iterable[Any]:
        if "none@trade" in asked["params"]:
            yield {"error": {"code": 2, "msg": "Invalid request"}, "id": asked["id"]}
            return
        self.keys |= dict.fromkeys(asked["params"], 0)
        yield {"result": None, "id": asked["id"]}

    def message(self, key: str) -> Any:
        self.number += 1
        return {"stream": key, "data": {"e": "trade", "t": self.number, "p": "1.5"}}


class Coinbase(Dialect):
    def answer(self, asked: Any) -> Iterable[Any]:
        (channel,) = asked["channels"]
        self.keys |= dict.fromkeys(channel["product_ids"], 0)
        yield {"type": "subscriptions", "channels": [{**channel, "product_ids": [*self.keys]}]}

    def message(self, key: str) -> Any:
        self.number += 1
        return {"type": "match", "product_id": key, "sequence": self.number, "price": "1.5"}


class Bitfinex(Dialect):
    """It begins to count its channels anew on each connection."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = itertools.count(7)

    def answer(self, asked: Any) -> Iterable[Any]:
        if asked["event"] == "unsubscribe":
            return
        key = f"{asked['channel']} {asked['symbol']}"
        self.keys[key] = id = next(self.ids)
        yield {**asked, "event": "subscribed", "chanId": id}
        yield [id, "hb"]

    def message(self, key: str) -> Any:
        self.number += 1
        return [self.keys[key], "te", [self.number, 1.5]]


@contextmanager
def speaking(dialect: type[Dialect]) -> Generator[tuple[str, list[Dialect]], None, None]:
    """Its address, and its connections so far."""
    connections: list[Dialect] = []

    def talk(connection: ServerConnection) -> None:
        connections.append(dialect())
        connections[-1].talk(connection)

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", connections
        finally:
            server.shutdown()
            thread.join()
