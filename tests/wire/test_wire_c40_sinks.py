"""C40 with real brokers: a feed is stored once, in order, and what cannot be is said."""

from __future__ import annotations

import asyncio
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import reactivex
from brokers import Broker, Nats, Valkey, needs_brokers, running
from deadlines import within
from reactivex import operators as ops
from reactivex.subject import Subject
from scripted_sink import ScriptedSink
from stored import stored_in

from rxsocket import Backoff, Socket, json
from rxsocket.sinks import (
    Duplicate,
    Failed,
    Sink,
    SinkUnavailable,
    Stored,
    into,
    jetstream,
    redis_streams,
)
from rxsocket.testing import accept, server

from .secret_surfaces import Canary, Surfaces
from .wire_helpers import CLOSE, Peer, frame, raw

pytestmark = [pytest.mark.only("websockets"), needs_brokers]
STREAM = "trades"
QUICK = Backoff(first=0.05, base=0.05, cap=0.1)


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(Nats(tmp_path_factory.mktemp("nats"))) as broker:
        yield broker


@pytest.fixture(scope="module")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(Valkey(tmp_path_factory.mktemp("valkey"))) as broker:
        yield broker


@pytest.fixture(params=["nats", "valkey"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """One of them, which has what earlier tests stored."""
    found: Broker = request.getfixturevalue(f"{request.param}_server")
    return found


def sink_of(broker: Broker, stream: str = STREAM, **options: Any) -> Sink:
    if isinstance(broker, Nats):
        return jetstream(broker.url, stream, create=True, **options)
    return redis_streams(broker.url, stream, **options)


def numbered(count: int) -> Iterator[str]:
    return (f'{{"symbol":"S{number % 3}","seq":{number}}}' for number in range(count))


async def stored(stream: Any, *operators: Callable[[Any], Any]) -> list[Any]:
    receipts: list[Any] = await stream.pipe(*operators, ops.to_list())
    return receipts


def test_a_feed_is_stored_once(broker: Broker) -> None:
    """In order, with keys and data; the second time all of it is known already."""

    async def main() -> None:
        rounds = []
        for _ in range(2):
            feed = accept().stream(lambda: numbered(1000)).close(1000)
            with server(feed) as serving:
                socket: Socket[Any] = Socket(serving.url, codec=json())
                storing = into(
                    sink_of(broker, "feed"),
                    key=lambda trade: trade["symbol"],
                    id=lambda trade: f"{trade['symbol']}:{trade['seq']}",
                )
                rounds.append(await stored(socket.messages, storing))
        assert [{type(one) for one in receipts} for receipts in rounds] == [{Stored}, {Duplicate}]
        assert [one.entry for one in rounds[0]] == [one.entry for one in rounds[1]]
        assert await stored_in(broker, "feed") == [
            (f"S{number % 3}:{number}", f"S{number % 3}", data.encode())
            for number, data in enumerate(numbered(1000))
        ]

    asyncio.run(main())


def test_a_plain_script(broker: Broker) -> None:
    """Where no loop runs it is on the thread that sockets share (C24)."""
    with server(accept().send("a", "b").close(1000)) as serving:
        storing = into(sink_of(broker, "script"), key=lambda _: "x")
        receipts = Socket(serving.url).messages.pipe(storing, ops.to_list()).run()
    assert [type(one) for one in receipts] == [Stored, Stored]
    assert asyncio.run(stored_in(broker, "script")) == [("", "x", b"a"), ("", "x", b"b")]


def test_disposing_closes_the_connection(broker: Broker) -> None:
    async def main() -> None:
        sink, told = sink_of(broker, "left"), asyncio.Queue[Any]()
        source: Subject[str] = Subject()
        for _ in range(2):  # the second one waits until the first one has closed it
            subscription = source.pipe(into(sink, key=str)).subscribe(told.put_nowait)
            source.on_next("a")
            assert isinstance(await told.get(), Stored)
            subscription.dispose()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(main())  # and ``nothing_left`` looks for sockets


def test_any_thread(broker: Broker) -> None:
    """Messages of many threads, and a dispose of another one (C25)."""
    source: Subject[str] = Subject()
    told: list[Any] = []
    done = threading.Event()

    def on_receipt(receipt: Any) -> None:
        told.append(receipt)
        if len(told) == 800:
            done.set()

    storing = into(sink_of(broker, "threads"), id=str, key=lambda _: "k")
    subscription = source.pipe(storing).subscribe(on_receipt)
    threads = [
        threading.Thread(
            target=lambda name=name: [source.on_next(f"{name}{n}") for n in range(200)]
        )
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.wait(20)
    subscription.dispose()  # and ``nothing_left`` looks for threads
    assert {type(one) for one in told} == {Stored}
    assert len(asyncio.run(stored_in(broker, "threads"))) == 800


def test_a_socket_on_another_loop_is_paused() -> None:
    """Again and again, from the loop of the sink; nothing is lost, and the order is kept (C27)."""
    sink = ScriptedSink()

    async def main() -> None:
        with server(accept().stream(lambda: map(str, range(1000))).close(1000)) as serving:
            socket = await asyncio.to_thread(Socket, serving.url)  # it is on the shared thread
            stream = socket.messages.pipe(ops.map(str))
            done = asyncio.Event()
            loop = asyncio.get_running_loop()
            told: list[Any] = []

            def subscribe() -> None:
                into_here = into(sink, id=str, in_flight=4, batch=2, high_water=8, loop=loop)
                stream.pipe(into_here).subscribe(told.append, print, done.set)

            await asyncio.to_thread(subscribe)
            await asyncio.wait_for(done.wait(), 50)
            assert [one.id for one in told] == [str(number) for number in range(1000)]

    asyncio.run(main())
    assert (sink.most <= 4, sink.closed) == (True, 1)


@pytest.mark.slow  # the socket has let go of its loop a second after its end
def test_a_socket_that_ends_while_it_is_paused(caplog: pytest.LogCaptureFixture) -> None:
    """What was read together with the end is stored after it; there is nothing to resume then."""

    def play(peer: Peer) -> None:
        texts = b"".join(frame(letter) for letter in (b"a", b"b", b"c"))
        peer.send(peer.answer + texts + frame(struct.pack("!H", 1000), CLOSE))
        peer.drain()

    async def main() -> list[Any]:
        sink = ScriptedSink(seconds=1.5)
        storing = into(sink, id=str, in_flight=1, high_water=2)
        with raw(play) as serving:
            return await stored(Socket(serving.url).messages, storing)

    assert [type(one) for one in asyncio.run(main())] == [Stored] * 3
    assert [entry for entry in caplog.records if entry.levelname == "ERROR"] == []


def test_ids_and_keys_of_any_letters(broker: Broker) -> None:
    """What is no subject, and no header, is encoded, and told apart."""
    ids = ["a b", " a b", "a b ", "a\r\nb", "ä", "%20", "a\tb"]
    keys = ["a b", "a*", ">", "a..b", ".", "ä", "%", "x\ny"]

    async def main() -> None:
        source = reactivex.from_iterable([(id, key) for id in ids for key in keys])
        storing = into(
            sink_of(broker, "letters"),
            id=lambda pair: f"{pair[0]}/{pair[1]}",
            key=lambda pair: pair[1],
            encode=lambda pair: b"x",
        )
        receipts = await stored(source, storing)
        assert {type(one) for one in receipts} == {Stored}, receipts
        assert len(await stored_in(broker, "letters")) == len(ids) * len(keys)

    asyncio.run(main())


def refused(sink: Sink) -> str:
    """What is said of a sink that cannot be opened."""
    with pytest.raises(SinkUnavailable) as caught:
        asyncio.run(stored(reactivex.of("a"), into(sink)))
    return str(caught.value)


def test_what_cannot_be_opened(nats_server: Broker, valkey_server: Broker) -> None:
    """An error within the timeout, which says what to do."""
    dead = "127.0.0.1:1"
    said = refused(jetstream(f"nats://{dead}", STREAM, timeout=0.3))
    assert said.startswith("nats://127.0.0.1:1 cannot be reached: ") and "start it" in said
    said = refused(redis_streams(f"redis://{dead}", STREAM))
    assert said.startswith("redis://127.0.0.1:1 cannot be used") and "start it" in said
    said = refused(jetstream(valkey_server.url.replace("redis", "nats"), STREAM, timeout=0.3))
    assert "does not answer within 0.3 s" in said
    assert "pass create=True" in refused(jetstream(nats_server.url, "missing"))

    async def make_others() -> None:
        import nats
        from redis.asyncio import Redis

        client = await nats.connect(nats_server.url)
        await client.jetstream().add_stream(name="ORDERS", subjects=["order.*"])
        await client.close()
        async with Redis.from_url(valkey_server.url) as redis:
            await redis.set("text", "x")

    asyncio.run(make_others())
    said = refused(jetstream(nats_server.url, "ORDERS"))
    assert "the stream ORDERS takes order.*: pass subject=" in said
    assert "text is a string; pass another stream=" in refused(
        redis_streams(valkey_server.url, "text")
    )
    receipts = asyncio.run(
        stored(
            reactivex.of("a"),
            into(jetstream(nats_server.url, "ORDERS", subject=lambda record: "order.new")),
        )
    )
    assert isinstance(receipts[0], Stored)


def test_what_a_broker_refuses(nats_server: Broker, valkey_server: Broker) -> None:
    """It is failed at once, and the others are stored."""

    async def main() -> None:
        source = reactivex.of("a", "x" * 2_000_000, "b")
        large, *_ = receipts = await stored(source, into(sink_of(nats_server, "large")))
        assert sorted(type(one).__name__ for one in receipts) == ["Failed", "Stored", "Stored"]
        [large] = [one for one in receipts if isinstance(one, Failed)]
        assert len(large.data) == 2_000_000 and not large.temporary

        from redis.asyncio import Redis

        async with Redis.from_url(valkey_server.url) as redis:
            await redis.set("b", "no stream")
        sink = redis_streams(valkey_server.url, lambda record: record.data.decode())
        receipts = await stored(reactivex.of("a", "b", "c"), into(sink, id=str))
        assert [type(one) for one in receipts] == [Stored, Failed, Stored]
        assert "WRONGTYPE" in str(receipts[1].error) and not receipts[1].temporary

    asyncio.run(main())


def test_a_broker_without_memory(valkey_server: Broker) -> None:
    """That is for a while: they are tried again."""

    async def main() -> None:
        from redis.asyncio import Redis

        async with Redis.from_url(valkey_server.url) as redis:
            sink, told = redis_streams(valkey_server.url, "full"), asyncio.Queue[Any]()
            source: Subject[str] = Subject()
            storing = into(sink, id=str, backoff=QUICK)
            subscription = source.pipe(storing).subscribe(told.put_nowait)
            source.on_next("a")
            assert isinstance(await told.get(), Stored)
            await redis.config_set("maxmemory", "1")
            source.on_next("b")
            await asyncio.sleep(0.2)
            assert told.empty()
            await redis.config_set("maxmemory", "0")
            assert isinstance(await told.get(), Stored)
            subscription.dispose()

    asyncio.run(main())


def test_the_length_of_a_stream_is_bounded(valkey_server: Broker) -> None:
    async def main() -> None:
        sink = redis_streams(valkey_server.url, "short", max_len=100)
        await stored(reactivex.range(0, 1000), into(sink, high_water=1000))
        assert 100 <= len(await stored_in(valkey_server, "short")) < 300

    asyncio.run(main())


def test_what_is_known_at_once_is_said_at_once(tmp_path: Path) -> None:
    """A wrong password, or a broker that is not there: nobody waits for the timeout."""
    with running(Nats(tmp_path, "right")) as broker:
        url = broker.url.replace("//", "//writer:wrong@")
        with within(10.0):
            said = refused(jetstream(url, STREAM, timeout=600.0))
        assert said.startswith(f"{broker.url} cannot be used: ") and "uthorization" in said
    with within(10.0):
        said = refused(jetstream(url, STREAM, timeout=600.0))
    assert said.startswith(f"{broker.url} cannot be reached: ") and "start it" in said


def test_no_password_shows(canary: Canary, surfaces: Surfaces, tmp_path: Path) -> None:
    """Not of an address that is used, nor of one that is refused (C28)."""
    secret = canary.core
    for kind, scheme in ((Nats, "nats://writer"), (Valkey, "redis://default")):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        with running(kind(folder, secret)) as broker:
            for password in (secret, f"{secret}-wrong"):
                host = broker.url.partition("//")[2]
                url = f"{scheme}:{password}@{host}"
                sink = (
                    jetstream(url, STREAM, create=True, timeout=0.5)
                    if kind is Nats
                    else redis_streams(url, STREAM, timeout=0.5)
                )
                surfaces.text("repr", repr(sink))
                if password == secret:
                    [receipt] = asyncio.run(stored(reactivex.of("a"), into(sink, id=str)))
                    assert isinstance(receipt, Stored)
                else:
                    with pytest.raises(SinkUnavailable) as caught:
                        asyncio.run(stored(reactivex.of("a"), into(sink)))
                    surfaces.show("error", caught.value)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: jetstream(7, "T"), TypeError, "url: pass a string such as 'nats://"),
        (lambda: jetstream("redis://a", "T"), ValueError, "url: pass an address such as 'nats"),
        (lambda: jetstream("nats://a:b", "T"), ValueError, "url: the host or the port"),
        (lambda: jetstream("nats://a", "T.x"), ValueError, "stream: a name has no white space"),
        (lambda: jetstream("nats://a", "T", error_cb=print), ValueError, "error_cb: leave it out"),
        (lambda: redis_streams("redis://a", "T", decode_responses=True), ValueError, "leave it"),
        (lambda: jetstream("nats://a", None), TypeError, "stream: pass the name of a stream"),
        (lambda: jetstream("nats://a", "T", timeout=0), ValueError, "timeout: pass a number"),
        (lambda: redis_streams("nats://a", "T"), ValueError, "such as 'redis://127.0.0.1:6379/0'"),
        (lambda: redis_streams("redis://a", ""), ValueError, "stream: pass a name"),
        (lambda: redis_streams("redis://a", 7), TypeError, "stream: pass the name of a stream"),
        (lambda: redis_streams("redis://a", "T", max_len=0), ValueError, "max_len: pass 1 or"),
        (lambda: into(7), TypeError, "sink: pass jetstream"),
        (lambda: into(redis_streams("redis://a", "T"), batch=0), ValueError, "batch: pass 1"),
        (lambda: into(redis_streams("redis://a", "T"), overflow="x"), ValueError, "overflow: pass"),
        (lambda: into(redis_streams("redis://a", "T"), key="k"), TypeError, "key: pass a function"),
    ],
)
def test_bad_arguments(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_a_client_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, make, extra in (
        ("nats.aio.client", lambda: jetstream("nats://a", "T"), "nats"),
        ("redis.asyncio", lambda: redis_streams("redis://a", "T"), "redis"),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ModuleNotFoundError, match=rf"pip install 'rxsocket\[{extra}\]'"):
            make()
