"""The names that examples of the guide leave to their reader, with their types."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactivex import Observable

from rxsocket import Limits, Socket
from rxsocket.fleet import ChannelSpec
from rxsocket.notebook import inspect as inspect
from rxsocket.notebook import rates as rates
from rxsocket.notebook import schema as schema
from rxsocket.sinks import into as into
from rxsocket.testing import fake

url: str = "wss://example.com/feed"
feeds = [url, url]
address = url
token_url = device_url = "https://example.com/token"
token = client_id = client_secret = first_refresh_token = new_refresh_token = path = ""
folder = Path()
channels: list[str] = []
port = 8000
socket: Socket[Any, Any]
stored: Any
store: Any  # in some examples a coroutine function, in others a plain one
prices: list[float] = []
tokens: Observable[str]
limits: Limits
spec: ChannelSpec
feed = fake()
fetch_token: Callable[[], str]
sign: Callable[[Any], str]
show: Callable[[Any], None]
draw: Callable[[Any], None]
snapshot: Callable[[], Observable[str]]
make_context: Callable[[], ssl.SSLContext]
settings: Any
panel: Any
meters: Any
processor: Any
Book = dict[str, float]
Change = dict[str, float]


@dataclass
class Trade:
    price: float


@dataclass
class User:
    name: str


Message = Trade | User


class Phoenix:
    """The protocol of the page about writing one."""

    def __init__(self, url: str, **arguments: Any) -> None: ...

    def __getattr__(self, name: str) -> Any: ...


async def save(value: Any) -> None: ...


async def enrich(value: Any) -> Any:
    return value


async def ticket_for_one_connection() -> str:
    return ""
