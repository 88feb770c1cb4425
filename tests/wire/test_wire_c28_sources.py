"""C28: a canary credential, from every source and changed in every way, shows on no surface."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from internals import Script, auth_provider, current_source, options_of
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject

from rxsocket import (
    Ask,
    AwaitingAuth,
    ConnectFailed,
    Credential,
    InEffect,
    ObserverFailed,
    Opened,
    ProviderFailed,
    Refused,
    Request,
    Secret,
    Socket,
    SourceFailed,
    Unauthorized,
    first_message,
    handover,
    header,
    in_band,
    refreshing,
)
from rxsocket.testing import accept, reject, server

from .secret_surfaces import (
    ACCEPTED,
    CARRIERS,
    REFUSED,
    Canary,
    Surfaces,
    arrived,
    look,
)
from .wire_helpers import Watch, quick


def test_the_canary_would_be_found() -> None:
    """The search finds the canary in each of its encodings, also within a longer text."""
    canary = Canary()
    basic = base64.b64encode(f"user:{canary.text}".encode()).decode()
    for text in (
        canary.text,
        f"GET /?token={quote_plus(canary.text)} HTTP/1.1",
        quote(canary.text).lower(),
        f"Basic {basic}",
        repr({"token": canary.text.encode()}),
    ):
        assert canary.found_in(f"before {text} after")
    assert not canary.found_in(Canary().text)


SOURCES: dict[str, Callable[[str], Any]] = {
    "string": lambda text: text,
    "mapping": lambda text: {"token": text},
    "secret": Secret,
    "mapping of a secret": lambda text: {"token": Secret(text)},
    "provider": lambda text: lambda: {"token": text},
    "observable": lambda text: BehaviorSubject({"token": text}),
    "refreshing": lambda text: refreshing(lambda: {"token": text, "expires_in": 900}),
    "refreshing, token response": lambda text: refreshing(
        lambda: {
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": 900,
            "refresh_token": text,
        }
    ),
    "refreshing, composed": lambda text: refreshing(lambda: text).pipe(ops.map(lambda it: it)),
}


@pytest.mark.parametrize(
    ("carrier", "source"),
    [
        *(("query", source) for source in SOURCES),
        *((carrier, "string") for carrier in CARRIERS if carrier != "query"),
        ("own header", "secret"),
        ("subprotocol", "refreshing"),
        ("cookie", "provider"),
    ],
)
def test_a_whole_life(surfaces: Surfaces, canary: Canary, carrier: str, source: str) -> None:
    """C28: connect, message, observer failure, drop, 503, 4401, set_auth, close: nothing shows."""
    scripts = (accept(), reject(503), accept(), accept().close(4401, "expired"))
    other = Canary()
    with server(*scripts) as peer:
        auth = SOURCES[source](canary.text)
        socket = Socket(peer.url, auth=auth, carrier=CARRIERS[carrier][0], backoff=quick())
        shown: list[Credential] = []
        socket.auth.subscribe(shown.append)
        watch = Watch(socket)

        def bad(_: object) -> None:
            raise ValueError("an observer's own bug")

        watch.wait(Opened)
        socket.messages.subscribe(bad)
        peer.push("hello")
        watch.wait(ObserverFailed)
        assert arrived(peer, carrier, canary)
        peer.drop()
        watch.wait(Opened, 2)
        assert arrived(peer, carrier, canary)
        receipt = socket.set_auth({"token": f"{canary.text}2"})
        refused = receipt.result(5)
        watch.wait(AwaitingAuth)
        changed = socket.set_auth(other.text)
        assert isinstance(changed.result(5), InEffect)
        look(surfaces, watch, receipt, refused, changed, *shown, socket.send("x"))
        closing = socket.close()
        closing.result(5)
        look(surfaces, watch, closing)


BY_MESSAGE: dict[str, dict[str, Any]] = {
    "first message": {
        "carrier": first_message(
            str, accepted=lambda said: said == ACCEPTED, rejected=lambda said: said == REFUSED
        )
    },
    "in band": {
        "on_auth_change": in_band(
            str, accepted=lambda said: said == ACCEPTED, rejected=lambda said: said == REFUSED
        )
    },
    "handover": {"on_auth_change": handover()},
}


@pytest.mark.parametrize("how", BY_MESSAGE)
@pytest.mark.parametrize("answer", [ACCEPTED, REFUSED])
def test_changes_that_go_by_message(
    surfaces: Surfaces, canary: Canary, how: str, answer: str
) -> None:
    """C28: a credential that goes as a message, or is handed over, shows nowhere."""
    first, change = f"{canary.text}1", f"{canary.text}2"
    scripts: tuple[Script, ...]
    if how == "first message":
        scripts = tuple(accept().expect().send(said).stay() for said in (ACCEPTED, answer))
    elif how == "in band":
        scripts = (accept().expect().send(answer).stay(), reject(401))
    else:
        scripts = (accept(), accept() if answer == ACCEPTED else reject(401))
    with server(*scripts) as peer:
        options = {"identity": lambda _: "somebody", **BY_MESSAGE[how]}
        socket = Socket(peer.url, auth=first, backoff=quick(), **options)
        watch = Watch(socket)
        watch.wait(Opened)
        changing = socket.set_auth(change)
        outcome = changing.result(5)
        assert isinstance(outcome, InEffect if answer == ACCEPTED else Refused)
        sent = [message for _, message in peer.received]
        if how == "handover":
            assert [seen.credential for seen in peer.handshakes] == [first, change]
        else:
            assert change in sent
        look(surfaces, watch, changing, outcome)
        socket.close().result(5)


def test_what_cannot_be_a_credential(surfaces: Surfaces, canary: Canary) -> None:
    """C28: arguments that are refused are not quoted."""
    with server() as peer:
        socket = Socket(peer.url, auth="a", carrier=header())
        watch = Watch(socket)
        watch.wait(Opened)
        bad: list[Any] = [
            f"{canary.text}\r\n",
            {"token": f"{canary.text}\n"},
            {"token": f"{canary.text}é"},
            {"token": canary.text.encode()},
            [canary.text],
            canary.text.encode(),
            {"token": {"nested": canary.text}},
        ]
        for value in bad:
            with pytest.raises((TypeError, ValueError)) as caught:
                socket.set_auth(value)
            # The line of this test that is shown in the traceback names the variable only.
            surfaces.show("error", caught.value)
        look(surfaces, watch)
        socket.close().result(5)


@pytest.mark.parametrize("how", ["bad value", "wrong type", "too many lines"])
def test_a_provider_that_gives_nonsense(surfaces: Surfaces, canary: Canary, how: str) -> None:
    """C28: what a provider or an Observable gave, and could not be used, is not quoted."""
    given: Any = {
        "bad value": {"token": f"{canary.text}é"},
        "wrong type": [canary.text],
        "too many lines": f"{canary.text}\r\nX: 1",
    }[how]
    with server() as peer:
        socket = Socket(peer.url, auth=lambda: given, carrier=header(), backoff=quick())
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, ProviderFailed)
        look(surfaces, watch)
        socket.close().result(5)
        source: BehaviorSubject[Any] = BehaviorSubject("fine")
        other = Socket(peer.url, auth=source, carrier=header(), backoff=quick())
        watch = Watch(other)
        watch.wait(Opened)
        source.on_next(given)
        watch.until(lambda watch: watch.of(SourceFailed) or watch.of(ConnectFailed))
        look(surfaces, watch)
        other.close().result(5)


def test_requests_and_credentials(surfaces: Surfaces, canary: Canary) -> None:
    """C28: requests, what carriers give, credentials, secrets, asks and options show nothing."""
    socket = Socket("ws://127.0.0.1:1/?k=1", auth={"token": canary.text, "n": Secret(canary.text)})
    options = options_of(socket)
    credential = socket.auth.value
    secret = Secret(canary.text)
    for carrier, _ in CARRIERS.values():
        carried = carrier({"token": canary.text})
        surfaces.show("carried", carried)
        surfaces.show("carrier", carrier)

    async def at_once() -> None:
        pass

    request: Request = options.request(options.endpoint.addresses[0], credential, at_once)
    for thing in (request, options, options.handshake, options.endpoint, credential, secret, Ask):
        surfaces.show(type(thing).__name__, thing)
    surfaces.text("in a list", repr([secret, credential, {"a": secret}]))
    surfaces.text("formatted", f"{secret} {credential!r:>50} {secret!s}")
    for thing in (secret, credential):
        for use in (pickle.dumps, copy.deepcopy, copy.copy):
            try:
                surfaces.text("copied", repr(use(thing)))
            except TypeError as error:
                surfaces.show("error", error)
    assert secret.reveal() == canary.text
    for _ in range(60):
        surfaces.text("filler", "")


@pytest.mark.parametrize("how", ["nonsense", "raises", "gives up", "hangs", "expires= raises"])
def test_a_refreshing_that_fails(surfaces: Surfaces, canary: Canary, how: str) -> None:
    """C28: nor does what a shared source says when it fails, or what it is asked to print."""
    answer = {"access_token": canary.text, "expires_in": 60, "refresh_token": canary.text}
    stuck = threading.Event()

    def provide() -> Any:
        held = dict(answer)
        if how == "raises":
            raise OSError("the vault is closed")
        if how == "gives up":
            raise Unauthorized("log in again")
        if how == "hangs":
            stuck.wait(5)
        return held if how == "expires= raises" else [held]

    tokens = refreshing(provide, timeout=0.1, expires=lambda given: given["scope"])
    printed: list[object] = []
    errors: list[Exception] = []
    tokens.errors.subscribe(errors.append)
    with server() as peer:
        socket = Socket(peer.url, auth=tokens, backoff=quick())
        watch = Watch(socket)
        subscription = tokens.subscribe(printed.append)
        watch.until(lambda watch: watch.of(ConnectFailed) or watch.of(AwaitingAuth))
        stuck.set()
        look(surfaces, watch, *errors)
        for error in errors:
            surfaces.locals("refreshing.errors", error)
        for thing in (tokens, tokens.errors, auth_provider(socket), *printed):
            surfaces.show(type(thing).__name__, thing)
        assert peer.dials == 0
        subscription.dispose()
        socket.close().result(5)


def test_a_refreshing_that_works(surfaces: Surfaces, canary: Canary) -> None:
    """C28: renewed on a live connection, printed, and shown from everywhere."""
    count = 0

    def provide() -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"token": f"{canary.text}{count}", "expires_in": 1.5}

    tokens = refreshing(provide)
    printed: list[object] = []
    with server() as peer:
        socket = Socket(peer.url, auth=tokens, stable_after=0.1)
        watch = Watch(socket)
        subscription = tokens.subscribe(printed.append)
        watch.wait(Opened, 2)
        assert peer.handshakes[1].credential == f"{canary.text}2"
        claim = current_source(socket)
        look(surfaces, watch, *printed)
        for thing in (tokens, auth_provider(socket), claim, *printed):
            surfaces.show(type(thing).__name__, thing)
        subscription.dispose()
        socket.close().result(5)


def test_a_failing_observer_of_auth(surfaces: Surfaces, canary: Canary) -> None:
    """C28, C23: the traceback of an observer that fails on auth shows no credential."""
    with server() as peer:
        socket = Socket(peer.url, auth="first")

        def bad(credential: Credential) -> None:
            if socket.auth.value is credential and credential.fingerprint != before:
                raise RuntimeError(f"cannot use {credential}")

        before = socket.auth.value.fingerprint
        socket.auth.subscribe(bad)
        watch = Watch(socket)
        watch.wait(Opened)
        socket.set_auth(canary.text)
        failed = watch.wait(ObserverFailed)
        assert isinstance(failed.error, RuntimeError)
        look(surfaces, watch)
        socket.close().result(5)


@pytest.mark.parametrize(
    "source", ["string provider", *(pytest.param(one, marks=pytest.mark.slow) for one in SOURCES)]
)
def test_the_debug_mode_of_asyncio(surfaces: Surfaces, canary: Canary, source: str) -> None:
    """C28: it writes down what it calls and with what, and tasks with what they wait for."""
    canary.text = canary.core = "q8x5z0rk"  # short: what is long is cut
    canary.forms = {canary.text}
    sources = {"string provider": lambda text: lambda: text, **SOURCES}

    async def look_at_tasks() -> None:
        while True:
            for task in asyncio.all_tasks():
                surfaces.text("a task", repr(task))
            await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0
        looking = loop.create_task(look_at_tasks())
        with server(accept().send("hello").stay(), accept()) as peer:
            socket = Socket(peer.url, auth=sources[source](canary.text), backoff=quick())
            async with socket:
                async for _ in socket.messages:
                    break
                surfaces.show("outcome", await socket.set_auth({"token": f"{canary.text}2"}))
                await socket.send(canary.text)
            await socket.close()
        looking.cancel()

    asyncio.run(main())
