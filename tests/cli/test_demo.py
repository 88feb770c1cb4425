"""``rxsocket demo``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from deadlines import stretched, within
from terminal import Terminal

from rxsocket.cli import demo as demonstration
from rxsocket.cli.demo import USERS, run_steps
from rxsocket.cli.demo_output import DemoOutput
from rxsocket.testing import reject, server
from rxsocket.testing.script import Script

STEPS = (
    "Connect with a token",
    "Change the token on the live socket",
    "Set a token that the server refuses",
    "Recover with a good token",
    "Lose the link",
    "Renew the token without a gap",
    "Close",
)


@pytest.mark.slow
def test_the_command_plays_it_through_where_nobody_can_press_a_key() -> None:
    """It ends by itself in under 20 s with 0, in plain text and without a token."""
    with within(20), Terminal("demo", environment={"COLUMNS": "80"}) as terminal:
        assert terminal.end() == 0
    assert terminal.err == []
    steps = [line for line in terminal.out if re.match(r"\d\. ", line)]
    assert len(steps) == len(STEPS)
    for number, (line, title) in enumerate(zip(steps, STEPS, strict=True), 1):
        assert line.startswith(f"{number}. {title}")
    assert "\x1b" not in terminal.text
    assert not any(token in terminal.text for token in USERS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between the steps, and messages in a row."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(demonstration, "PAUSE", timedelta(0))
    monkeypatch.setattr(demonstration, "PUSH_INTERVAL", timedelta(milliseconds=20))


def test_every_step_is_shown_and_verified(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is waited for between two of them."""
    waits: list[None] = []
    with server(tokens=USERS) as s:
        assert run_steps(s, DemoOutput(lambda: waits.append(None))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(waits) == len(STEPS) - 1
    names = [found[1] for line in lines if (found := re.match(r"  (\S+)", line))]
    assert names.count("ok") == len(STEPS)
    assert names.count("Opened") == names.count("Closed") == 5
    assert names.count("Rejected") == names.count("AwaitingAuth") == names.count("Ended") == 1
    for user in USERS.values():
        assert sum(f"for {user}: message" in line for line in lines) >= 3
    text = " ".join("\n".join(lines).split())
    assert "connection 4: each attempt has a number, and number 3 was refused" in text
    assert "no message is missing or double" in text


def test_a_step_fits_a_terminal_of_80_by_24(
    quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line is longer, no word is broken, and no step has scrolled away when it waits."""
    with server(tokens=USERS) as s:
        assert run_steps(s, DemoOutput()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [number for number, line in enumerate(lines) if re.match(r"\d\. ", line)]
    assert max(b - a for a, b in pairwise([*starts, len(lines)])) < 24
    assert "the server refused the handshake with HTTP 401" in " ".join("\n".join(lines).split())


def test_the_end_is_a_picture_of_it(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Credentials, connections and messages: one refusal, one link lost, one taken over."""
    with server(tokens=USERS) as s:
        assert run_steps(s, DemoOutput()) == 0
    auth, connection, messages = capsys.readouterr().out.splitlines()[-3:]
    assert re.fullmatch(r"auth +A─+B─+bad─+C─+C'─+", auth)
    assert re.fullmatch(r"connection +╞═+╡ *╞═+╡ *✗ +╞═+╡ *╞═+╪═+╡", connection)
    assert len(re.findall(r"\d", messages)) >= 15
    assert len(auth) == len(connection) == len(messages) <= 80


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_at_a_terminal_it_waits_for_a_key() -> None:
    """Six keys, one before each step but the first; with --no-wait none is asked for."""
    assert at_a_terminal("demo") == (6, 0)
    assert at_a_terminal("demo", "--no-wait") == (0, 0)


def at_a_terminal(*arguments: str) -> tuple[int, int]:
    """Run a command on a terminal of its own: how many keys it waited for, and its exit code."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "rxsocket", *arguments]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=where, start_new_session=True
    )
    os.close(theirs)
    written, keys = b"", 0
    try:
        with suppress(OSError):  # the other end is closed: it is over
            while chunk := os.read(ours, 65536):
                written += chunk
                while written.count(b"press a key") > keys:
                    keys += 1
                    os.write(ours, b" ")
        return keys, child.wait(stretched(20))
    finally:
        child.kill()
        child.wait()
        os.close(ours)


@pytest.mark.parametrize(
    ("scripts", "lacks", "also", "step"),
    [
        ((), {"token-of-anna"}, set[str](), 1),
        ((reject(503),), set[str](), set[str](), 1),
        ((), {"token-of-ben"}, set[str](), 2),
        ((), set[str](), {"a-token-that-expired"}, 3),
        ((), {"token-of-clara"}, set[str](), 4),
        ((), {"next-token-of-clara"}, set[str](), 6),
    ],
)
@pytest.mark.slow
def test_a_step_that_did_not_happen_is_named(
    scripts: tuple[Script, ...],
    lacks: set[str],
    also: set[str],
    step: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a server that does otherwise, the exit code is 1 and the error names the step."""
    with server(*scripts, tokens=set(USERS) - lacks | also) as s:
        assert run_steps(s, DemoOutput(), timeout=0.5) == 1
        s.wait_for(lambda s: not s.connections)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"Step {step} ({STEPS[step - 1]}) did not happen: expected ")
