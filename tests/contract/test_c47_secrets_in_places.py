"""C47: credentials in files that are exchanged, in the environment and in a keyring."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scene import Make, Scene

from rxsocket import (
    Cause,
    Closed,
    ConnectFailed,
    Credential,
    Opened,
    Socket,
    State,
    client_certificate,
    handover,
    refreshing,
)
from rxsocket.credentials import (
    Unreadable,
    from_env,
    from_file,
    from_files,
    from_keyring,
)
from rxsocket.testing import VirtualClock

CANARY = "c4n4ry-s3cret"


def write(path: Path, text: str | bytes, age: float = 3600.0) -> None:
    """Write a file whole, as if some seconds ago."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    at = path.stat().st_mtime - age
    os.utime(path, (at, at + len(text) / 1000))


def problems(credential: Any) -> list[str]:
    found: list[str] = []
    credential.errors.subscribe(lambda error: found.append(str(error)))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token"


# --- following a file


def test_a_connection_follows_the_file(clock: VirtualClock, scene: Make, path: Path) -> None:
    """C47: what the file holds is there at once; what takes its place is, at the next look."""
    write(path, "one\n")
    it = scene(auth=from_file(path, interval=5.0))
    clock.advance(0.0)
    assert it.credentials == ["one"]
    clock.advance(4.0)
    write(path, " two \r\n")
    clock.advance(60.0)
    assert it.dials == [(0.0, "one"), (5.0, "two")]


def test_an_equal_text_is_no_change(clock: VirtualClock, scene: Make, path: Path) -> None:
    """C47, C6: a file that is written again with the same makes no handshake."""
    write(path, "one")
    it = scene(auth=from_file(path))
    clock.advance(5.0)
    write(path, "one\n", age=10.0)
    clock.advance(60.0)
    assert it.credentials == ["one"]


def test_kubernetes_exchanges_a_link(clock: VirtualClock, scene: Make, tmp_path: Path) -> None:
    """C47: a volume is exchanged by renaming the link ``..data`` that the file is behind."""
    for number in (1, 2):
        (tmp_path / f"..v{number}").mkdir()
        write(tmp_path / f"..v{number}" / "token", f"token-{number}")
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "token").symlink_to("..data/token")
    it = scene(auth=from_file(tmp_path / "token"))
    clock.advance(10.0)
    (tmp_path / "..new").symlink_to("..v2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    clock.advance(10.0)
    assert it.credentials == ["token-1", "token-2"]


def test_a_missing_file_is_said_once_and_waited_for(
    clock: VirtualClock, scene: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """C47: the socket awaits a credential; the log says why, once; then it connects."""
    source = from_file(path)
    found = problems(source)
    it = scene(auth=source)
    with caplog.at_level(logging.WARNING, "rxsocket"):
        clock.advance(60.0)
    assert it.socket.state.value is State.AWAITING_AUTH and it.credentials == []
    assert found == [f"cannot read {path}: No such file or directory"]
    why = f"the source given as auth= has not emitted one yet: {found[0]}"
    assert it.socket.explain().why == why and why in str(it.socket.explain())
    assert it.socket.explain().advice == "put that right, or call set_auth(...)"
    write(path, "late")
    clock.advance(3.0)
    assert not source.problem
    assert it.credentials == ["late"]
    path.unlink()
    clock.advance(60.0)
    assert it.socket.state.value is State.OPEN  # the last one is kept
    assert len(found) == 2


NOT_WHOLE: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", " is empty"),
    "blank": ("  \n", " is empty"),
    "cut": (json.dumps({"token": CANARY})[:-4], "is not what parse= takes, or half of it"),
    "other": (json.dumps([CANARY]), "pass a mapping such as"),
    "none": ("null", "is no credential"),
    "bytes": (b"\xff\xfe" + CANARY.encode(), "is not UTF-8 text"),
    "huge": (b"x" * (2**20 + 1), "has more than 1,048,576 bytes"),
}


@pytest.mark.parametrize("kind", NOT_WHOLE)
def test_half_a_file_is_no_credential(
    clock: VirtualClock, scene: Make, path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """C47: the one before is kept, the reason is told without the text (C28), and it goes on."""
    content, says = NOT_WHOLE[kind]
    write(path, '{"token": "one"}')
    source = from_file(path, parse=json.loads)
    found = problems(source)
    it = scene(auth=source)
    clock.advance(5.0)
    write(path, content, age=60.0)
    clock.advance(20.0)
    assert it.credentials == ["one"] and it.socket.state.value is State.OPEN
    assert len(found) == 1 and says in found[0]
    write(path, '{"token": "two"}', age=30.0)
    clock.advance(20.0)
    assert it.credentials == ["one", "two"]
    with pytest.raises(Unreadable) as raised:
        write(path, content, age=20.0)
        source()
    shown = f"{found} {raised.value!r} {source!r} {caplog.text}"
    assert says in str(raised.value) and CANARY not in shown


def test_a_file_that_is_being_written_is_not_taken(
    clock: VirtualClock, scene: Make, path: Path
) -> None:
    """C47: nor one whose last change is younger than ``settle``."""
    write(path, "one")
    it = scene(auth=from_file(path, settle=600.0))
    clock.advance(5.0)
    write(path, "tw", age=0.0)
    clock.advance(60.0)
    assert it.credentials == ["one"]
    write(path, "two")
    clock.advance(60.0)
    assert it.credentials == ["one", "two"]


def test_parts_that_belong_together_are_taken_together(
    clock: VirtualClock, scene: Make, tmp_path: Path
) -> None:
    """C47: of several files none is taken while one of them is being written."""
    names = ("certificate", "key")
    for name in names:
        write(tmp_path / name, f"{name} 1")
    source = from_files({name: tmp_path / name for name in names}, settle=600.0)
    got: list[Credential] = []
    following = source.subscribe(got.append)
    write(tmp_path / "certificate", "certificate 2")
    write(tmp_path / "key", "key 2", age=0.0)
    clock.advance(60.0)
    write(tmp_path / "key", "key 2", age=1800.0)
    clock.advance(60.0)
    following.dispose()
    clock.advance(0.0)
    values: list[Any] = [dict(one.reveal()) for one in got]  # type: ignore[call-overload]
    assert values == [{name: f"{name} {number}" for name in names} for number in (1, 2)]


def test_it_looks_while_somebody_listens(clock: VirtualClock, path: Path) -> None:
    """C47: nothing is left behind when the last one leaves; who comes later gets the newest."""
    write(path, "one")
    source = from_file(path)
    got: list[Any] = []
    first = source.subscribe(lambda one: got.append(one.reveal()))
    second = source.subscribe(lambda one: got.append(one.reveal()))
    first.dispose()
    second.dispose()
    clock.advance(1.0)
    assert clock.pending == 0 and not clock.tasks
    write(path, "two", age=60.0)
    source.subscribe(lambda one: got.append(one.reveal())).dispose()
    assert got == ["one", "one", "two"]


def test_it_shows_nothing(path: Path) -> None:
    """C28: neither the Observable nor what it gives does."""
    write(path, CANARY)
    source = from_file(path)
    assert repr(source()) == "Credential(***)"
    assert CANARY not in f"{source!r} {vars(source)}"


# --- as a function


def test_refreshing_reads_a_file(clock: VirtualClock, scene: Make, path: Path) -> None:
    """C47: it is a provider, too: what ``refreshing`` gets of it is the same identity (C14)."""
    write(path, "one")
    it = scene(auth=refreshing(from_file(path)), on_auth_change=handover())
    clock.advance(10.0)
    write(path, "two")
    it.peer.close(4401)
    clock.advance(10.0)
    assert it.credentials == ["one", "two"]


def test_a_provider_that_cannot_read_is_a_failed_attempt(
    clock: VirtualClock, scene: Make, path: Path
) -> None:
    """C47, C10: it says what is missing, and is asked again with backoff."""
    it = scene(auth=refreshing(from_file(path)))
    clock.advance(1.0)
    (failed,) = [event for event in it.events if isinstance(event, ConnectFailed)]
    assert f"<Provider from_file('{path}')> failed: cannot read {path}" in str(failed.error)
    write(path, "one")
    clock.advance(60.0)
    assert it.credentials == ["one"]


def test_the_environment_is_read_by_each_attempt(
    clock: VirtualClock, scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C47: a variable that is missing, or empty, is a failed attempt that says so."""
    monkeypatch.delenv("FEED_TOKEN", raising=False)
    it = scene(auth=from_env("FEED_TOKEN"))
    clock.advance(0.5)
    monkeypatch.setenv("FEED_TOKEN", " ")
    clock.advance(2.0)
    monkeypatch.setenv("FEED_TOKEN", f"{CANARY}\n")
    clock.advance(60.0)
    assert [str(one.error) for one in it.events if isinstance(one, ConnectFailed)] == [
        "<Provider from_env('FEED_TOKEN')> failed: the environment variable FEED_TOKEN is not set",
        "<Provider from_env('FEED_TOKEN')> failed: the environment variable FEED_TOKEN is empty",
    ]
    assert it.credentials == [CANARY] and CANARY not in repr(it.events)


class _Locked(Exception):
    pass


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Any]:
    """A keyring of this process, in place of the package."""
    held: dict[tuple[str, str], Any] = {}

    def get_password(service: str, username: str) -> Any:
        found = held.get((service, username))
        if isinstance(found, Exception):
            raise found
        return found

    package, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    package.get_password, errors.KeyringError = get_password, _Locked  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return held


def test_a_keyring_is_read_by_each_attempt(
    clock: VirtualClock, scene: Make, ring: dict[tuple[str, str], Any]
) -> None:
    """C47: one that is locked, or has no password, is a failed attempt that says what to do."""
    it = scene(auth=from_keyring("feed", "alice"))
    clock.advance(0.5)
    ring["feed", "alice"] = _Locked(CANARY)
    clock.advance(2.0)
    ring["feed", "alice"] = CANARY
    clock.advance(60.0)
    said = [str(one.error) for one in it.events if isinstance(one, ConnectFailed)]
    assert "run keyring set feed alice" in said[0] and "unlock it" in said[1]
    assert it.credentials == [CANARY] and CANARY not in f"{said} {it.events}"


def test_a_keyring_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra, at once."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rxsocket\[keyring\]'"):
        from_keyring("feed", "alice")


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no path": (lambda: from_file(7), TypeError, r"from_file\(path\): pass the path"),  # type: ignore[arg-type]
    "empty path": (lambda: from_file(""), TypeError, r"from_file\(path\)"),
    "parse": (lambda: from_file("a", parse="json"), TypeError, r"from_file\(parse\)"),  # type: ignore[arg-type]
    "interval": (
        lambda: from_file("a", interval=0),
        ValueError,
        r"\(interval\): .*more than 0, not 0$",
    ),
    "no interval": (lambda: from_file("a", interval=None), TypeError, r"seconds, not NoneType$"),  # type: ignore[arg-type]
    "settle": (lambda: from_file("a", settle=-1), ValueError, r"from_file\(settle\)"),
    "no mapping": (lambda: from_files(["a"]), TypeError, r"from_files\(paths\): pass a mapping"),  # type: ignore[arg-type]
    "no files": (lambda: from_files({}), ValueError, "pass at least one file"),
    "no name": (lambda: from_env(""), ValueError, r"from_env\(name\): it is empty"),
    "a number": (lambda: from_env(3), TypeError, r"from_env\(name\): pass a string"),  # type: ignore[arg-type]
    "no service": (lambda: from_keyring("", "a"), ValueError, r"from_keyring\(service\)"),
}


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """As that of a ``FileStore`` may."""
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.setenv("USERPROFILE", str(path.parent))
    write(path, "at home")
    assert from_file(f"~/{path.name}")().reveal() == "at home"


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_fail_at_once(kind: str) -> None:
    make, error, says = WRONG[kind]
    with pytest.raises(error, match=says):
        make()


def test_a_certificate_that_is_exchanged(clock: VirtualClock, tmp_path: Path) -> None:
    """C47, C39: what the files hold goes to ``client_certificate()`` as texts in PEM."""
    pem = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"
    write(tmp_path / "a.pem", pem.format("CERTIFICATE"))
    write(tmp_path / "a.key", pem.format("PRIVATE KEY"))
    source = from_files({"certificate": tmp_path / "a.pem", "key": tmp_path / "a.key"})
    made = client_certificate()(source().reveal())
    assert made.certificate is not None and "PRIVATE KEY" in str(made.certificate.key)


def opened(it: Scene) -> list[Cause]:
    return [event.cause for event in it.events if isinstance(event, Opened)]


def test_a_renewal_of_the_same_somebody_hands_over(
    clock: VirtualClock, scene: Make, path: Path
) -> None:
    """C47, C14: a text says not whose it is; ``identity=`` does."""
    write(path, "one")
    it = scene(auth=from_file(path), on_auth_change=handover(), identity=lambda _: "the service")
    clock.advance(10.0)
    write(path, "two")
    clock.advance(10.0)
    assert [one.cause for one in it.events if isinstance(one, Closed)] == [Cause.HANDED_OVER]
    assert isinstance(it.socket, Socket)
