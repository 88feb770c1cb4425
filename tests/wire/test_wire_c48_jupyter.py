"""C48 on real connections: a kernel of Jupyter, against a scripted server."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from rxsocket import ConnectionLost, Opened, SocketError
from rxsocket.protocols import KernelError, jupyter
from rxsocket.testing import accept, reject, server

from .wire_helpers import Inbox, Watch, quick


def told(parent: dict[str, Any], type: str, channel: str = "iopub", **content: Any) -> str:
    """A message of the kernel."""
    header = {"msg_type": type, "msg_id": "k"}
    return json.dumps(
        {"channel": channel, "header": header, "parent_header": parent, "content": content}
    )


def done(parent: dict[str, Any], status: str = "ok", **content: Any) -> list[str]:
    """The reply, and that the kernel is idle."""
    kind = parent["msg_type"].replace("request", "reply")
    idle = told(parent, "status", execution_state="idle")
    return [told(parent, kind, "shell", status=status, **content), idle]


def headers(peer: Any, count: int) -> list[dict[str, Any]]:
    """The headers of what the server received, as soon as it is so many."""
    peer.wait_for(lambda peer: len(peer.received) >= count)
    return [json.loads(message)["header"] for _, message in peer.received]


@pytest.mark.parametrize("kept", [True, False], ids=["replayed", "lost"])
def test_a_request_outlives_a_drop(kept: bool) -> None:
    """C48: it goes on where the server replays, else fails with ``ConnectionLost``."""
    with server(accept(), accept()) as peer:
        kernel = jupyter(f"{peer.url}/api/kernels/k/channels", auth="t", backoff=quick())
        watch, inbox = Watch(kernel.socket), Inbox()
        kernel.execute("work()").subscribe(inbox, inbox)
        watch.wait(Opened, 1)
        (request,) = headers(peer, 1)
        peer.push(told(request, "stream", name="stdout", text="1"))
        inbox.wait(1)
        peer.drop()
        watch.wait(Opened, 2)
        _, question = headers(peer, 2)
        assert question["msg_type"] == "kernel_info_request"
        if kept:
            peer.push(told(request, "stream", name="stdout", text="2"), *done(request))
            assert [message.type for message in inbox.wait(4)[1:]] == [
                *("stream", "execute_reply", "status")
            ]
        else:
            peer.push(*done(question))
            assert isinstance(inbox.wait(2)[1], ConnectionLost)
        assert len({handshake.query["session_id"] for handshake in peer.handshakes}) == 1
        kernel.socket.close().result(5)


def test_code_is_awaited_and_asks_for_input() -> None:
    async def use(kernel: Any) -> None:
        async with kernel.socket:
            answered = threading.Event()

            def on_input(prompt: str, is_password: bool) -> str:
                answered.set()
                return f"{prompt}{is_password}"

            asked = await kernel.evaluate("input()", on_input=on_input)
            assert asked.text == "42" and answered.is_set()
            with pytest.raises(KernelError, match=r"^E: no$"):
                await kernel.evaluate("1/0")

    with server() as peer:
        kernel = jupyter(f"{peer.url}/channels", auth="t", backoff=quick())
        using = threading.Thread(target=lambda: asyncio.run(use(kernel)))
        using.start()
        (first,) = headers(peer, 1)
        peer.push(told(first, "input_request", "stdin", prompt="? ", password=True))
        headers(peer, 2)
        assert json.loads(peer.received[1].message)["content"] == {"value": "? True"}
        peer.push(told(first, "execute_result", data={"text/plain": "42"}), *done(first))
        peer.push(*done(headers(peer, 3)[2], "error", ename="E", evalue="no"))
        using.join(10)
        assert not using.is_alive()


def test_a_kernel_that_there_is_not() -> None:
    """HTTP 404 is final: an id of a kernel is never used again."""
    with server(reject(404)) as peer:
        kernel = jupyter(f"{peer.url}/api/kernels/k/channels", auth="t", backoff=quick())
        with pytest.raises(SocketError, match="HTTP 404"):
            kernel.evaluate("1").run()
