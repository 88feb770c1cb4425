"""C28: a canary credential that a server repeats shows on no surface."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from urllib.parse import quote

import pytest
from reactivex.subject import BehaviorSubject

from rxsocket import (
    AwaitingAuth,
    Closed,
    ConnectFailed,
    End,
    HandshakeRefused,
    Opened,
    Refused,
    Rejected,
    RenewalFailed,
    Socket,
    SourceFailed,
    first_message,
    handover,
    history,
    in_band,
    standard,
)
from rxsocket.testing import accept, reject, server

from .secret_surfaces import (
    ACCEPTED,
    CARRIERS,
    Canary,
    Surfaces,
    look,
)
from .wire_helpers import Watch, quick


def test_messages_and_close_frames_in_the_log(surfaces: Surfaces, canary: Canary) -> None:
    """C28: payloads are nobody's business but the observers': the log shows none of them."""
    with server(accept().send(canary.text, canary.text.encode()).echo()) as peer:
        socket = Socket(peer.url)
        got: list[object] = []
        done = threading.Event()
        opened = threading.Event()
        socket.on_open(opened.set)
        socket.on_message(lambda data: (got.append(data), len(got) == 3 and done.set()))
        assert opened.wait(5)
        receipt = socket.send(canary.text)
        assert done.wait(5)
        assert len(got) == 3
        surfaces.show("receipt", receipt)
        surfaces.show("socket", socket)
        socket.close().result(5)
    for _ in range(60):
        surfaces.text("filler", "")


@pytest.mark.parametrize("name", ["subprotocol", "plain subprotocol", "function"])
def test_a_server_that_echoes_the_subprotocol(
    surfaces: Surfaces, canary: Canary, name: str
) -> None:
    """C28: a server that chooses the subprotocol that holds the credential does not reveal it."""
    carrier = CARRIERS[name][0]
    (echoed,) = carrier(canary.text).subprotocols
    with server(accept(subprotocol=echoed)) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=carrier)
        watch = Watch(socket)
        assert watch.wait(Opened).subprotocol == "***"
        look(surfaces, watch)
        socket.close().result(5)


ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "as in a URL": lambda text: quote(text, safe=""),
    "as in JSON": lambda text: f'{{"token": "{text}"}}',
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "twice": lambda text: f"{text}, {text}",
}


MASKED = {"as in JSON": '{"token": "***"}', "twice": "***, ***"}


@pytest.mark.parametrize("code", [1000, 1008, 1012, 4401])
@pytest.mark.parametrize("echo", ECHOES)
def test_a_server_that_echoes_the_credential_as_its_reason(
    surfaces: Surfaces, canary: Canary, echo: str, code: int
) -> None:
    """C28: a close reason that repeats the credential is masked before anybody has it."""
    said = ECHOES[echo](canary.text)
    with server(accept().close(code, f"no: {said}")) as peer:
        told: list[End] = []
        verdicts = standard().then(lambda end: told.append(end))
        socket = Socket(peer.url, auth=canary.text, verdicts=verdicts)
        watch = Watch(socket)
        closed = watch.wait(Closed)
        assert closed.reason == f"no: {MASKED.get(echo, '***')}"
        surfaces.show("end", told[0])
        surfaces.show("history", history(socket))
        surfaces.show("explanation", socket.explain())
        look(surfaces, watch)
        socket.close().result(5)
        look(surfaces, watch)


def test_a_server_that_echoes_what_was_used_before(surfaces: Surfaces, canary: Canary) -> None:
    """C28: the credential of an earlier connection, or its beginning, is masked as well."""
    scripts = (accept(), accept().close(4401, f"not {canary.text}, not {canary.text[:20]}..."))
    with server(*scripts) as peer:
        socket = Socket(peer.url, auth=canary.text)
        watch = Watch(socket)
        watch.wait(Opened)
        outcome = socket.set_auth("another one").result(5)
        assert isinstance(outcome, Refused)
        watch.wait(AwaitingAuth)
        assert watch.of(Closed)[-1].reason == "not ***, not ***..."
        surfaces.show("outcome", outcome)
        surfaces.show("history", history(socket))
        surfaces.show("explanation", socket.explain())
        look(surfaces, watch)
        socket.close().result(5)


def test_a_server_that_echoes_it_before_the_socket_is_open(
    surfaces: Surfaces, canary: Canary
) -> None:
    """C28: a close while the first message is judged fails the attempt, and shows nothing."""
    carrier = first_message(str, accepted=lambda said: said == ACCEPTED)
    with server(accept().wait(0.05).close(4401, f"unknown {canary.text}")) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=carrier)
        watch = Watch(socket)
        rejected = watch.wait(Rejected)
        assert str(rejected.error).endswith("closed with 4401 unknown ***")
        watch.wait(AwaitingAuth)
        surfaces.show("history", history(socket))
        surfaces.show("explanation", socket.explain())
        look(surfaces, watch)
        socket.close().result(5)


def test_a_server_that_echoes_it_in_retry_after(surfaces: Surfaces, canary: Canary) -> None:
    """C28: what a header of a refusal repeats is masked in the exception that holds it."""
    with server(reject(503, {"Retry-After": quote(canary.text)})) as peer:
        socket = Socket(peer.url, auth=canary.text, backoff=quick())
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, HandshakeRefused)
        surfaces.show("retry_after", failed.error.retry_after)
        watch.wait(Opened)
        look(surfaces, watch)
        socket.close().result(5)


def test_a_server_that_echoes_a_renewal(surfaces: Surfaces, canary: Canary) -> None:
    """C28, C13: so is what the peer says of the credential that a handover is tried with."""
    carrier = first_message(str, accepted=lambda said: said == ACCEPTED)
    scripts = (accept().send(ACCEPTED), accept().wait(0.05).close(4401, f"no {canary.text}"))
    with server(*scripts) as peer:
        how = {"on_auth_change": handover(), "carrier": carrier, "identity": lambda _: "me"}
        socket = Socket(peer.url, auth="initial", **how)
        watch = Watch(socket)
        watch.wait(Opened)
        socket.set_auth(canary.text)
        failed = watch.wait(RenewalFailed)
        assert str(failed.error).endswith("no ***")
        surfaces.everything("failed", failed)
        surfaces.show("history", history(socket))
        look(surfaces, watch)
        socket.close().result(5)


def test_a_server_that_echoes_what_goes_in_band(surfaces: Surfaces, canary: Canary) -> None:
    """C28, C13: so is what it says of the credential that goes over the open connection."""
    how = {"on_auth_change": in_band(str, accepted=lambda said: said == ACCEPTED)}
    script = accept().expect(canary.text).close(4401, f"no {canary.text}")
    with server(script) as peer:
        socket = Socket(peer.url, auth="initial", identity=lambda _: "me", **how)
        watch = Watch(socket)
        watch.wait(Opened)
        socket.set_auth(canary.text)
        assert watch.wait(Closed).reason == "no ***"
        surfaces.show("history", history(socket))
        surfaces.show("explanation", socket.explain())
        look(surfaces, watch)
        socket.close().result(5)


def test_a_server_that_quotes_the_credential_as_it_goes_away(
    surfaces: Surfaces, canary: Canary
) -> None:
    """C34: what ``renew(why=...)`` is given, and the URL that it is told, may hold the secret."""
    with server() as peer:
        auth, how = {"token": canary.text}, handover()
        socket = Socket(peer.url, auth=auth, on_auth_change=how, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        socket.renew(url=f"{peer.url}?resume={canary.text}", why=f"goodbye {canary.text}")
        watch.wait(Opened, 2)
        socket.renew(why=f"goodbye {quote(canary.text)}")
        watch.wait(Opened, 3)
        other = "another-S3CRET"  # nobody has sent it yet
        for epoch, url in enumerate((f"{peer.url}?r={other}", f"ws://no.example/?r={other}"), 4):
            socket.renew(url=url, why=f'{{"url": "{url}"}}')
            watch.wait(Opened, epoch)
        refused = watch.wait(SourceFailed)
        surfaces.error("renew(url)", refused.error)
        surfaces.text("renew(url)", str(refused.error))
        assert "not allowed" in str(refused.error)
        look(surfaces, watch, *history(socket))
        surfaces.text("explain", str(socket.explain()))
        for close in peer.closes:
            surfaces.text("the reason of a close frame", close.reason)
        socket.close().result(5)
    assert [event.reason for event in watch.of(Closed)][:2] == ["goodbye ***"] * 2
    assert other not in repr((watch.events, peer.closes, history(socket)))


def test_a_gate_that_fails_with_the_credential(surfaces: Surfaces, canary: Canary) -> None:
    """C35: its error is shown as what others wrote is."""
    gate: BehaviorSubject[bool] = BehaviorSubject(True)
    with server() as peer:
        socket = Socket(peer.url, auth={"token": canary.text}, gate=gate)
        watch = Watch(socket)
        watch.wait(Opened)
        gate.on_error(OSError(f"no lease for {canary.text}"))
        failed = watch.wait(SourceFailed)
        look(surfaces, watch, *history(socket))
        socket.close().result(5)
    assert str(failed.error) == "no lease for ***"
