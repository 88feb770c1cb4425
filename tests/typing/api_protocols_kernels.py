"""The types of Socket.IO and of Jupyter kernels: to be checked, not to be run (C48)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_type

import rxsocket
from rxsocket.protocols import (
    Evaluated,
    Kernel,
    KernelMessage,
    Namespace,
    SocketIO,
    jupyter,
    jupyter_options,
    kernel_message,
    socket_io,
    socket_io_options,
)
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.stream import CheckedObservable


@dataclass
class Trade:
    price: float


async def events() -> None:
    io = socket_io("https://host", auth={"token": "t"}, namespace="/chat", ping_interval=None)
    assert_type(io, SocketIO)
    assert_type(io.on("news"), CheckedObservable[tuple[Any, ...]])
    assert_type(io.on("trade", type=Trade), CheckedObservable[Trade])
    io.on("trade", type=Trade).subscribe(lambda trade: print(trade.price))
    assert_type(io.emit("say", {"text": "hello"}, b"image"), Receipt[rxsocket.Sent])
    assert_type(await io.emit_with_ack("sum", 1, 2, type=int), int)
    assert_type(await io.emit_with_ack("sum", 1, 2, timeout=None), tuple[Any, ...])
    assert_type(io.namespace("/admin"), Namespace)
    io.answer("version", lambda: "1.4").dispose()
    made = rxsocket.Socket("ws://host", **socket_io_options(auth="t"))
    assert_type(socket_io(made), SocketIO)


def typed(name: str, is_password: bool) -> str:
    return f"{name}{is_password}"


async def asked(name: str, is_password: bool) -> str:
    return f"{name}{is_password}"


async def kernels() -> None:
    kernel = jupyter("ws://host/api/kernels/1/channels", auth="t", session="s")
    assert_type(kernel, Kernel)
    assert_type(kernel.iopub, CheckedObservable[KernelMessage])
    assert_type(kernel.execute("1", on_input=typed), CheckedObservable[KernelMessage])
    assert_type(await kernel.evaluate("1", on_input=asked, timeout=1.0), Evaluated)
    assert_type((await kernel.evaluate("1")).text, str)
    assert_type(await kernel.kernel_info(), Mapping[str, Any])
    assert_type(await kernel.complete("a", 1), Mapping[str, Any])
    assert_type(await kernel.interrupt(timeout=None), Mapping[str, Any])
    assert_type(await kernel.request("a_request", channel="control"), Mapping[str, Any])
    kernel.socket.send(kernel_message("comm_msg", {}, session=kernel.session, buffers=[b"1"]))
    made = rxsocket.Socket("ws://host/channels", **jupyter_options(auth="t"))
    assert_type(jupyter(made), Kernel)
