"""The types of ``inspect`` of ``rxsocket.notebook``, as mypy and pyright see them."""

from __future__ import annotations

from typing import assert_type

from rxsocket import Socket
from rxsocket.notebook import Dashboard, InspectedRow, Inspector, dashboard, inspect
from rxsocket.sending.outbox import Sent
from rxsocket.streams.receipts import Receipt


def looked_into(socket: Socket) -> None:
    panel = inspect(socket, by=lambda message: message["symbol"], keep=100)
    assert_type(panel, Inspector)
    assert_type(panel.rows("error", kind="sent", last=5), list[InspectedRow])
    assert_type(panel.message(1), str)
    assert_type(panel.send("{}"), Receipt[Sent])
    assert_type(dashboard(socket, by="symbol", time="ts"), Dashboard)
    inspect(socket.messages)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    inspect(socket, by=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
