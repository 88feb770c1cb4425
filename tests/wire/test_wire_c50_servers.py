"""C50 beside other software: TLS, proxies, a server of a framework, and the system's keepalive."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from event_server import Asked, event_server, on_loop
from issuing import issue, serving, trusting

from rxsocket import Opened, Socket, client_certificate, header, json_codec
from rxsocket.sse import event_id, event_type
from rxsocket.testing import Watch

from .proxy_servers import serving_proxy
from .wire_helpers import quick

pytest.importorskip("httptools")
pytestmark = pytest.mark.only("websockets")  # the address chooses another one


async def one_event(asked: Asked) -> None:
    await asked.begin()
    await asked.send("data: 1\n\n")
    await asked.gone.wait()


async def first_message(socket: Socket[Any]) -> Any:
    """The first message of a socket, which is closed then."""
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def on_message(message: Any) -> None:
        if not found.done():
            found.set_result(message)

    socket.messages.subscribe(on_message, lambda _: None)
    async with asyncio.timeout(10):
        message = await found
    await socket.close()
    return message


@on_loop
async def test_tls_with_a_certificate_of_the_client() -> None:
    """The settings of TLS are those of a WebSocket."""
    authority = trustme.CA()
    async with event_server(one_event, tls=serving(authority)) as server:
        socket = Socket(
            server.url,
            ssl=lambda: trusting(authority),
            auth=issue(authority, "me@example.com").value,
            carrier=client_certificate(),
        )
        assert server.url.startswith("https://")
        assert await first_message(socket) == "1"


@pytest.mark.parametrize("kind", ["http", "socks5h"])
@on_loop
async def test_through_a_proxy(kind: str) -> None:
    """HTTP CONNECT and SOCKS."""
    if kind.startswith("socks"):
        pytest.importorskip("python_socks")
    async with event_server(one_event) as server, serving_proxy(kind) as proxy:
        assert await first_message(Socket(server.url, proxy=proxy.url)) == "1"
        assert [("127.0.0.1", int(server.url.split(":")[2].split("/")[0]))] == proxy.asked


@pytest.mark.skipif(not hasattr(sockets, "AF_UNIX"), reason="there are no unix sockets here")
@on_loop
async def test_behind_a_unix_socket(tmp_path: Path) -> None:
    """The name of the transport says what is spoken there."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /events?a=1 HTTP/1.1\r\nHost: localhost\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await reader.read()
        writer.close()

    path = tmp_path / "s"
    server = await asyncio.start_unix_server(meet, path)
    assert await first_message(Socket(f"unix:{path}:/events?a=1", transport="sse")) == "1"
    server.close()


@pytest.mark.skipif(os.name != "posix", reason="the options are those of posix")
@on_loop
async def test_the_system_asks_a_silent_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``ping_interval`` and ``ping_timeout``; without the first it does not."""
    set_options: list[tuple[int, int, int]] = []
    real = sockets.socket.setsockopt

    def setsockopt(self: sockets.socket, *option: Any) -> None:
        set_options.append(option)
        real(self, *option)

    monkeypatch.setattr(sockets.socket, "setsockopt", setsockopt)
    idle = getattr(sockets, "TCP_KEEPIDLE", getattr(sockets, "TCP_KEEPALIVE", None))
    wanted = (sockets.IPPROTO_TCP, idle, 7)
    probes = {(sockets.IPPROTO_TCP, sockets.TCP_KEEPINTVL, 4)}
    async with event_server(one_event) as server:
        await first_message(Socket(server.url, ping_interval=7.0, ping_timeout=12.0))
        assert {wanted, *probes} <= set(set_options)
        assert (sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1) in set_options
        set_options.clear()
        await first_message(Socket(server.url, ping_interval=None))
        assert (sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1) not in set_options


@contextmanager
def framework() -> Iterator[tuple[str, list[str | None]]]:
    """A server on ``sse-starlette`` and ``uvicorn``, and the ``Last-Event-ID`` of each request."""
    pytest.importorskip("sse_starlette")
    import uvicorn
    from sse_starlette import EventSourceResponse, ServerSentEvent
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    asked: list[str | None] = []

    async def events(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer good":
            return Response("no", 401)
        asked.append(request.headers.get("last-event-id"))
        begin = int(asked[-1] or 0)

        async def some() -> AsyncIterator[ServerSentEvent]:
            for number in range(begin + 1, begin + 4):
                data = f'{{"number": {number},\n"text": "grüße"}}'
                yield ServerSentEvent(data=data, event="number", id=str(number), retry=10)

        return EventSourceResponse(some())

    app = Starlette(routes=[Route("/events", events)])
    listening = sockets.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/events", asked
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listening.close()


def test_a_server_of_a_framework() -> None:
    """CRLF, data in several lines, types, ids: the stream goes on where it ended."""
    with framework() as (url, asked):
        plain = Socket(url, auth="good", carrier=header(), backoff=quick())
        watch = Watch(plain)
        watch.until(lambda seen: len(seen.messages) >= 7)
        message = watch.messages[3]
        assert event_type(message) == "number" and event_id(message) == "4"
        assert message == '{"number": 4,\n"text": "grüße"}'
        plain.close().result(10)
        assert asked[:3] == [None, "3", "6"]

        decoded: Socket[Any] = Socket(url, auth="good", carrier=header(), codec=json_codec())
        numbers: list[Any] = []
        decoded.listener("number").subscribe(numbers.append)
        Watch(decoded).until(lambda seen: len(seen.messages) >= 3)
        assert [one["number"] for one in numbers[:3]] == [1, 2, 3]
        decoded.close().result(10)


@on_loop
async def test_reading_waits_for_a_slow_consumer() -> None:
    """``async for`` pauses the connection, so that a server cannot fill the memory (C27)."""
    sent = 0

    async def flood(asked: Asked) -> None:
        nonlocal sent
        await asked.begin()
        text = "".join(f"data: {'x' * 1000}\n\n" for _ in range(100))
        while True:
            await asked.send(text)
            sent += 100

    async with event_server(flood) as server:
        socket = Socket(server.url)
        read = 0
        async with asyncio.timeout(20):
            async for _ in socket.messages:
                read += 1
                if read == 1:
                    before = -1
                    while before != sent:  # until the server cannot write any more
                        before = sent
                        await asyncio.sleep(0.2)
                if read == 20_000:
                    break
        assert before < 20_000
        await socket.close()


def test_it_opens_within_open_timeout() -> None:
    """A server that never answers is a failed attempt."""
    listening = sockets.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    socket = Socket(url, open_timeout=0.2, max_attempts=1)
    began = time.monotonic()
    watch = Watch(socket)
    watch.ended()
    assert "open_timeout" in str(watch.error) and time.monotonic() - began < 5
    assert watch.of(Opened) == []
    listening.close()


HALF_OPEN = """
import asyncio, subprocess, sys
from event_server import event_server
from rxsocket import Closed, Socket

BLACKHOLE = (
    "ip rule add prio 20 lookup local && ip rule del prio 0 && ip rule add prio 5 blackhole"
)

async def serve(asked):
    await asked.begin()
    await asked.send("data: 1\\n\\n")
    await asked.gone.wait()

async def main():
    async with event_server(serve) as server:
        closed = asyncio.get_running_loop().create_future()
        socket = Socket(server.url, ping_interval=1.0, ping_timeout=3.0)
        socket.messages.subscribe(lambda _: subprocess.run(BLACKHOLE, shell=True, check=True))
        socket.closes.subscribe(lambda end: closed.done() or closed.set_result(end))
        end = await asyncio.wait_for(closed, 30)
        print(end.cause.name, end.reason)
        await socket.close()

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_half_open_link_is_found() -> None:
    """The network swallows every packet, in a network of the test's own; the system notices."""
    alone = ["unshare", "--net", "sh", "-c"]
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("there are no networks of a test's own here")
    if subprocess.run([*alone, "ip link set lo up"], capture_output=True, check=False).returncode:
        pytest.skip("no network of a test's own is allowed here")
    code = f"ip link set lo up && exec '{sys.executable}' -c \"$CODE\""
    tests = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "CODE": HALF_OPEN, "PYTHONPATH": f"{tests}:{':'.join(sys.path)}"}
    done = subprocess.run(
        [*alone, code], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stdout.startswith("LOST"), done.stderr
