"""The page about secrets in files: its examples, each with a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trustme
from deadlines import stretched
from issuing import issue, serving, trusting
from pages import Page

from rxsocket import Cause, Closed, Opened, Socket
from rxsocket.testing import Watch, server

PAGE = Page("read_secrets_from_files")


@pytest.fixture
def given(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What an example begins with; its sockets are closed at the end."""
    names: dict[str, Any] = {"path": tmp_path / "token", "folder": tmp_path}
    yield names
    for one in names.values():
        if isinstance(one, Socket):
            one.close().result(10)


def exchange(path: Path, text: str) -> None:
    """As Kubernetes does: another file takes its place, whose last change is some time ago."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, (new.stat().st_mtime - 60, new.stat().st_mtime - 60))
    new.rename(path)


FOLLOWED = {
    "A file": ("{}\n", Cause.AUTH_CHANGED),
    "JSON in a file": ('{{"access_token": "{}"}}', Cause.AUTH_CHANGED),
    "Without a gap": ("{}", Cause.HANDED_OVER),
}


@pytest.mark.slow  # a look comes every 2 s, as in the examples
@pytest.mark.parametrize("heading", FOLLOWED)
def test_the_connection_follows(given: dict[str, Any], heading: str) -> None:
    """C47: the examples as they are."""
    text, cause = FOLLOWED[heading]
    exchange(given["path"], text.format("first"))
    with server() as peer:
        given["url"] = peer.url
        exec(PAGE.example(heading), given)
        watch = Watch(given["socket"])
        watch.wait(Opened)
        exchange(given["path"], text.format("second"))
        watch.wait(Opened, 2)
        assert [one.credential for one in peer.handshakes] == ["first", "second"]
        assert watch.of(Closed)[0].cause is cause


@pytest.mark.parametrize("heading", FOLLOWED)
def test_the_connection_has_it(given: dict[str, Any], heading: str) -> None:
    text, _ = FOLLOWED[heading]
    exchange(given["path"], text.format("first"))
    with server() as peer:
        given["url"] = peer.url
        exec(PAGE.example(heading), given)
        given["socket"].opened(stretched(10)).result()
        assert [one.credential for one in peer.handshakes] == ["first"]


def test_the_certificate_goes_with_its_key(given: dict[str, Any], tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = issue(authority, "feed@example.com")
    exchange(tmp_path / "svid.pem", issued.certificate)
    exchange(tmp_path / "svid_key.pem", issued.key)
    with server(ssl=serving(authority)) as peer:
        given |= {"url": peer.url, "make_context": lambda: trusting(authority)}
        exec(PAGE.example("A certificate and its key"), given)
        given["socket"].opened(stretched(10)).result()


def test_functions_are_asked(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    package, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    package.get_password = lambda service, username: f"{service}-{username}"  # type: ignore[attr-defined]
    errors.KeyringError = KeyError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    monkeypatch.setenv("FEED_TOKEN", "of-the-environment")
    with server() as peer:
        given["url"] = peer.url
        exec(PAGE.example("The environment and the keyring"), given)
        for name, credential in (("first", "of-the-environment"), ("second", "feed-alice")):
            watch = Watch(given[name])
            watch.wait(Opened)
            assert peer.handshakes[-1].credential == credential
