"""C28: a canary credential, put on real connections in every way, shows on no surface."""

from __future__ import annotations

import base64
import copy
import dataclasses
import logging
import pickle
import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from internals import Script, auth_provider, current_source, options_of
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject

from rxsocket import (
    Ask,
    AwaitingAuth,
    Carried,
    Carrier,
    Closed,
    ConnectFailed,
    Credential,
    End,
    HandshakeInvalid,
    HandshakeRefused,
    InEffect,
    ObserverFailed,
    Opened,
    ProviderFailed,
    RedirectRefused,
    Refused,
    Rejected,
    RenewalFailed,
    Request,
    Secret,
    Socket,
    SourceFailed,
    Unauthorized,
    cookie,
    first_message,
    handover,
    header,
    history,
    in_band,
    query,
    refreshing,
    standard,
    subprotocol,
)
from rxsocket.testing import Handshake, accept, reject, server, unreachable

from .wire_helpers import Peer, Watch, quick, raw


class Canary:
    """A credential that would be recognised anywhere, in any of its encodings."""

    def __init__(self) -> None:
        # Every character class that an encoding changes, around a part that none does.
        self.core = secrets.token_hex(12)
        self.text = f"k+/{self.core}=&%?"
        raw_bytes = self.text.encode()
        encoded = (base64.b64encode(raw_bytes), base64.urlsafe_b64encode(raw_bytes))
        # Within a longer text, base64 depends on the offset: take what is the same in the middle.
        shifted = [
            base64.b64encode(b"x" * pad + self.core.encode())[4:-4].decode() for pad in range(3)
        ]
        self.forms = {
            self.core,
            self.text,
            quote(self.text),
            quote(self.text, safe=""),
            quote_plus(self.text),
            self.core.encode().hex(),
            self.core[::-1],
            *(form.decode().rstrip("=") for form in encoded),
            *shifted,
        }

    def found_in(self, text: str) -> bool:
        """Whether a text shows it."""
        lowered = text.lower()
        return any(form in text or form.lower() in lowered for form in self.forms)


class Surfaces:
    """Everything that was shown, to be searched at the end."""

    def __init__(self, canary: Canary) -> None:
        self._canary = canary
        self._shown: list[tuple[str, str]] = []
        self._seen: set[int] = set()
        self._kept: list[object] = []
        self._lock = threading.Lock()

    def text(self, where: str, text: str) -> None:
        """Note a text."""
        with self._lock:
            self._shown.append((where, text))

    def show(self, where: str, thing: object) -> None:
        """Note what an object shows: repr, str, format, its fields, what it was chained to."""
        with self._lock:
            if id(thing) in self._seen:
                return
            self._seen.add(id(thing))
            self._kept.append(thing)
        for form in (repr, str, format, ascii):
            self.text(f"{form.__name__} of {where}", form(thing))
        if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            fields = {field.name for field in dataclasses.fields(thing) if field.repr}
            for name in fields:
                self.show(f"{where}.{name}", getattr(thing, name))
        if isinstance(thing, BaseException):
            self.error(where, thing)

    def everything(self, where: str, event: Any) -> None:
        """Note every field of an event, also those that its repr leaves out."""
        self.show(where, event)
        if dataclasses.is_dataclass(event) and not isinstance(event, type):
            for field in dataclasses.fields(event):
                self.show(f"{where}.{field.name}", getattr(event, field.name))
            self.text(f"asdict of {where}", repr(_asdict(event)))
        error = getattr(event, "error", None)
        if isinstance(error, BaseException) and not isinstance(event, ObserverFailed):
            self.locals(f"{where}.error", error)

    def error(self, where: str, error: BaseException) -> None:
        """Note an exception: its arguments, attributes, chain, and traceback with sources."""
        self.text(f"args of {where}", repr(error.args))
        self.text(f"vars of {where}", repr(vars(error)))
        for chained in traceback.TracebackException.from_exception(error).format(chain=True):
            self.text(f"traceback of {where}", chained)
        for name in ("__cause__", "__context__", "cause"):
            other = getattr(error, name, None)
            if isinstance(other, BaseException):
                self.show(f"{where}.{name}", other)

    def locals(self, where: str, error: BaseException) -> None:
        """Note the variables in a traceback: crash reporters send them away."""
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for name, value in frame.f_locals.items():
                self.text(f"local {name} in the traceback of {where}", repr(value))

    def record(self, record: logging.LogRecord) -> None:
        """Note a log record: its text, and every value that it carries."""
        where = f"log record of {record.name} ({record.msg!r})"
        self.text(where, record.getMessage())
        for name, value in vars(record).items():
            self.text(f"{where}.{name}", repr(value))
            if name == "args" and isinstance(value, tuple):
                for item in value:
                    self.show(f"{where}.args", item)
        if record.exc_info and record.exc_info[1] is not None:
            self.show(f"{where}.exc_info", record.exc_info[1])
        self.text(f"formatted {where}", logging.Formatter().format(record))

    def check(self) -> None:
        """Fail if the canary is in anything that was shown."""
        assert len(self._shown) > 50, "too little was looked at to say anything"
        leaks = [where for where, text in self._shown if self._canary.found_in(text)]
        assert not leaks, f"the secret shows in {len(leaks)} places: {leaks[:12]}"


def _asdict(event: Any) -> dict[str, Any]:
    """As dataclasses.asdict, but exceptions are not copied."""
    try:
        return dataclasses.asdict(event)
    except TypeError:  # something in it, such as an SSL error, cannot be copied
        return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


class _Collecting(logging.Handler):
    def __init__(self, surfaces: Surfaces) -> None:
        super().__init__(logging.NOTSET)
        self._surfaces = surfaces
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self._surfaces.record(record)


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


@pytest.fixture
def canary() -> Canary:
    """A fresh canary."""
    return Canary()


@pytest.fixture
def surfaces(canary: Canary, capfd: pytest.CaptureFixture[str]) -> Iterator[Surfaces]:
    """What is shown, with every logger at its finest; searched for the canary in the end."""
    shown = Surfaces(canary)
    handler = _Collecting(shown)
    names = (None, "asyncio", "rxsocket", "websockets", "picows", "aiofastnet", "python_socks")
    loggers = [logging.getLogger(name) for name in names]
    loggers += [
        logging.getLogger(name)
        for name in ("websockets.client", "websockets.server", "websockets.protocol")
    ]
    loggers.append(logging.getLogger("picows.client"))
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(1)  # picows writes its frames below DEBUG
    loggers[0].addHandler(handler)
    try:
        yield shown
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    out, err = capfd.readouterr()
    shown.text("stdout", out)
    shown.text("stderr", err)
    shown.check()


def look(surfaces: Surfaces, watch: Watch, *more: object) -> None:
    """Note all that a socket's user can see of it."""
    socket = watch.socket
    for name in ("events", "opens", "closes", "messages", "sessions", "errors", "state", "auth"):
        stream = getattr(socket, name)
        surfaces.show(f"socket.{name}", stream)
        if hasattr(stream, "value"):
            surfaces.show(f"socket.{name}.value", stream.value)
    surfaces.show("socket", socket)
    for name, value in vars(socket).items():
        surfaces.show(f"vars(socket)[{name!r}]", value)
    for event in watch.events:
        surfaces.everything(type(event).__name__, event)
    if watch.error is not None:
        surfaces.show("on_error", watch.error)
    for thing in more:
        surfaces.everything(type(thing).__name__, thing)


def signed(value: Any) -> Carried:
    """A carrier of the user's."""
    text = value if isinstance(value, str) else value["token"]
    return Carried(headers={"X-Signature": text}, subprotocols=[quote(text, safe="")])


CARRIERS: dict[str, tuple[Carrier, Callable[[Handshake], str | None]]] = {
    "query": (query(), lambda seen: seen.credential),
    "bearer": (header(), lambda seen: seen.credential),
    "own header": (header("X-Api-Key", scheme=None), lambda seen: seen.headers.get("X-Api-Key")),
    "cookie": (cookie(), lambda seen: seen.credential),
    "subprotocol": (subprotocol("v1"), lambda seen: seen.credential),
    "plain subprotocol": (
        subprotocol("v1", encode=lambda text: quote(text, safe="")),
        lambda seen: unquote(seen.subprotocols[-1]),
    ),
    "function": (signed, lambda seen: seen.headers.get("X-Signature")),
    "combined": (query("key") & cookie() & signed, lambda seen: seen.credential),
}


def arrived(peer: Any, carrier: str, canary: Canary) -> bool:
    """Whether the newest handshake carried the canary, in the way of the carrier."""
    return CARRIERS[carrier][1](peer.handshakes[-1]) == canary.text


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


ACCEPTED, REFUSED = "welcome", "unknown"
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


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_401(surfaces: Surfaces, canary: Canary, carrier: str) -> None:
    """C28: a refusal whose body and headers quote the credential does not show it."""
    with server(reject(401, {"X-Echo": canary.text}, body=f"bad token {canary.text}")) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0])
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert arrived(peer, carrier, canary)
        same = socket.set_auth(canary.text)
        look(surfaces, watch, same, same.result(5))
        socket.close().result(5)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_other_statuses(surfaces: Surfaces, canary: Canary, status: int) -> None:
    """C28: nor does any other refusal, fatal ones with their SocketFailed included."""
    with server(*[reject(status, body=canary.text)] * 5) as peer:
        socket = Socket(peer.url, auth=canary.text, backoff=quick())
        watch = Watch(socket)
        watch.wait(Rejected if status == 400 else ConnectFailed)
        if status != 404:
            socket.close().result(5)
        watch.ended()
        look(surfaces, watch)


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "not HTTP": lambda secret: b"SSH-2.0 " + secret + b"\r\n\r\n",
    "no upgrade": lambda secret: b"HTTP/1.1 101 " + secret + b"\r\nX: " + secret + b"\r\n\r\n",
    "bad header": lambda secret: b"HTTP/1.1 101 OK\r\n" + secret + b"\r\n\r\n",
    "bad status": lambda secret: b"HTTP/1.1 " + secret + b"\r\n\r\n",
    "wrong accept": lambda secret: (
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + secret + b"\r\n\r\n"
    ),
    "bad extension": lambda secret: (
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Extensions: " + secret + b"\r\n\r\n"
    ),
    "bad length": lambda secret: b"HTTP/1.1 200 OK\r\nContent-Length: " + secret + b"\r\n\r\n",
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_bad_handshakes(surfaces: Surfaces, canary: Canary, carrier: str, answer: str) -> None:
    """C28: an answer that is no handshake and quotes the credential does not show it."""

    def play(peer: Peer) -> None:
        peer.send(ANSWERS[answer](canary.text.encode()))

    with raw(play) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0], backoff=quick())
        watch = Watch(socket)
        watch.wait(ConnectFailed)
        look(surfaces, watch)
        socket.close().result(5)
        assert canary.found_in(peer.requests[0].decode())


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


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_origin(
    surfaces: Surfaces, canary: Canary, carrier: str, status: int
) -> None:
    """C28: within the origin the credential is put on the next request again."""
    location = "/moved?room=1"
    with server(reject(status, {"Location": location})) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0])
        watch = Watch(socket)
        watch.wait(Opened)
        assert arrived(peer, carrier, canary)
        assert peer.handshakes[-1].path == "/moved"
        assert peer.handshakes[-1].query["room"] == "1"
        assert len(peer.handshakes) == 2
        look(surfaces, watch)
        socket.close().result(5)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_redirect_to_another_origin(surfaces: Surfaces, canary: Canary, carrier: str) -> None:
    """C28: the credential does not go to another origin; the error names that origin, once."""
    with server() as elsewhere, server() as peer:
        target = f"{elsewhere.url}steal?was={quote_plus(canary.text)}"
        peer.script(reject(302, {"Location": target}))
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0])
        watch = Watch(socket)
        awaiting = watch.wait(AwaitingAuth)
        error = watch.of(Rejected)[0].error
        assert isinstance(error, RedirectRefused)
        assert elsewhere.url.rstrip("/") in str(error)
        assert elsewhere.url.rstrip("/") in awaiting.reason
        assert elsewhere.dials == 0
        assert len(peer.handshakes) == 1
        socket.close().result(5)
        watch.ended()
        look(surfaces, watch)


def test_what_the_user_put_in_the_address(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a secret in the URL itself, as query or user info, shows nowhere either."""
    with server(reject(503), accept()) as peer:
        hidden = peer.url.replace("ws://", f"ws://user:{canary.core}@")
        socket = Socket(f"{hidden}feed?key={quote_plus(canary.text)}", backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        assert peer.handshakes[-1].query["key"] == canary.text
        assert "Authorization" in peer.handshakes[-1].headers
        look(surfaces, watch)
        socket.close().result(5)


def test_additional_headers(surfaces: Surfaces, canary: Canary) -> None:
    """C28: Authorization and Cookie among additional_headers do not show, and leave no origin."""
    with server() as elsewhere, server() as peer:
        peer.script(reject(307, {"Location": f"{elsewhere.url}next"}))
        socket = Socket(
            peer.url,
            additional_headers={"Authorization": canary.text, "Cookie": f"s={canary.core}"},
        )
        watch = Watch(socket)
        watch.wait(Opened)
        assert peer.handshakes[0].headers["Authorization"] == canary.text
        headers = elsewhere.handshakes[0].headers
        assert not any(canary.found_in(f"{name}{value}") for name, value in headers.raw_items())
        surfaces.show("options", options_of(socket).handshake)
        surfaces.show("plan", options_of(socket))
        look(surfaces, watch)
        socket.close().result(5)


def test_nobody_there(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a refused TCP connection, and one that is cut, show nothing."""
    for script, url in ((unreachable(), None), (accept(), "ws://127.0.0.1:1/")):
        with server(script) as peer:
            socket = Socket(url or peer.url, auth=canary.text, backoff=quick())
            watch = Watch(socket)
            watch.wait(ConnectFailed)
            look(surfaces, watch)
            socket.close().result(5)


def test_an_unanswered_handshake(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a handshake that times out shows nothing of itself."""
    release = threading.Event()
    with raw(lambda peer: release.wait(5)) as peer:
        socket = Socket(
            peer.url, auth=canary.text, carrier=header(), open_timeout=0.05, backoff=quick()
        )
        watch = Watch(socket)
        assert isinstance(watch.wait(ConnectFailed).error, TimeoutError)
        look(surfaces, watch)
        socket.close().result(5)
        release.set()


@pytest.mark.parametrize("kind", ["proxy", "proxy refuses"])
def test_a_proxy(surfaces: Surfaces, canary: Canary, kind: str) -> None:
    """C28: neither the proxy's password nor what it answers shows."""

    def play(peer: Peer) -> None:
        if kind == "proxy refuses":
            peer.send(b"HTTP/1.1 407 " + canary.core.encode() + b"\r\nContent-Length: 0\r\n\r\n")

    with raw(play) as proxy:
        address = proxy.url.replace("ws://", f"http://user:{canary.core}@")
        socket = Socket("ws://feed.invalid/", auth=canary.text, proxy=address, backoff=quick())
        watch = Watch(socket)
        watch.wait(ConnectFailed)
        look(surfaces, watch)
        surfaces.show("options", options_of(socket).handshake)
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

    request: Request = options.request(credential, at_once)
    for thing in (request, options, options.handshake, options.address, credential, secret, Ask):
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


def test_a_server_that_makes_up_a_subprotocol(surfaces: Surfaces, canary: Canary) -> None:
    """C28: one that was not offered, and quotes the credential, is an invalid handshake."""

    def play(peer: Peer) -> None:
        made_up = b"Sec-WebSocket-Protocol: x." + canary.core.encode() + b"\r\n\r\n"
        peer.send(peer.answer[: -len(b"\r\n")] + made_up)

    with raw(play) as peer:
        carrier = subprotocol("v1")
        socket = Socket(peer.url, auth=canary.text, carrier=carrier, backoff=quick())
        watch = Watch(socket)
        assert isinstance(watch.wait(ConnectFailed).error, HandshakeInvalid)
        look(surfaces, watch)
        socket.close().result(5)


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
