"""The command itself, and where it may be asked for a credential."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import Run
from deadlines import stretched
from terminal import PATIENCE, Terminal

from rxsocket.cli import credentials
from rxsocket.cli.credentials import UsageError
from rxsocket.version import VERSION

WITHOUT = "import sys; sys.modules[{!r}] = None; from rxsocket.cli import main; main(['demo'])"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_line_says_how_to_get_it(missing: str) -> None:
    """It exits with 2 and tells what to install."""
    command = [sys.executable, "-c", WITHOUT.format(missing)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(PATIENCE))
    assert done.returncode == 2
    assert "pip install 'rxsocket[cli]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--version",), "rxsocket "),
        (("--help",), "listen"),
        (("listen", "--help"), "KEY=SOURCE"),
        (("listen", "--help"), "--certificate --auth certificate=file:me.pem"),
        (("listen", "--help"), "rxsocket listen unix:/run/feed.sock:/feed"),
        (("demo", "--help"), "verified"),
        (("record", "--help"), "Exit codes: 0"),
        (("replay", "--help"), "Exit codes: 0"),
        (("collect", "--help"), "Exit codes: 0"),
    ],
)
def test_version_and_help(run: Run, arguments: tuple[str, ...], told: str) -> None:
    """They go to stdout and exit with 0."""
    done = run(*arguments)
    assert done.code == 0 and not done.err
    assert any(told in line for line in done.out)


def test_python_m_rxsocket_is_the_command() -> None:
    """Where no script was installed, or another Python is meant."""
    command = [sys.executable, "-m", "rxsocket", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(PATIENCE))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"rxsocket {VERSION}\n", "")


def test_python_m_rxsocket_without_the_extra_says_how_to_get_it() -> None:
    program = "import runpy, sys; sys.modules['typer'] = None; sys.argv[1:] = ['demo']; "
    program += "runpy.run_module('rxsocket', run_name='__main__')"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(PATIENCE))
    assert done.returncode == 2
    assert "pip install 'rxsocket[cli]'" in done.stderr


def test_an_unknown_command_exits_with_2() -> None:
    """The error names it, and the process has the exit code."""
    with Terminal("lisen") as terminal:
        assert terminal.end() == 2
    assert "lisen" in terminal.text


def test_prompt_asks_without_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """``KEY=prompt`` asks with getpass, by the name of the entry."""
    asked: list[str] = []

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return "typed"

    monkeypatch.setattr(credentials, "getpass", getpass)
    entries = credentials.from_options(["token=prompt"])
    assert entries["token"].reveal() == "typed"
    assert asked == ["token: "]
    assert "typed" not in repr(entries)


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs sessions without a terminal")
def test_prompt_without_a_terminal_is_refused() -> None:
    """Nothing is read that would be shown."""
    command = [sys.executable, "-m", "rxsocket", "listen", "ws://127.0.0.1:1/"]
    done = subprocess.run(
        [*command, "--auth", "token=prompt"],
        input="typed\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=stretched(PATIENCE),
    )
    assert done.returncode == 2
    assert "no terminal to ask on" in done.stderr


def test_a_value_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 in the environment give a usage error."""
    monkeypatch.setenv("ODD", "\udcff")
    with pytest.raises(UsageError, match="not UTF-8"):
        credentials.from_options(["token=env:ODD"])
