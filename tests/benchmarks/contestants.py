"""Those who are measured: each does the same things as its users would write them."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec
import reactivex
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.subject import BehaviorSubject, Subject
from websockets.asyncio.client import connect

from rxsocket import Socket, handover

__all__ = ["CHANGING", "CONTESTANTS", "ChangeTimer", "Contestant", "Meter", "Quote"]

Decode = Callable[[Any], Any]
BURST = 100
"""Messages that are sent before anything is waited for."""


class Meter:
    """Takes the time of messages, from the first one after some to warm up, to the last one.

    Args:
        count: Messages to measure.
        warm: Messages that come before.
    """

    def __init__(self, count: int, warm: int) -> None:
        self.count = count
        self.first, self.last = warm, warm + count
        self.cpu = self.wall = 0.0
        self.done = asyncio.Event()

    def start(self) -> None:
        """The first message to measure comes next."""
        self.cpu, self.wall = -time.process_time(), -time.perf_counter()

    def stop(self) -> None:
        """The last message came."""
        self.cpu += time.process_time()
        self.wall += time.perf_counter()
        self.done.set()

    def observer(self, decode: Decode | None) -> Callable[[Any], None]:
        """A function to call with each message."""
        seen, first, last = 0, self.first, self.last

        def counted(_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == first:
                self.start()
            elif seen == last:
                self.stop()

        if decode is None:
            return counted

        def decoded(message: Any) -> None:
            nonlocal seen
            decode(message)
            seen += 1
            if seen == first:
                self.start()
            elif seen == last:
                self.stop()

        return decoded


class Quote(msgspec.Struct):
    """What typed messages hold."""

    symbol: str
    price: float
    volume: int
    note: str


class TopicMessage(msgspec.Struct):
    """What a message of a topic holds."""

    topic: str
    data: Quote


def dispatching(topics: list[str], function: Callable[[Any], None]) -> Callable[[str], None]:
    """A function of messages that looks the topic's function up, as one would by hand."""
    decode = msgspec.json.Decoder(TopicMessage).decode
    functions = dict.fromkeys(topics, function)

    def dispatch(text: str) -> None:
        message = decode(text)
        functions[message.topic](message.data)

    return dispatch


class ChangeTimer:
    """Takes the time of changes of the credential, and counts the messages that were missed."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.missed: list[int] = []
        self._last: int | None = None
        self._heard = asyncio.Event()

    def on_message(self, text: str) -> None:
        """Each message is a number, one more than the one before."""
        number = int(text)
        if self._last is not None and number > self._last + 1:
            self.missed[-1] += number - self._last - 1
        self._last = max(number, self._last or 0)
        self._heard.set()

    async def measure(self, count: int, change: Callable[[int], Awaitable[object]]) -> None:
        """Change so many times; a change is over when its connection is open."""
        for number in range(count):
            await self._message()
            # The next dial of a burst would be held back for 50 ms: this is about single changes.
            await asyncio.sleep(0.06)
            self.missed.append(0)
            start = time.perf_counter()
            await change(number)
            self.taken.append(time.perf_counter() - start)
        await self._message()

    async def _message(self) -> None:
        self._heard.clear()
        await self._heard.wait()


class Contestant:
    """One way to use a WebSocket from Python."""

    name: ClassVar[str]
    needs: ClassVar[str] = "websockets"

    def available(self) -> bool:
        """Whether what it needs is installed."""
        return importlib.util.find_spec(self.needs) is not None

    async def receive(self, url: str, meter: Meter, decode: Decode | None) -> None:
        """Receive messages until the meter is done."""
        raise NotImplementedError

    async def share(self, url: str, meter: Meter, others: int) -> None:
        """The same with other observers beside the one of the meter; for those who share."""
        raise NotImplementedError

    @property
    def shares(self) -> bool:
        """Whether many observers can look at one connection."""
        return type(self).share is not Contestant.share

    async def topics(self, url: str, meter: Meter, topics: list[str]) -> None:
        """Receive the payloads of topics, decoded, each in a function of its topic."""
        raise NotImplementedError

    async def change(self, url: str, count: int) -> ChangeTimer:
        """Change the credential of an open connection again and again, while messages come."""
        raise NotImplementedError

    async def echo(self, url: str, rounds: int) -> list[float]:
        """Seconds from sending a message until it came back, one after the other."""
        raise NotImplementedError

    async def send(self, url: str, message: str, meter: Meter) -> None:
        """Send messages; the meter stops when the server has them all."""
        raise NotImplementedError

    async def idle(self, url: str, number: int) -> Callable[[], None]:
        """Open connections and keep them, with keepalive; return what lets them go."""
        raise NotImplementedError


class Bare(Contestant):
    """``async for`` over a connection of ``websockets``."""

    name = "websockets"

    async def receive(self, url: str, meter: Meter, decode: Decode | None) -> None:
        seen, first, last = 0, meter.first, meter.last
        async with connect(url, proxy=None) as websocket:
            async for message in websocket:
                if decode is not None:
                    decode(message)
                seen += 1
                if seen == first:
                    meter.start()
                elif seen == last:
                    meter.stop()
                    break

    async def topics(self, url: str, meter: Meter, topics: list[str]) -> None:
        dispatch = dispatching(topics, meter.observer(None))
        async with connect(url, proxy=None) as websocket:
            async for message in websocket:
                dispatch(message)
                if meter.done.is_set():
                    break

    async def change(self, url: str, count: int) -> ChangeTimer:
        changes = ChangeTimer()

        async def read(websocket: Any) -> None:
            async for message in websocket:
                changes.on_message(message)

        websocket = await connect(f"{url}token=0", proxy=None)
        reading = asyncio.ensure_future(read(websocket))

        async def change(number: int) -> None:
            nonlocal websocket, reading
            await websocket.close()
            websocket = await connect(f"{url}token={number}", proxy=None)
            reading = asyncio.ensure_future(read(websocket))

        await changes.measure(count, change)
        await websocket.close()
        return changes

    async def echo(self, url: str, rounds: int) -> list[float]:
        taken = []
        async with connect(url, proxy=None) as websocket:
            for _ in range(rounds):
                start = time.perf_counter()
                await websocket.send("x" * 64)
                await websocket.recv()
                taken.append(time.perf_counter() - start)
        return taken

    async def send(self, url: str, message: str, meter: Meter) -> None:
        async with connect(url, proxy=None) as websocket:
            meter.start()
            for _ in range(meter.count):
                await websocket.send(message)
            await websocket.recv()
            meter.stop()

    async def idle(self, url: str, number: int) -> Callable[[], None]:
        opened = [await connect(url, proxy=None) for _ in range(number)]

        def drop() -> None:
            for websocket in opened:
                websocket.transport.abort()

        return drop


class Aiohttp(Contestant):
    """``async for`` over a connection of ``aiohttp``."""

    name = "aiohttp"
    needs = "aiohttp"

    async def receive(self, url: str, meter: Meter, decode: Decode | None) -> None:
        import aiohttp

        seen, first, last = 0, meter.first, meter.last
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
            async for message in websocket:
                if decode is not None:
                    decode(message.data)
                seen += 1
                if seen == first:
                    meter.start()
                elif seen == last:
                    meter.stop()
                    break

    async def topics(self, url: str, meter: Meter, topics: list[str]) -> None:
        import aiohttp

        dispatch = dispatching(topics, meter.observer(None))
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
            async for message in websocket:
                dispatch(message.data)
                if meter.done.is_set():
                    break

    async def change(self, url: str, count: int) -> ChangeTimer:
        import aiohttp

        changes = ChangeTimer()

        async def read(websocket: Any) -> None:
            async for message in websocket:
                changes.on_message(message.data)

        async with aiohttp.ClientSession() as session:
            websocket = await session.ws_connect(f"{url}token=0")
            reading = asyncio.ensure_future(read(websocket))

            async def change(number: int) -> None:
                nonlocal websocket, reading
                await websocket.close()
                websocket = await session.ws_connect(f"{url}token={number}")
                reading = asyncio.ensure_future(read(websocket))

            await changes.measure(count, change)
            await websocket.close()
        return changes

    async def echo(self, url: str, rounds: int) -> list[float]:
        import aiohttp

        taken = []
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
            for _ in range(rounds):
                start = time.perf_counter()
                await websocket.send_str("x" * 64)
                await websocket.receive_str()
                taken.append(time.perf_counter() - start)
        return taken

    async def send(self, url: str, message: str, meter: Meter) -> None:
        import aiohttp

        async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
            meter.start()
            for _ in range(meter.count):
                await websocket.send_str(message)
            await websocket.receive_str()
            meter.stop()

    async def idle(self, url: str, number: int) -> Callable[[], None]:
        import aiohttp

        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        opened = [await session.ws_connect(url, heartbeat=20) for _ in range(number)]

        def drop() -> None:
            opened.clear()

        return drop


class Picows(Contestant):
    """A listener of ``picows``, whose callback makes a ``str`` of each frame."""

    name = "picows"
    needs = "picows"

    async def _open(self, url: str, on_text: Callable[[str], None], **options: Any) -> Any:
        import picows

        text = picows.WSMsgType.TEXT

        class PicowsListener(picows.WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                if frame.msg_type == text:
                    on_text(frame.get_payload_as_utf8_text())

        transport, _ = await picows.ws_connect(PicowsListener, url, **options)
        return transport

    async def receive(self, url: str, meter: Meter, decode: Decode | None) -> None:
        transport = await self._open(url, meter.observer(decode))
        await meter.done.wait()
        transport.disconnect()
        await transport.wait_disconnected()

    async def topics(self, url: str, meter: Meter, topics: list[str]) -> None:
        transport = await self._open(url, dispatching(topics, meter.observer(None)))
        await meter.done.wait()
        transport.disconnect()
        await transport.wait_disconnected()

    async def change(self, url: str, count: int) -> ChangeTimer:
        import picows

        changes = ChangeTimer()
        transport = await self._open(f"{url}token=0", changes.on_message)

        async def change(number: int) -> None:
            nonlocal transport
            transport.send_close(picows.WSCloseCode.OK)
            await transport.wait_disconnected()
            transport = await self._open(f"{url}token={number}", changes.on_message)

        await changes.measure(count, change)
        transport.disconnect()
        await transport.wait_disconnected()
        return changes

    async def echo(self, url: str, rounds: int) -> list[float]:
        import picows

        taken, came = [], asyncio.Event()
        transport = await self._open(url, lambda _: came.set())
        for _ in range(rounds):
            came.clear()
            start = time.perf_counter()
            transport.send(picows.WSMsgType.TEXT, b"x" * 64)
            await came.wait()
            taken.append(time.perf_counter() - start)
        transport.disconnect()
        await transport.wait_disconnected()
        return taken

    async def send(self, url: str, message: str, meter: Meter) -> None:
        import picows

        transport = await self._open(url, lambda _: meter.stop())
        meter.start()
        for sent in range(meter.count):
            transport.send(picows.WSMsgType.TEXT, message.encode())
            if sent % BURST == 0:
                await asyncio.sleep(0)
        await meter.done.wait()
        transport.disconnect()
        await transport.wait_disconnected()

    async def idle(self, url: str, number: int) -> Callable[[], None]:
        options = {"enable_auto_ping": True, "auto_ping_idle_timeout": 20}
        opened = [await self._open(url, print, **options) for _ in range(number)]

        def drop() -> None:
            for transport in opened:
                transport.disconnect(graceful=False)

        return drop


class Pipeline(Contestant):
    """What one writes with RxPY alone: a subject of credentials, switched into connections."""

    name = "RxPY pipeline"

    def _messages(
        self,
        url: str,
        outgoing: Observable[str] | None = None,
        opened: Callable[[], object] = lambda: None,
        auth: Observable[str] | None = None,
    ) -> Observable[Any]:
        def connection(token: str) -> Observable[Any]:
            def subscribe(
                observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                async def run() -> None:
                    async with connect(f"{url}&token={token}", proxy=None) as websocket:
                        writing = asyncio.ensure_future(self._write(websocket, outgoing))
                        asyncio.get_running_loop().call_soon(opened)  # it has begun to write
                        async for message in websocket:
                            observer.on_next(message)
                        writing.cancel()

                task = asyncio.ensure_future(run())
                return Disposable(lambda: task.cancel() and None)

            return reactivex.create(subscribe)

        auth = auth or BehaviorSubject("token")
        return auth.pipe(ops.map(connection), ops.switch_latest(), ops.share())

    async def _write(self, websocket: Any, outgoing: Observable[str] | None) -> None:
        if outgoing is not None:
            queue: asyncio.Queue[str] = asyncio.Queue()
            with outgoing.subscribe(queue.put_nowait):
                while True:
                    await websocket.send(await queue.get())

    async def receive(self, url: str, meter: Meter, decode: Decode | None) -> None:
        subject: Subject[Any] = Subject()
        subject.pipe(
            ops.filter(lambda message: bool(message)),
            ops.map(decode or (lambda message: message)),
        ).subscribe(meter.observer(None))
        with self._messages(url).subscribe(subject):
            await meter.done.wait()
        await asyncio.sleep(0.05)

    async def topics(self, url: str, meter: Meter, topics: list[str]) -> None:
        decode, observer = msgspec.json.Decoder(TopicMessage).decode, meter.observer(None)
        messages = self._messages(url).pipe(ops.map(decode), ops.share())

        def listen(topic: str) -> abc.DisposableBase:
            mine = messages.pipe(ops.filter(lambda one: one.topic == topic))
            return mine.pipe(ops.map(lambda one: one.data)).subscribe(observer)

        with CompositeDisposable([listen(topic) for topic in topics]):
            await meter.done.wait()
        await asyncio.sleep(0.05)

    async def change(self, url: str, count: int) -> ChangeTimer:
        changes, opened, auth = ChangeTimer(), asyncio.Event(), BehaviorSubject("0")

        async def change(number: int) -> None:
            opened.clear()
            auth.on_next(str(number))
            await opened.wait()

        messages = self._messages(url, None, opened.set, auth)
        with messages.subscribe(changes.on_message):
            await changes.measure(count, change)
        await asyncio.sleep(0.05)
        return changes

    async def share(self, url: str, meter: Meter, others: int) -> None:
        messages = self._messages(url)
        observers = [*[_nothing] * others, meter.observer(None)]
        with CompositeDisposable([messages.subscribe(one) for one in observers]):
            await meter.done.wait()
        await asyncio.sleep(0.05)

    async def echo(self, url: str, rounds: int) -> list[float]:
        taken, came = [], asyncio.Event()
        outgoing: Subject[str] = Subject()
        opened = asyncio.Event()
        with self._messages(url, outgoing, opened.set).subscribe(lambda _: came.set()):
            await opened.wait()
            for _ in range(rounds):
                came.clear()
                start = time.perf_counter()
                outgoing.on_next("x" * 64)
                await came.wait()
                taken.append(time.perf_counter() - start)
        await asyncio.sleep(0.05)
        return taken

    async def send(self, url: str, message: str, meter: Meter) -> None:
        outgoing: Subject[str] = Subject()
        opened = asyncio.Event()
        with self._messages(url, outgoing, opened.set).subscribe(lambda _: meter.stop()):
            await opened.wait()
            meter.start()
            for sent in range(meter.count):
                outgoing.on_next(message)
                if sent % BURST == 0:
                    await asyncio.sleep(0)
            await meter.done.wait()
        await asyncio.sleep(0.05)

    async def idle(self, url: str, number: int) -> Callable[[], None]:
        subscriptions = []
        for _ in range(number):
            opened = asyncio.Event()
            subscriptions.append(self._messages(url, None, opened.set).subscribe())
            await opened.wait()

        def drop() -> None:
            for subscription in subscriptions:
                subscription.dispose()

        return drop


class Ours(Contestant):
    """A ``Socket``; its options tell apart the ways it can be used."""

    name = "rxsocket"

    def __init__(self, name: str = "rxsocket", needs: str = "websockets", **options: Any) -> None:
        self.name = name  # type: ignore[misc]
        self.needs = needs  # type: ignore[misc]
        self._options = options

    def _socket(self, url: str, **options: Any) -> Socket[Any, Any]:
        return Socket(url, auth={"token": "initial"}, **self._options, **options)

    async def receive(self, url: str, meter: Meter, decode: Decode | None) -> None:
        socket = self._socket(url, codec=None if decode is None else _Decoding(decode))
        socket.messages.subscribe(meter.observer(None))
        await meter.done.wait()
        await socket.close()

    async def topics(self, url: str, meter: Meter, topics: list[str]) -> None:
        socket, observer = self._socket(url), meter.observer(None)
        for topic in topics:
            socket.listener(topic, type=Quote).subscribe(observer)
        await meter.done.wait()
        await socket.close()

    async def change(self, url: str, count: int) -> ChangeTimer:
        changes, opened = ChangeTimer(), asyncio.Event()
        socket = self._socket(url)
        socket.messages.subscribe(changes.on_message)
        socket.on_open(opened.set)

        async def change(number: int) -> None:
            opened.clear()
            socket.set_auth({"token": str(number)})
            await opened.wait()

        await changes.measure(count, change)
        await socket.close()
        return changes

    async def share(self, url: str, meter: Meter, others: int) -> None:
        socket = self._socket(url)
        for _ in range(others):
            socket.messages.subscribe(_nothing)
        socket.messages.subscribe(meter.observer(None))
        await meter.done.wait()
        await socket.close()

    async def echo(self, url: str, rounds: int) -> list[float]:
        taken, came = [], asyncio.Event()
        socket = self._socket(url)
        await self._opened(socket)
        socket.messages.subscribe(lambda _: came.set())
        for _ in range(rounds):
            came.clear()
            start = time.perf_counter()
            socket.send("x" * 64)
            await came.wait()
            taken.append(time.perf_counter() - start)
        await socket.close()
        return taken

    async def send(self, url: str, message: str, meter: Meter) -> None:
        socket = self._socket(url)
        socket.messages.subscribe(lambda _: meter.stop())
        await self._opened(socket)
        meter.start()
        for sent in range(1, meter.count + 1):
            receipt = socket.send(message)
            if sent % BURST == 0:
                await receipt
        await meter.done.wait()
        await socket.close()

    async def idle(self, url: str, number: int) -> Callable[[], None]:
        sockets = [self._socket(url) for _ in range(number)]
        for socket in sockets:
            await self._opened(socket)

        def drop() -> None:
            for socket in sockets:
                socket.close()

        return drop

    async def _opened(self, socket: Socket) -> None:
        opened = asyncio.Event()
        socket.on_open(opened.set)
        await opened.wait()


class _Decoding:
    """A codec for what is received."""

    def __init__(self, decode: Decode) -> None:
        self.decode = decode

    def encode(self, value: str) -> str:
        return value


def _nothing(_: object) -> None:
    """What an observer that is there only to be called does."""


CONTESTANTS: tuple[Contestant, ...] = (
    Bare(),
    Aiohttp(),
    Picows(),
    Pipeline(),
    Ours(),
    Ours("rxsocket, picows", needs="picows", transport="picows"),
)
CHANGING: tuple[Contestant, ...] = (
    *CONTESTANTS,
    Ours("rxsocket, handover", on_auth_change=handover(), identity=lambda _: "the same"),
)
"""The same, and one for changes of the credential only."""
"""All of them; the first one is what the others are compared with."""
