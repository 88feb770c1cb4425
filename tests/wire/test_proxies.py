"""Proxies that let us through: every kind, on each transport, with and without TLS behind them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from internals import tcp

from rxsocket import ConnectFailed, Explanation, HandshakeRefused, Socket, Waiting
from rxsocket.testing import accept, server

from .proxy_servers import serving_proxy
from .test_links import dialled, run
from .wire_helpers import Watch, quick

pytest.importorskip("python_socks")

KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
NAMED = ("http", "https", "socks4a", "socks5h")  # the others look names up on our side


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Signs the certificates of servers and proxies."""
    return trustme.CA()


def certified(authority: trustme.CA) -> ssl.SSLContext:
    """A context for a server on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def trust(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let default contexts trust it, those for proxies, too."""
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_of_a_kind(
    kind: str,
    scheme: str,
    transport: str,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy gets our credentials and the name or the address; messages go both ways."""
    trust(authority, tmp_path, monkeypatch)
    secure = scheme == "wss"

    async def main() -> None:
        behind = certified(authority) if kind == "https" else None
        context = ssl.create_default_context() if secure else None
        target = server(accept().echo(), ssl=certified(authority) if secure else None)
        with target as peer:
            url = peer.url.replace("127.0.0.1", "localhost")
            async with serving_proxy(kind, behind) as relay:
                async with dialled(transport, url, proxy=relay.url, ssl=context) as made:
                    link = await made.link
                    await link.send("through")
                    await made.something.wait()
                    assert made.seen == ["through"]
                host = "localhost" if kind in NAMED else "127.0.0.1"
                assert [at[0] for at in relay.asked] == [host]
                assert relay.users == [("me", "" if kind.startswith("socks4") else "p@ss")]

    run(main)


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_proxy_that_refuses(
    kind: str,
    transport: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """C16: over TLS, too, its Retry-After counts, and its hanging up is the network's."""
    trust(authority, tmp_path, monkeypatch)
    answers = [b"HTTP/1.1 503 No\r\nRetry-After: 60\r\n\r\n", b""]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        writer.close()

    async def main() -> None:
        context = certified(authority) if kind == "https" else None
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        address = f"{kind}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        for expected in (HandshakeRefused, ConnectionError):
            async with dialled(transport, "ws://example.test/", proxy=address) as made:
                with pytest.raises(expected, match=address) as raised:
                    await made.link
                if isinstance(raised.value, HandshakeRefused):
                    assert (raised.value.status, raised.value.retry_after) == (503, "60")
        listening.close()
        await listening.wait_closed()

    run(main)


@pytest.mark.parametrize("kind", ["http", "https", "socks5h"])
def test_the_first_address_of_a_proxy_is_a_black_hole(
    kind: str,
    transport: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """RFC 8305: the next one is tried after 250 ms; look-ups are on threads of ours (C26)."""
    trust(authority, tmp_path, monkeypatch)
    looked_up, connect = socket.getaddrinfo, tcp.connect_address
    threads: set[str] = set()

    def two(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host != "localhost":
            return looked_up(host, port, *args, **options)
        if options.get("flags"):
            raise socket.gaierror("no number")
        threads.add(threading.current_thread().name)
        found = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*found, ("203.0.113.1", port)), (*found, ("127.0.0.1", port))]

    async def swallow(found: tcp.AddressInfo) -> socket.socket:
        if found[4][0] == "203.0.113.1":
            await asyncio.Event().wait()
        return await connect(found)

    async def main() -> None:
        context = certified(authority) if kind == "https" else None
        with server(accept()) as peer:
            async with serving_proxy(kind, context) as relay:
                monkeypatch.setattr(socket, "getaddrinfo", two)
                monkeypatch.setattr(tcp, "connect_address", swallow)
                address = relay.url.replace("127.0.0.1", "localhost")
                async with dialled(transport, peer.url, proxy=address) as made:
                    await asyncio.wait_for(made.link, 5)
        assert threads and all(name.startswith("rxsocket") for name in threads), threads

    run(main)


def test_tls_through_a_proxy_that_fails(
    transport: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that nobody trusts may be the proxy's: the error says that there is one."""

    async def main() -> None:
        with server(accept(), ssl=certified(authority)) as peer:
            relaying = serving_proxy("http")
            async with relaying as relay, dialled(transport, peer.url, proxy=relay.url) as made:
                shown = f"through the proxy http://127.0.0.1:{relay.port}"
                with pytest.raises(ssl.SSLCertVerificationError, match=shown) as raised:
                    await made.link
                assert shown in raised.value.verify_message

    run(main)


def test_a_host_with_a_last_dot(
    transport: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dot is no part of the name that TLS is told (RFC 6066, section 3)."""
    names: list[str | None] = []
    context = certified(authority)
    context.sni_callback = lambda _, name, __: names.append(name)
    looked_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **options: looked_up(host.removesuffix("."), *args, **options),
    )
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def main() -> None:
        with server(accept(), ssl=context) as peer:
            url = peer.url.replace("127.0.0.1", "localhost.")
            async with dialled(transport, url, ssl=trusting) as made:
                await made.link
            assert names == ["localhost"]
            assert peer.handshakes[0].headers["Host"].startswith("localhost.:")

    run(main)


@pytest.mark.parametrize(
    ("version", "shown", "words"),
    [
        (ssl.TLSVersion.TLSv1_3, False, "the server wants a certificate of the client"),
        (ssl.TLSVersion.TLSv1_2, False, "it may want a certificate of the client"),
        (ssl.TLSVersion.TLSv1_3, True, "the server does not take the certificate of the client"),
    ],
    ids=["missing", "missing in TLS 1.2", "not trusted"],
)
def test_a_client_certificate(
    transport: str, authority: trustme.CA, version: ssl.TLSVersion, shown: bool, words: str
) -> None:
    """The server's alert comes after our side of the handshake; it is told in words."""
    context = certified(authority)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    if shown:
        trustme.CA().issue_cert("me@example.com").configure_cert(trusting)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:  # a server on an asyncio loop of 3.11 hangs up without the alert
        with suppress(OSError):
            while True:
                tcp_socket, _ = listening.accept()
                with context.wrap_socket(
                    tcp_socket, server_side=True, do_handshake_on_connect=False
                ) as secured:
                    with suppress(ssl.SSLError):
                        secured.do_handshake()
                    while socket.socket.recv(secured, 2**16):  # or it would be a reset
                        pass

    thread = threading.Thread(target=serve)
    thread.start()
    made = Socket(f"wss://127.0.0.1:{listening.getsockname()[1]}/", ssl=trusting, backoff=quick())
    explanations: list[Explanation] = []  # later it may be at the next attempt
    made.events.subscribe(
        lambda event: isinstance(event, Waiting) and explanations.append(made.explain())
    )
    try:
        watch = Watch(made)
        watch.wait(Waiting)
        assert isinstance(watch.of(ConnectFailed)[0].error, ssl.SSLError)
        explanation = explanations[0]
        assert words in str(explanation)
        assert "carrier=client_certificate()" in explanation.advice
    finally:
        made.close().result(5)
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
