"""The script language, on the real server and on the fake one."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import socket as sockets
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from clients import Network, Play, SeamClient, over_tcp, over_the_seam
from deadlines import within
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidMessage
from websockets.sync.client import connect as connect_sync

from rxsocket.errors import ConnectionLost, HandshakeInvalid, HandshakeRefused
from rxsocket.testing import accept, clock, fake, hang, reject, server, unreachable
from rxsocket.testing.fake import Fake
from rxsocket.transports.base import Options, PeerClosed, Request

both = pytest.mark.parametrize("play", [over_tcp, over_the_seam])


@both
def test_default_accepts_and_stays(play: Play) -> None:
    """Without a script, a handshake is accepted, and stays open until the client leaves."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        await client.send("hello")
        await client.send(b"\x00")
        await network.server.await_for(lambda s: s.received == [(1, "hello"), (1, b"\x00")])
        assert (network.server.connections, network.server.live) == (1, 1)
        await client.close(3001, "bye")
        await network.server.await_for(lambda s: s.connections == 0)
        assert network.server.closes == [(1, 3001, "bye")]
        assert network.server.most_open == 1

    play(scenario)


@both
def test_steps_are_played_in_order(play: Play) -> None:
    """Send, expect, wait and close follow each other as they were written."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        assert await client.recv() == "welcome"
        assert await client.recv() == b"\x01"
        await client.send("subscribe")
        assert await client.recv() == "tick"
        assert await client.recv() == 4401

    play(
        scenario,
        accept().send("welcome", b"\x01").expect("subscribe").wait(0.01).send("tick").close(4401),
    )


@both
def test_echo(play: Play) -> None:
    """An echo sends back whatever comes, in order."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        for message in ("one", b"two", "three"):
            await client.send(message)
        assert [await client.recv() for _ in range(3)] == ["one", b"two", "three"]
        await client.close()

    play(scenario, accept().echo())


@both
def test_a_stream_is_sent_whole_and_in_order(play: Play) -> None:
    """Every message of the iterable comes, what follows it comes after, and history counts them."""
    count = 2000

    async def scenario(network: Network) -> None:
        for number in (1, 2):  # a function makes the messages anew for each connection
            client = await network.dial()
            assert [await client.recv() for _ in range(count)] == [str(n) for n in range(count)]
            assert [await client.recv(), await client.recv()] == ["over", 1001]
            assert f"#{number} streamed {count} messages" in network.server.history

    script = accept().stream(lambda: map(str, range(count))).send("over").close(1001)
    play(scenario, script, script)


@both
def test_a_stream_has_a_rate(play: Play) -> None:
    """With a rate no message comes before its time."""

    async def scenario(network: Network) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        client = await network.dial()
        for number in range(10):
            assert await client.recv() == str(number)
            assert loop.time() - start >= number / 50 - 1e-6

    play(scenario, accept().stream([str(n) for n in range(10)], rate=50))


@both
def test_a_stream_waits_for_its_reader(play: Play) -> None:
    """A client that reads nothing is sent no more than what is on the way."""
    drawn: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in itertools.count():
            drawn.append(number)
            yield os.urandom(100_000)  # compression is no way out

    async def scenario(network: Network) -> None:
        client = await network.dial()
        if isinstance(client, SeamClient):
            client.link.pause()
        else:
            client.connection.transport.pause_reading()
        before = -1
        while before < len(drawn) < 1000:  # until it stands still, however slow the machine
            before = len(drawn)
            await asyncio.sleep(0.5)
        client.abort()
        assert 0 < len(drawn) < 1000

    play(scenario, accept().stream(endless))


@both
def test_a_stream_ends_with_its_client(play: Play) -> None:
    """When the client leaves an endless stream, nothing more is drawn, and the next one is met."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        assert await client.recv() == "0"
        await client.close(3001)
        await network.server.await_for(lambda s: s.connections == 0)
        again = await network.dial()
        assert await again.recv() == "0"
        again.abort()
        await network.server.await_for(lambda s: s.connections == 0)

    endless = accept().stream(lambda: map(str, itertools.count()), rate=10_000)
    play(scenario, endless, endless)


def test_a_stream_that_raises_fails_its_server() -> None:
    """What the iterable raises is the failure of the script, with its cause."""

    def broken() -> Iterator[str]:
        yield "one"
        raise ValueError("no more")

    with pytest.raises(AssertionError, match=r"stopped streaming: ValueError\('no more'\)"):
        over_tcp(_until_streamed, accept().stream(broken))


async def _until_streamed(network: Network) -> None:
    client = await network.dial()
    assert await client.recv() == "one"
    await network.server.await_for(lambda s: s.failures)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("abc",), TypeError, "stream: pass an iterable of messages, or a function, not str"),
        ((7,), TypeError, "stream: pass an iterable of messages, or a function, not int"),
        ((["a"], 0), ValueError, "stream: pass a rate of more than 0"),
    ],
)
def test_a_stream_that_is_none(arguments: Any, error: type[Exception], text: str) -> None:
    """What cannot be streamed is refused where the script is written."""
    with pytest.raises(error, match=text):
        accept().stream(*arguments)


@both
def test_drop_is_seen_as_1006(play: Play) -> None:
    """A dropped connection ends without a close frame, and is no leaving of the client."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        assert await client.recv() == "last words"
        assert await client.recv() == 1006
        await network.server.await_for(lambda s: s.connections == 0)
        assert network.server.closes == []

    play(scenario, accept().send("last words").drop())


@both
def test_frozen_peer_answers_nothing(play: Play) -> None:
    """After a freeze there is neither pong nor close answer, and nothing is read."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        assert await client.ping() >= 0
        network.server.freeze()
        await network.server.await_for(lambda s: "#1 frozen" in s.history)
        await client.send("unheard")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.ping()
        assert network.server.received == []
        client.abort()

    play(scenario)


@both
def test_refusal_gives_status_and_retry_after(play: Play) -> None:
    """A rejected handshake has the status and the headers of the script."""

    async def scenario(network: Network) -> None:
        for status, retry_after in ((429, "3"), (503, None), (499, None)):
            with pytest.raises(HandshakeRefused) as caught:
                await network.dial()
            assert (caught.value.status, caught.value.retry_after) == (status, retry_after)
        assert network.server.connections == 0
        assert len(network.server.handshakes) == 3

    play(
        scenario,
        reject(429, {"retry-after": "3"}),
        reject(503, body="later"),
        reject(499).delay(0.01),
    )


@both
def test_hang_and_delay_meet_the_open_timeout(play: Play) -> None:
    """A handshake that is not answered, or too late, times out on the client's side."""

    async def scenario(network: Network) -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await network.dial(open_timeout=0.05)
        client = await network.dial(open_timeout=1.0)
        await client.close()
        assert len(network.server.handshakes) == 3

    play(scenario, hang(), accept().delay(30), accept().delay(0.01))


@both
def test_unreachable(play: Play) -> None:
    """An unreachable server sees no handshake, only a dial; the next dial has the next script."""

    async def scenario(network: Network) -> None:
        with pytest.raises((OSError, InvalidMessage)) as caught:
            await network.dial()
        assert not isinstance(caught.value, (HandshakeRefused, TimeoutError))
        assert network.server.handshakes == []
        client = await network.dial()
        assert network.server.dials == 2
        await client.close()

    play(scenario, unreachable())


@both
def test_tokens(play: Play) -> None:
    """Only known credentials get in; a 401 takes no script; the set can change at any time."""

    async def scenario(network: Network) -> None:
        for target in ("", "?token=wrong"):
            with pytest.raises(HandshakeRefused) as caught:
                await network.dial(target)
            assert caught.value.status == 401
        client = await network.dial("?token=initial")
        assert await client.recv() == "in"
        await client.close()
        tokens = network.server.tokens
        assert tokens is not None
        tokens.add("updated")
        client = await network.dial(headers=(("Authorization", "Bearer updated"),))
        await client.close()
        credentials = [handshake.credential for handshake in network.server.handshakes]
        assert credentials == [None, "wrong", "initial", "updated"]

    play(scenario, accept().send("in"), tokens={"initial"})


@both
def test_handshake_tells_all_and_shows_nothing(play: Play) -> None:
    """A handshake's attributes hold the real values; its repr and the history hold no secret."""

    async def scenario(network: Network) -> None:
        client = await network.dial(
            "feed/a?token=s3cret&x=s3cret2", (("Cookie", "sid=s3cret3"),), ("v1", "s3cret4")
        )
        assert client.subprotocol == "v1"
        await client.send("s3cret5")
        await network.server.await_for(lambda s: s.received)
        await client.close()
        (seen,) = network.server.handshakes
        assert (seen.number, seen.path, seen.credential) == (1, "/feed/a", "s3cret")
        assert seen.query == {"token": "s3cret", "x": "s3cret2"}
        assert seen.headers["cookie"] == "sid=s3cret3"
        assert seen.subprotocols == ("v1", "s3cret4")
        assert seen.headers["Host"] in network.server.url  # type: ignore[attr-defined]
        shown = repr(seen) + "\n".join(network.server.history)
        assert "s3cret" not in shown
        assert "token=***" in shown and "Cookie" in shown

    play(scenario, accept(subprotocol="v1"))


@both
def test_hands_of_the_test(play: Play) -> None:
    """Push, close and drop reach every live connection."""

    async def scenario(network: Network) -> None:
        clients = [await network.dial() for _ in range(2)]
        network.server.push("a", b"b")
        for client in clients:
            assert [await client.recv(), await client.recv()] == ["a", b"b"]
        network.server.close(1012, "restart")
        assert [await client.recv() for client in clients] == [1012, 1012]
        await network.server.await_for(lambda s: len(s.closes) == 2 and s.connections == 0)
        client = await network.dial()
        network.server.drop()
        assert await client.recv() == 1006
        assert network.server.most_open == 2

    play(scenario)


@both
def test_push_reaches_a_client_that_just_opened(play: Play) -> None:
    """As soon as a client is open, a push reaches it, after the first messages of its script."""

    async def scenario(network: Network) -> None:
        for _ in range(20):
            client = await network.dial()
            network.server.push("pushed")
            assert [await client.recv(), await client.recv()] == ["welcome", "pushed"]
            await client.close()

    play(scenario, *[accept().send("welcome")] * 20)


@both
def test_close_without_a_code(play: Play) -> None:
    """1005 stands for a close frame that has no code."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        assert await client.recv() == 1005

    play(scenario, accept().close(1005))


@both
def test_client_that_vanishes_is_1006(play: Play) -> None:
    """A client that aborts has left without a close frame."""

    async def scenario(network: Network) -> None:
        client = await network.dial()
        client.abort()
        await network.server.await_for(lambda s: s.connections == 0)
        assert network.server.closes == [(1, 1006, "")]

    play(scenario)


@both
def test_await_for_fails_with_the_history(play: Play) -> None:
    """What does not happen in time is an AssertionError that shows what did happen."""

    async def scenario(network: Network) -> None:
        client = await network.dial("?token=s3cret")
        with pytest.raises(AssertionError, match=r"two clients within 0.02 s(.|\n)*token=\*\*\*"):
            await network.server.await_for(lambda s: s.live == 2, 0.02, "two clients")
        await client.close()

    play(scenario)


def test_unmet_expectation_fails_the_real_server() -> None:
    """A message that the script did not expect fails wait_for, and the end of the with block."""
    s = server(accept().expect("subscribe").send("never"))
    failure = pytest.raises(AssertionError, match="expected 'subscribe'")
    with failure, s, connect_sync(s.url) as client:
        client.send("hello")
        with pytest.raises(AssertionError, match="#1 sent 'hello'"):
            s.wait_for(lambda s: False)


def test_unmet_expectation_fails_the_virtual_clock() -> None:
    """On a virtual clock, a message that the script did not expect fails at once."""

    def odd(message: str | bytes) -> bool:
        return len(message) % 2 == 1

    with clock() as t:
        network = fake(accept().expect(odd).expect(odd))
        client = t.run(SeamClient(network, Request(url=network.url)).opened())
        t.run(client.send("one"))
        t.advance(0)
        t.run(client.send("four"))
        with pytest.raises(AssertionError, match="expected something else"):
            t.advance(0)
        assert len(network.failures) == 1


def test_scripts_are_values() -> None:
    """A step makes a new script; nothing follows a last step; wrong arguments are refused."""
    start = accept().send("a")
    assert start.send("b") != start == accept().send("a")
    with pytest.raises(ValueError, match="nothing can follow close"):
        accept().close().send("late")
    with pytest.raises(ValueError, match="use drop"):
        accept().close(1006)
    with pytest.raises(TypeError, match="pass str or bytes"):
        accept().send(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pass accept"):
        fake("accept")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="200 to 599"):
        reject(101)


# --- the real server alone


def test_server_from_sync_code() -> None:
    """The server works for code that has no loop; waiting blocks until something happened."""
    with server(accept().echo()) as s:
        with connect_sync(s.url) as client:
            client.send("x")
            assert client.recv() == "x"
        s.wait_for(lambda s: s.closes == [(1, 1000, "")] and not s.connections)


def test_wait_for_fails_with_the_history() -> None:
    """A wait that is in vain says so, with the server's history."""
    with (
        server() as s,
        pytest.raises(AssertionError, match=r"did not happen within 0\.01 s; history"),
    ):
        s.wait_for(lambda s: s.handshakes, 0.01)


def test_stopping_leaves_nothing() -> None:
    """The end cuts frozen, hanging and silent connections within a second, and leaves nothing."""
    threads, fds = threading.active_count(), len(os.listdir("/dev/fd"))

    async def main() -> None:
        with ExitStack() as stopping:
            async with server(accept().freeze(), hang(), accept().delay(60)) as s:
                client = await connect(s.url, ping_interval=None, close_timeout=0.1)
                waiting = [asyncio.create_task(_outcome(s.url)) for _ in range(2)]
                host, port = s.url.removeprefix("ws://").rstrip("/").split(":")
                _, silent = await asyncio.open_connection(host, int(port))
                await s.await_for(lambda s: len(s.handshakes) == 3 and "#1 frozen" in s.history)
                stopping.enter_context(within(1.0))
        await asyncio.wait_for(client.wait_closed(), 1)
        await asyncio.wait_for(asyncio.gather(*waiting), 1)
        silent.close()

    asyncio.run(main())
    gc.collect()
    assert (threading.active_count(), len(os.listdir("/dev/fd"))) == (threads, fds)


async def _outcome(url: str) -> None:
    with pytest.raises((OSError, InvalidHandshake)):  # however it ends, it must end
        await connect(url)


@pytest.mark.parametrize("turns", range(6))
def test_stopping_closes_what_connected_last(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that connects while the server stops is no socket that nobody closes."""
    left: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", left.append)
    blocked, connected = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        connected.wait(5)
        stop_after(turns)

    def stop_after(turns: int) -> None:
        if turns:
            s._loop.call_soon(stop_after, turns - 1)
        else:
            s._stop.set()

    with server() as s:
        host, port = s.url.removeprefix("ws://").rstrip("/").split(":")
        s._loop.call_soon_threadsafe(block)
        assert blocked.wait(5)
        with sockets.create_connection((host, int(port))):
            connected.set()
            s._thread.join(5)
        s._thread = None
    gc.collect()
    assert left == []


def test_server_comes_back_on_its_port() -> None:
    """A server that was stopped can start again, at the same address."""
    s = server().start()
    url = s.url
    s.stop()
    s.stop()
    with pytest.raises(ConnectionRefusedError), connect_sync(url):
        pass
    with s, connect_sync(url):
        assert s.url == url


def test_server_that_cannot_listen_says_why() -> None:
    """A start that fails raises the reason, and leaves no thread."""
    threads = threading.active_count()
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        server(host="192.0.2.1").start()
    assert threading.active_count() == threads


def test_server_from_many_threads() -> None:
    """Every method may be called from any thread."""
    with server(accept()) as s, connect_sync(s.url) as client:
        pushers = [threading.Thread(target=s.push, args=(str(i),)) for i in range(20)]
        for pusher in pushers:
            pusher.start()
        got = {client.recv(1) for _ in pushers}
        assert got == {str(i) for i in range(20)}


def test_tls(tmp_path: Path) -> None:
    """With a context, the server speaks TLS, and freezes and stops all the same."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command.split(), *names, "-keyout", key, "-out", cert],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the openssl command to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    trusting = ssl.create_default_context(cafile=str(cert))

    async def main() -> None:
        async with server(accept().echo(), accept().freeze(), ssl=context) as s:
            assert s.url.startswith("wss://127.0.0.1:")
            async with connect(s.url, ssl=trusting) as client:
                await client.send("x")
                assert await client.recv() == "x"
            frozen = await connect(s.url, ssl=trusting, ping_interval=None, close_timeout=0.1)
            await s.await_for(lambda s: "#2 frozen" in s.history)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await (await frozen.ping())
        await asyncio.wait_for(frozen.wait_closed(), 1)

    asyncio.run(main())


# --- the fake one alone


def _request(network: Fake, **options: float | None) -> Request:
    return Request(url=network.url, options=Options(**options))  # type: ignore[arg-type]


def test_fake_is_cold_and_a_dial_can_be_aborted() -> None:
    """Nothing happens without a subscription; a dial that is disposed is not delivered."""
    with clock() as t:
        network = fake(latency=1.0)
        source = network(_request(network))
        t.advance(5)
        assert network.dials == 0
        client = SeamClient(network, _request(network))
        t.advance(0.5)
        client.subscription.dispose()
        t.advance(5)
        assert client.signals.empty() and network.connections == 0 and not t.tasks
        source.subscribe().dispose()
        t.advance(0)
        assert network.dials == 0


def test_message_in_the_instant_of_the_link() -> None:
    """The first messages of a script come right behind the link, within one callback."""
    with clock() as t:
        network = fake(accept().send("a", "b").close(1012, "restart"))
        client = SeamClient(network, _request(network))
        assert t.pending == 1
        t.scheduler.step()
        signals = [client.signals.get_nowait() for _ in range(4)]
        assert signals[1:] == ["a", "b", PeerClosed(1012, "restart")]
        assert client.completed
        t.advance(0)
        assert network.closes == [(1, 1012, "restart")] and not t.tasks


def test_latency_is_that_of_an_answer() -> None:
    """Handshake, pong, echo and close answer each come after the latency."""
    with clock() as t:
        network = fake(accept().echo(), latency=0.25)
        client = t.run(SeamClient(network, _request(network)).opened())
        assert t.time() == 0.25
        assert t.run(client.ping()) == 0.25
        t.run(client.send("x"))
        assert t.run(client.recv()) == "x"
        assert t.time() == 0.75
        t.run(client.close(3000, "done"))
        assert t.time() == 1.0
        assert client.signals.get_nowait() == PeerClosed(3000, "done", sent=3000)
        t.advance(0)
        assert client.completed and not t.tasks and not t.pending


def test_nothing_is_delivered_after_a_dispose() -> None:
    """A disposed observer hears nothing more; its link still works, and is still closed."""
    with clock() as t:
        network = fake()
        client = t.run(SeamClient(network, _request(network)).opened())
        client.subscription.dispose()
        network.push("late")
        t.advance(1)
        assert client.signals.empty() and network.live == 1
        t.run(client.close())
        assert client.signals.empty() and network.closes == [(1, 1000, "")]


def test_fake_link_after_its_end() -> None:
    """What is closing takes no message; pings that wait fail; closing again is harmless."""
    with clock() as t:
        network = fake()
        client = t.run(SeamClient(network, _request(network)).opened())
        network.freeze()
        t.advance(0)
        ping = t.create_task(client.ping())
        close = t.create_task(client.close())
        t.advance(60)
        assert (
            not ping.done() and not close.done() and network.live == 0 and network.connections == 1
        )
        with pytest.raises(ConnectionLost):
            t.run(client.send("x"))
        client.abort()
        client.abort()
        with pytest.raises(ConnectionLost):
            t.run(ping)
        t.run(close)
        t.run(client.link.wait_closed())
        assert client.signals.get_nowait() == PeerClosed(1006, lost=True)
        assert network.connections == 0 and not t.tasks


def test_fake_refuses_a_subprotocol_that_was_not_offered() -> None:
    """A server that chooses what nobody offered gives an invalid handshake."""
    with clock() as t:
        network = fake(accept("v2"))
        with pytest.raises(HandshakeInvalid):
            t.run(SeamClient(network, _request(network)).opened())


def test_wait_for_moves_virtual_time() -> None:
    """On the thread of a virtual clock, waiting lets virtual time pass, not real time."""
    with clock() as t:
        network = fake(accept().wait(3).drop())
        SeamClient(network, _request(network))
        network.wait_for(lambda n: n.live == 1)
        assert t.time() == 0.0
        network.wait_for(lambda n: n.connections == 0)
        assert t.time() == 3.0
        with pytest.raises(AssertionError, match="within 7 s"):
            network.wait_for(lambda n: n.live == 1, 7)
        assert t.time() == 10.0
