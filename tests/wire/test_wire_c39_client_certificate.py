"""C39 on real connections: servers that want a certificate of the client, and look at it."""

from __future__ import annotations

import itertools
import json
import socket as sockets
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from internals import Server
from issuing import PASSWORD, issue, serving, trusting
from numbered import Numbered

import rxsocket
from rxsocket import (
    AwaitingAuth,
    Backoff,
    Carried,
    ClientCertificate,
    Closed,
    ConnectFailed,
    CredentialRefused,
    InEffect,
    Opened,
    RedirectRefused,
    Rejected,
    Socket,
    Verdict,
    Waiting,
    client_certificate,
    handover,
    header,
    refreshing,
)
from rxsocket.testing import accept, reject, server

from .secret_surfaces import Canary, Surfaces
from .wire_helpers import Inbox, Watch, answer_to, quick

CERTIFICATE = client_certificate()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Looking(Server):
    """A server that notes whose certificate each handshake came with.

    Attributes:
        seen: The names, in order.
    """

    def __init__(self, context: ssl.SSLContext, *scripts: Any) -> None:
        super().__init__(scripts, None, context, "127.0.0.1", None)
        self.seen: list[str] = []

    async def _answer_handshake(self, server_connection: Any, request: Any) -> Any:
        shown = server_connection.transport.get_extra_info("peercert")
        self.seen.append(dict(shown["subjectAltName"])["email"])
        return await super()._answer_handshake(server_connection, request)


def connected(url: str, authority: trustme.CA, **options: Any) -> Socket[Any, Any]:
    options = {"carrier": CERTIFICATE, "backoff": quick(), **options}
    return Socket(url, ssl=lambda: trusting(authority), **options)


@pytest.mark.parametrize("form", ["files", "PEM", "encrypted", "one file"])
def test_the_server_sees_it(authority: trustme.CA, tmp_path: Path, form: str) -> None:
    """From files or PEM, with a password or without."""
    mine = issue(authority, "me@example.com")
    (tmp_path / "both.pem").write_text(mine.certificate + mine.key)
    auth: dict[str, Any] = {
        "files": mine.write(tmp_path),
        "PEM": mine.value,
        "encrypted": {**mine.value, "key": mine.encrypted_key, "password": PASSWORD},
        "one file": str(tmp_path / "both.pem"),
    }
    with Looking(serving(authority), accept().send("hello")) as peer:
        socket, inbox = connected(peer.url, authority, auth=auth[form]), Inbox()
        socket.messages.subscribe(inbox)
        assert inbox.wait(1) == ["hello"]
        assert peer.seen == ["me@example.com"]
        socket.close().result(5)


class LookingFeed(Numbered, Looking):
    """One that goes on in its stream from where it is asked to (C38)."""


def test_a_rotation_hands_over(authority: trustme.CA) -> None:
    """C13: each is made with its certificate while the one before delivers; nothing is missing."""
    names = [f"number-{place}@example.com" for place in range(1, 5)]
    first, *others = (issue(authority, name).value for name in names)
    with LookingFeed(serving(authority)) as peer:
        peer.rate = 500.0
        socket = connected(
            peer.url,
            authority,
            auth=first,
            carrier=CERTIFICATE & (lambda _, cursor: Carried(query={"after": str(cursor or "")})),
            codec=rxsocket.json(),
            cursor=lambda message: message["seq"],
            on_auth_change=handover(dedupe=lambda message: message["seq"]),
            identity=lambda _: "me",
        )
        watch = Watch(socket)
        watch.wait(Opened)
        for place, value in enumerate(others, 2):
            watch.until(lambda watch, count=50 * place: len(watch.messages) > count)
            assert socket.set_auth(value).result(8) == InEffect(place)
        assert [event.gap for event in watch.of(Opened)] == [None, 0.0, 0.0, 0.0]
        assert peer.seen == names
        socket.close().result(5)
        numbers = [message["seq"] for message in watch.messages]
        assert numbers == list(range(1, len(numbers) + 1))


def test_files_that_were_exchanged_are_used_by_the_next_attempt(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """As tools that rotate certificates do it: the paths stay, and what is there changes."""
    auth = issue(authority, "old@example.com").write(tmp_path)
    with Looking(serving(authority)) as peer:
        socket = connected(peer.url, authority, auth=auth)
        watch = Watch(socket)
        watch.wait(Opened)
        issue(authority, "new@example.com").write(tmp_path)
        peer.drop()
        watch.wait(Opened, 2)
        issue(authority, "newest@example.com").write(tmp_path)
        socket.reconnect()
        watch.wait(Opened, 3)
        assert peer.seen == ["old@example.com", "new@example.com", "newest@example.com"]
        socket.close().result(5)


def test_one_that_is_renewed_ahead(authority: trustme.CA) -> None:
    """C12: refreshing() brings another one before this one expires, and hands over by itself."""
    names = itertools.count(1)

    def issued() -> dict[str, Any]:
        made = issue(authority, f"number-{next(names)}@example.com")
        return {"certificate": made.certificate, "key": made.key, "expires": time.time() + 2.0}

    tokens = refreshing(
        issued,
        credential=lambda answer: {name: answer[name] for name in ("certificate", "key")},
        expires=lambda answer: answer["expires"],
    )
    with Looking(serving(authority)) as peer:
        socket = connected(peer.url, authority, auth=tokens, on_auth_change=handover())
        watch = Watch(socket)
        watch.wait(Opened, 3)
        assert peer.seen[:3] == [f"number-{place}@example.com" for place in (1, 2, 3)]
        assert [event.gap for event in watch.of(Opened)][1:3] == [0.0, 0.0]
        socket.close().result(5)


def test_beside_a_token(authority: trustme.CA) -> None:
    """C10: it combines with what goes in the handshake of WebSocket."""
    mine = issue(authority, "me@example.com")
    with Looking(serving(authority)) as peer:
        socket = connected(
            peer.url, authority, auth={**mine.value, "token": "abc"}, carrier=CERTIFICATE & header()
        )
        Watch(socket).wait(Opened)
        [handshake] = peer.handshakes
        assert handshake.credential == "abc" and peer.seen == ["me@example.com"]
        names = {name.lower() for name, _ in handshake.headers.raw_items()}
        assert names.isdisjoint({"certificate", "key"}) and not handshake.query
        socket.close().result(5)


# --- redirects


def test_a_redirect_within_the_origin_takes_it_along(authority: trustme.CA) -> None:
    """C28: to another path of the same server, and to no other server."""
    mine = issue(authority, "me@example.com")
    with Looking(serving(authority)) as other, Looking(serving(authority)) as peer:
        peer.script(reject(302, {"Location": "/feed"}), accept())
        socket = connected(peer.url, authority, auth=mine.value)
        Watch(socket).wait(Opened)
        assert peer.seen == ["me@example.com"] * 2
        assert [handshake.path for handshake in peer.handshakes] == ["/", "/feed"]
        socket.close().result(5)
        peer.script(reject(302, {"Location": other.url}))
        socket = connected(peer.url, authority, auth=mine.value)
        rejected = Watch(socket).wait(Rejected)
        assert isinstance(rejected.error, RedirectRefused)
        assert other.seen == []
        socket.close().result(5)


# --- refusals


class Strict:
    """A server with TLS on plain threads, which sends the alerts that OpenSSL has.

    That of ``asyncio`` hangs up without one on some versions of Python.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listening = sockets.create_server(("127.0.0.1", 0))
        self.url = f"wss://127.0.0.1:{self._listening.getsockname()[1]}/"
        self.asked = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Strict:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(sockets.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                tcp, _ = self._listening.accept()
                self.asked += 1
                with suppress(OSError), self._secured(tcp) as secured:
                    try:
                        secured.do_handshake()
                    except ssl.SSLError:  # it has sent the alert
                        while sockets.socket.recv(secured, 2**16):  # or it would be a reset
                            pass
                        continue
                    secured.sendall(answer_to(self._request(secured)))
                    secured.recv(2**16)  # the close frame

    def _secured(self, tcp: sockets.socket) -> ssl.SSLSocket:
        return self._context.wrap_socket(tcp, server_side=True, do_handshake_on_connect=False)

    def _request(self, secured: ssl.SSLSocket) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request:
            request += secured.recv(4096)
        return request


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_alert_is_a_refusal_of_the_credential(
    authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    """C9: of an authority that the server does not know; then of one that it knows.

    In TLS 1.3 the alert comes when our side of the handshake is over, as the first bytes read.
    """
    context = serving(authority)
    context.maximum_version = version
    with Strict(context) as peer:
        stranger = issue(trustme.CA(), "stranger@example.com")
        socket = connected(peer.url, authority, auth=stranger.value)
        watch = Watch(socket)
        rejected = watch.wait(Rejected)
        assert isinstance(rejected.error, CredentialRefused)
        assert "does not take the certificate of the client (TLSV1_ALERT_UNKNOWN_CA)" in str(
            rejected.error
        )
        watch.wait(AwaitingAuth)
        assert "the credential went as the certificate of the client" in str(socket.explain())
        assert peer.asked == 1
        receipt = socket.set_auth(issue(authority, "me@example.com").value)
        assert isinstance(receipt.result(8), InEffect)
        assert peer.asked == 2
        socket.close().result(5)


def test_hanging_up_is_no_refusal(authority: trustme.CA) -> None:
    """Without an alert nobody can tell why: a failed attempt, and another one follows."""
    listening = sockets.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        with suppress(OSError):
            while True:
                listening.accept()[0].close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    mine = issue(authority, "me@example.com")
    url = f"wss://127.0.0.1:{listening.getsockname()[1]}/"
    socket = connected(url, authority, auth=mine.value)
    watch = Watch(socket)
    watch.wait(ConnectFailed, 2)
    assert watch.of(Rejected) == []
    socket.close().result(5)
    listening.shutdown(sockets.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_hanging_up_may_be_about_the_certificate(
    authority: trustme.CA, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """A server of asyncio sends no alert: it cannot be told apart, so both are said (C32)."""
    context = serving(authority)
    context.maximum_version = version
    with server(accept(), ssl=context) as peer:
        stranger = issue(trustme.CA(), "stranger@example.com")
        slow = Backoff(first=60.0, base=60.0, cap=60.0)
        socket = connected(peer.url, authority, auth=stranger.value, backoff=slow)
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, ConnectionError) and failed.verdict is Verdict.RECONNECT
        maybe = "; maybe the server does not take the certificate of the client"
        watch.wait(Waiting)
        explained = socket.explain()
        assert explained.why.endswith(maybe) and "the network failed" not in explained.why
        assert "pass as auth= a certificate that the server trusts" in explained.advice
        assert any(maybe in record.getMessage() for record in caplog.records)
        receipt = socket.set_auth(issue(authority, "me@example.com").value)
        assert isinstance(receipt.result(8), InEffect)
        socket.close().result(5)


def test_a_server_that_is_not_there_is_not_about_the_certificate(authority: trustme.CA) -> None:
    """Nothing was shown to it."""
    mine = issue(authority, "me@example.com")
    with server() as peer:
        url = peer.url.replace("ws://", "wss://")
    socket = connected(url, authority, auth=mine.value)
    watch = Watch(socket)
    assert isinstance(watch.wait(ConnectFailed).error, ConnectionRefusedError)
    assert "certificate" not in str(socket.explain())
    socket.close().result(5)


def test_a_provider_is_asked_for_another_one(authority: trustme.CA) -> None:
    """C9: a refused certificate is told to the provider, which has another."""
    given = [issue(trustme.CA(), "stranger@example.com"), issue(authority, "me@example.com")]
    reasons: list[str] = []

    def provider(ask: Any) -> dict[str, str]:
        reasons.append(ask.reason.value)
        return given[len(reasons) - 1].value

    with Strict(serving(authority)) as peer:
        socket = connected(peer.url, authority, auth=provider)
        Watch(socket).wait(Opened)
        assert reasons == ["first", "rejected"]
        socket.close().result(5)


# --- other settings, and secrets


def test_settings_of_each_attempt_without_a_certificate(authority: trustme.CA) -> None:
    """ssl= as a function is for any socket: an authority that was exchanged is trusted next."""
    trusted = [trustme.CA(), authority]
    context = serving(authority)
    context.verify_mode = ssl.CERT_NONE
    with server(accept(), ssl=context) as peer:
        socket = Socket(
            peer.url,
            ssl=lambda: trusting(trusted.pop(0)),
            backoff=quick(),
            verdicts=lambda end: Verdict.RECONNECT,
        )
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, ssl.SSLCertVerificationError)
        watch.wait(Opened)
        socket.close().result(5)


def test_no_line_of_a_key_shows(
    authority: trustme.CA, surfaces: Surfaces, canary: Canary, tmp_path: Path
) -> None:
    """C28: whatever happens to it: refused, handed over, repeated by the server, not readable."""
    mine = issue(authority, "me@example.com")
    key = "".join(mine.secret_lines)
    canary.forms = {line[:24] for line in mine.secret_lines} | {key, PASSWORD}
    says = accept().wait(0.05).close(1011, mine.secret_lines[0][:60])
    with Looking(serving(authority), says, reject(401, body=key), accept()) as peer:
        auth = {**mine.value, "key": mine.encrypted_key, "password": PASSWORD}
        socket = connected(peer.url, authority, auth=mine.value, name="mine")
        watch = Watch(socket)
        closed = watch.wait(Closed)
        assert closed.reason == "***"
        watch.wait(Rejected)
        socket.set_auth(auth)
        watch.wait(Opened, 2)
        with pytest.raises(ValueError, match="does not open the key") as raised:
            socket.set_auth({**auth, "password": "another"})
        surfaces.show("the error", raised.value)
        for event in watch.events:
            surfaces.show("an event", event)
        surfaces.show("socket", socket)
        surfaces.show("explanation", socket.explain())
        surfaces.show("credential", socket.auth.value)
        surfaces.show("certificate", ClientCertificate(mine.certificate, mine.key, PASSWORD))
        surfaces.text("card", socket._repr_html_())
        socket.close().result(5)
    surfaces.text("history of the server", json.dumps(peer.history))
