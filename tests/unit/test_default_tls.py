"""The settings of TLS that connections share are made anew when they would be others."""

import os
import shutil
import ssl
from pathlib import Path

import pytest

from rxsocket.transports.default_tls import default_context


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "trusted.pem"
    file.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


def test_connections_share_them(trusted: Path) -> None:
    assert default_context() is default_context()
    assert default_context().verify_mode is ssl.CERT_REQUIRED
    assert default_context().check_hostname


def test_another_file_is_trusted_from_then_on(
    trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = default_context()
    other = shutil.copy(trusted, trusted.with_name("other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    assert default_context() is not before


def test_a_file_that_changed_is_read_again(trusted: Path) -> None:
    before = default_context()
    os.utime(trusted, (1, 1))
    assert default_context() is not before


def test_a_file_that_is_gone_is_noticed(trusted: Path) -> None:
    before = default_context()
    trusted.unlink()
    assert default_context() is not before


def test_keys_are_logged_as_soon_as_somebody_asks_for_that(
    trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_context()
    log = trusted.with_name("keys.log")
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    assert default_context().keylog_filename == str(log)


def test_what_replaces_the_function_is_used(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default_context()
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda: other)
    assert default_context() is other
