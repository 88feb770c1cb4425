"""C39: a certificate of the client is a credential like any other."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from issuing import PASSWORD, Issued, issue
from reactivex import Observable
from scene import known
from surfaces import Surfaces

from rxsocket import (
    AwaitingAuth,
    Carried,
    ClientCertificate,
    Closed,
    ConnectFailed,
    Connecting,
    CredentialRefused,
    HandshakeError,
    Opened,
    ProviderFailed,
    Rejected,
    Request,
    Secret,
    Socket,
    State,
    client_certificate,
    cookie,
    handover,
    header,
    query,
    subprotocol,
)
from rxsocket.testing import VirtualClock, accept, fake

URL = "wss://fake.test/"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def mine(authority: trustme.CA) -> Issued:
    return issue(authority, "me@example.com")


@pytest.fixture(scope="module")
def yours(authority: trustme.CA) -> Issued:
    return issue(authority, "you@example.com")


def plain_tls() -> ssl.SSLContext:
    """Quick to make: there is no network here."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Dials:
    """A peer that notes what it is dialled with; it has no TLS, as it has no network."""

    def __init__(self, *scripts: Any) -> None:
        self.peer = fake(*scripts)
        self.requests: list[Request] = []
        self.refusal: Exception | None = None

    def __call__(self, request: Request) -> Observable[Any]:
        self.requests.append(request)
        if self.refusal is not None:
            raise self.refusal
        return self.peer(request)

    def socket(self, **options: Any) -> Socket[Any, Any]:
        options = {"carrier": client_certificate(), "ssl": plain_tls, **options}
        return Socket(URL, transport=self, backoff=known(), **options)


# --- each attempt


@pytest.mark.parametrize("form", ["files", "PEM", "one file", "one text", "encrypted", "a Secret"])
def test_each_form_of_it(clock: VirtualClock, mine: Issued, tmp_path: Path, form: str) -> None:
    """Paths or PEM, apart or together, the key encrypted or not."""
    both = mine.certificate + mine.key
    (tmp_path / "both.pem").write_text(both)
    auth: dict[str, Any] = {
        "files": mine.write(tmp_path),
        "PEM": mine.value,
        "one file": str(tmp_path / "both.pem"),
        "one text": both,
        "encrypted": {**mine.value, "key": mine.encrypted_key, "password": PASSWORD},
        "a Secret": {"certificate": mine.certificate, "key": Secret(mine.key)},
    }
    dials = Dials()
    socket = dials.socket(auth=auth[form])
    socket.messages.subscribe()
    clock.advance(1.0)
    assert socket.state.value is State.OPEN
    [request] = dials.requests
    assert request.has_certificate and not request.anonymous
    assert request.credential == "as the certificate of the client"
    assert request.url == URL and request.headers == ()
    socket.close()
    clock.advance(3.0)


@pytest.mark.parametrize("form", ["files", "PEM"])
def test_where_no_file_is_in_memory(
    monkeypatch: pytest.MonkeyPatch, mine: Issued, tmp_path: Path, form: str
) -> None:
    """Elsewhere than on Linux the files themselves are read, or one that is gone afterwards."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    Dials().socket(auth=mine.write(tmp_path) if form == "files" else mine.value)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_tls_begins_anew_with_each_attempt(
    clock: VirtualClock, mine: Issued, yours: Issued, tmp_path: Path
) -> None:
    """What an attempt sends is what the files hold then; a file that is half written is no end."""
    dials = Dials()
    made: list[ssl.SSLContext] = []

    def settings() -> ssl.SSLContext:
        made.append(plain_tls())
        return made[-1]

    socket = dials.socket(auth=mine.write(tmp_path), ssl=settings)
    problems: list[Any] = []
    socket.errors.subscribe(problems.append)
    socket.messages.subscribe()
    clock.advance(10.0)
    (tmp_path / "client.pem").write_text(yours.certificate)
    socket.reconnect()
    clock.advance(1.0)
    [failed] = [one for one in problems if isinstance(one, ConnectFailed)]
    assert "carried: the key does not belong to the certificate" in str(failed.error)
    yours.write(tmp_path)
    clock.advance(10.0)
    assert socket.state.value is State.OPEN
    assert len(dials.requests) == 2 and len(made) == 3
    contexts = [request.options.ssl for request in dials.requests]
    assert contexts == [made[0], made[2]]
    socket.close()
    clock.advance(3.0)


def test_a_change_of_it_hands_over(clock: VirtualClock, mine: Issued, yours: Issued) -> None:
    """C13: it is a renewal when identity= says so; else it gets reconnect()."""
    dials = Dials()
    socket = dials.socket(
        auth=mine.value,
        on_auth_change=handover(),
        identity=lambda value: "me" if "BEGIN" in value["certificate"] else "somebody",
    )
    events: list[Any] = []
    socket.events.subscribe(events.append)
    clock.advance(10.0)
    socket.set_auth(yours.value)
    clock.advance(5.0)
    kinds = [type(event) for event in events]
    assert kinds == [Connecting, Opened, Connecting, Closed, Opened]
    assert events[-1].gap == 0.0 and len(dials.requests) == 2
    assert dials.requests[0].options.ssl is not dials.requests[1].options.ssl
    socket.close()
    clock.advance(3.0)


def test_a_refusal_is_one_of_the_credential(
    clock: VirtualClock, mine: Issued, yours: Issued
) -> None:
    """C9: it is not dialled again, another one is, and it is said where it went."""
    dials = Dials()
    dials.refusal = CredentialRefused("the certificate of the client is revoked")
    socket = dials.socket(auth=mine.value)
    events: list[Any] = []
    socket.events.subscribe(events.append)
    clock.advance(100.0)
    assert [type(event) for event in events] == [Connecting, Rejected, AwaitingAuth]
    assert len(dials.requests) == 1
    assert "is revoked; the credential went as the certificate of the client" in str(
        socket.explain()
    )
    dials.refusal = None
    socket.set_auth(yours.value)
    clock.advance(1.0)
    assert socket.state.value is State.OPEN
    socket.close()
    clock.advance(3.0)


# --- with other carriers


@pytest.mark.parametrize(
    "carries",
    [
        client_certificate() & header(),
        header() & client_certificate(),
        query(only="room") & client_certificate() & header(only="token"),
        (query(only="room") & header(only="token")) & (cookie(only=[]) & client_certificate()),
    ],
)
def test_others_carry_the_rest(clock: VirtualClock, mine: Issued, carries: Any) -> None:
    """The certificate's entries are its own: nothing of them is in a header or the URL."""
    dials = Dials()
    socket = dials.socket(auth={**mine.value, "token": "abc", "room": 7}, carrier=carries)
    socket.messages.subscribe()
    clock.advance(1.0)
    [request] = dials.requests
    headers = dict(request.headers)
    assert headers["Authorization"] == "Bearer abc"
    assert set(headers) <= {"Authorization", "room"} and request.has_certificate
    assert "certificate=" not in request.url and "key=" not in request.url
    assert "and as the certificate of the client" in request.credential
    socket.close()
    clock.advance(3.0)


def test_a_function_may_carry_one(clock: VirtualClock, mine: Issued) -> None:
    """What Carried takes it takes from functions, too; alone and combined."""
    dials = Dials()

    def from_vault(value: Any) -> Carried:
        return Carried(certificate=ClientCertificate(value["chain"], value["private"]))

    auth = {"chain": mine.certificate, "private": mine.key}
    for carries in (from_vault, from_vault & query(only=[])):
        socket = dials.socket(auth=auth, carrier=carries)
        socket.messages.subscribe()
        clock.advance(1.0)
        assert socket.state.value is State.OPEN and dials.requests[-1].has_certificate
        socket.close()
        clock.advance(3.0)


# --- what cannot be used


def _files(issued: Issued, folder: Path, **changed: str) -> dict[str, str]:
    return {**issued.write(folder), **changed}


BAD: dict[str, tuple[Callable[[Issued, Issued, Path], Any], str]] = {
    "a missing file": (
        lambda mine, _, folder: _files(mine, folder, key=str(folder / "s3cr3t-none.key")),
        "auth['key'] cannot be read: No such file or directory; pass the key as the path of a "
        "file, or as PEM",
    ),
    "a folder": (
        lambda mine, _, folder: _files(mine, folder, certificate=str(folder)),
        "auth['certificate'] cannot be read: it is no file; pass the certificate as the path of a "
        "file, or as PEM",
    ),
    "a token": (
        lambda *_: "s3cr3t-token",
        "auth cannot be read: No such file or directory; pass the certificate and its key as the "
        "path of a file, or as PEM",
    ),
    "a file without PEM": (
        lambda mine, _, folder: _files(mine, folder, certificate=__file__),
        "auth['certificate']: there is no certificate in PEM in what was given",
    ),
    "no key": (
        lambda mine, *_: {"certificate": mine.certificate},
        "auth['certificate']: there is no private key in PEM in what was given",
    ),
    "two certificates": (
        lambda mine, *_: {"certificate": mine.certificate, "key": mine.certificate},
        "auth['key']: there is no private key in PEM in what was given",
    ),
    "a key of another one": (
        lambda mine, yours, _: {"certificate": mine.certificate, "key": yours.key},
        "the key does not belong to the certificate",
    ),
    "a damaged certificate": (
        lambda mine, *_: {**mine.value, "certificate": _damaged(mine.certificate)},
        "the certificate is damaged",
    ),
    "a damaged key": (
        lambda mine, *_: {**mine.value, "key": _damaged(mine.key)},
        "the key is damaged",
    ),
    "no password": (
        lambda mine, *_: {**mine.value, "key": mine.encrypted_key},
        "the key is encrypted: pass its password, too",
    ),
    "a wrong password": (
        lambda mine, *_: {**mine.value, "key": mine.encrypted_key, "password": "wr0ng-one"},
        "the password does not open the key, or the key is damaged",
    ),
    "no certificate": (
        lambda mine, *_: {"key": mine.key},
        "auth: pass 'certificate', a path or PEM, and 'key' likewise",
    ),
    "a number": (
        lambda mine, *_: {**mine.value, "key": 7},
        "auth['key']: pass a path, or a text in PEM, not int",
    ),
    "what nobody carries": (
        lambda mine, *_: {**mine.value, "token": "abc"},
        "auth['token']: is no part of a certificate; say where it goes, as in "
        "client_certificate() & query(only='token')",
    ),
}


def _damaged(pem: str) -> str:
    lines = pem.splitlines(keepends=True)
    return "".join([lines[0], "AAAA" + lines[1][4:], *lines[2:]])


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_said_at_once(
    clock: VirtualClock, mine: Issued, yours: Issued, tmp_path: Path, name: str
) -> None:
    """C10: a value is refused where it is passed; what a provider gives is a failed attempt."""
    make, text = BAD[name]
    value = make(mine, yours, tmp_path)
    with pytest.raises((TypeError, ValueError)) as raised:
        Dials().socket(auth=value)
    assert str(raised.value) == text
    dials = Dials()
    socket = dials.socket(auth=mine.value)
    with pytest.raises((TypeError, ValueError)) as raised:
        socket.set_auth(value)
    assert str(raised.value) == text
    provided = dials.socket(auth=lambda: value)
    problems: list[Any] = []
    provided.errors.subscribe(problems.append)
    provided.messages.subscribe()
    clock.advance(0.5)
    [failed] = problems
    assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ProviderFailed)
    assert str(failed.error) == f"the credential cannot be carried: {text}"
    assert dials.requests == []
    provided.close()
    clock.advance(3.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none here")
def test_a_pipe_that_nobody_writes_blocks_nothing(mine: Issued, tmp_path: Path) -> None:
    """The loop would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"^auth\['key'\] cannot be read: it is no file; pass"):
        Dials().socket(auth={**mine.value, "key": str(tmp_path / "pipe")})


def test_an_address_without_tls_is_that_of_its_source(clock: VirtualClock, mine: Issued) -> None:
    """C33: what is wrong is what was given as url=, and not the credential."""
    dials = Dials()
    socket = Socket(
        lambda: "ws://fake.test/", auth=mine.value, carrier=client_certificate(), transport=dials
    )
    socket.messages.subscribe()
    clock.advance(0.1)
    explained = socket.explain()
    assert "url: client_certificate() goes with a wss:// address; this one is" in explained.why
    assert explained.advice.startswith("look into what was given as url=")
    assert "auth=" not in str(explained) and dials.requests == []
    socket.close()
    clock.advance(3.0)


def test_where_it_does_not_go(mine: Issued) -> None:
    """Errors name the argument, and say what to pass instead."""
    carries = client_certificate()
    with pytest.raises(ValueError, match=r"goes with a wss:// address; this one is ws://"):
        Socket("ws://host/", carrier=carries)
    with pytest.raises(ValueError, match=r"^ssl: .* pass a function that makes them, such as"):
        Socket(URL, carrier=carries, ssl=plain_tls())
    with pytest.raises(ValueError, match=r"^ssl: .* pass a function that makes them"):
        Socket(
            URL,
            auth=mine.value,
            carrier=lambda value: Carried(certificate=ClientCertificate(**value)),
            ssl=plain_tls(),
        )
    with pytest.raises(TypeError, match=r"^carrier: call it, client_certificate\(\.\.\.\)"):
        Socket(URL, carrier=client_certificate)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two of the combined carriers set the certificate"):
        client_certificate() & client_certificate()
    with pytest.raises(ValueError, match=r"^auth: several carriers share it: pass a mapping"):
        Socket(URL, auth=mine.certificate + mine.key, carrier=carries & header())


@pytest.mark.parametrize("carries", [None, query(), header(), cookie(), subprotocol(key="key")])
@pytest.mark.parametrize("whole", [False, True])
def test_a_key_goes_nowhere_else(mine: Issued, carries: Any, whole: bool) -> None:
    """Where client_certificate() was forgotten, no other carrier puts a key anywhere."""
    value = mine.key if whole else {"key": mine.key}
    with pytest.raises(ValueError, match=r"^auth\['\w+'\]: holds LF"):
        Socket(URL, auth=value, carrier=carries)


# --- ssl= as a function


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (7, r"^ssl: pass an ssl\.SSLContext, a function that makes one, or None .*, not int"),
        (lambda one: one, r"^ssl: pass .*; this one takes \(one\)"),
    ],
)
def test_ssl_that_is_neither(given: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Socket(URL, ssl=given)


async def _asynchronous() -> ssl.SSLContext:
    return plain_tls()


def test_ssl_that_is_async() -> None:
    with pytest.raises(TypeError, match=r"^ssl: pass .*, not an async one"):
        Socket(URL, ssl=_asynchronous)  # type: ignore[arg-type]


@pytest.mark.parametrize("auth", [None, "a", "a provider"])
def test_settings_that_fail_are_a_failed_attempt(clock: VirtualClock, auth: str | None) -> None:
    """C23: with a credential or without; the next attempt asks again."""
    answers: list[Any] = [FileNotFoundError("no authority.pem"), "tls", plain_tls()]
    dials = Dials()

    def settings() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    options: dict[str, Any] = {"auth": "a"} if auth == "a" else {"auth": lambda: "a"}
    socket = dials.socket(carrier=query(), ssl=settings, **({} if auth is None else options))
    problems: list[Any] = []
    socket.errors.subscribe(problems.append)
    socket.messages.subscribe()
    clock.advance(20.0)
    errors = [problem.error for problem in problems if isinstance(problem, ConnectFailed)]
    assert [type(error) for error in errors] == [HandshakeError] * 2
    assert [str(error) for error in errors] == [
        "the function given as ssl= raised FileNotFoundError: no authority.pem",
        "the function given as ssl= returned str, not an ssl.SSLContext",
    ]
    assert socket.state.value is State.OPEN and len(dials.requests) == 1
    socket.close()
    clock.advance(3.0)


# --- secrets


def test_no_line_of_a_key_shows(
    clock: VirtualClock, mine: Issued, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """C28: whatever a server says, a carrier raises or a credential is asked for."""
    lines = mine.secret_lines
    said = f"got {lines[0]} and {''.join(lines)}"

    class It:
        def __init__(self) -> None:
            self.dials = Dials(accept().close(1011, said[:120]), accept().close(1011, said[-120:]))
            self.socket = self.dials.socket(auth=mine.value)
            self.events: list[Any] = []
            self.peer = self.dials.peer
            self.socket.events.subscribe(self.events.append)

    it = It()
    surfaces = Surfaces(it, caplog, tmp_path)  # type: ignore[arg-type]
    clock.advance(10.0)
    shown = surfaces.read()
    shown["request"] = repr(it.dials.requests)
    shown["certificate"] = repr(ClientCertificate(mine.certificate, mine.key, PASSWORD))
    shown["carried"] = repr(client_certificate()(mine.value))
    assert len([event for event in it.events if isinstance(event, Closed)]) == 2
    parts = [line[:16] for line in lines] + [PASSWORD]
    assert [name for name, text in shown.items() if any(part in text for part in parts)] == []
    it.socket.close()
    clock.advance(3.0)
