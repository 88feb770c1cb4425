"""Proxies that let us through: every kind, on each transport, with and without TLS behind them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from rxsocket.testing import accept, server

from .proxy_servers import serving_proxy
from .test_links import dialled, run

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
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
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
