"""``rxsocket demo``."""

from __future__ import annotations

import re

import pytest
from deadlines import within
from terminal import Terminal

from rxsocket.cli.demo import USERS, DemoOutput, run_steps
from rxsocket.testing import reject, server
from rxsocket.testing.script import Script

STEPS = (
    "Connect with a token",
    "Change the token on the live socket",
    "Set a token that the server refuses",
    "Recover with a good token",
    "Close",
)


def test_every_step_is_shown_and_verified() -> None:
    """It ends by itself in under 15 s with 0, in plain text and without a token."""
    with within(15), Terminal("demo") as terminal:
        assert terminal.end() == 0
    assert terminal.err == []
    steps = [line for line in terminal.out if re.match(r"\d\. ", line)]
    assert len(steps) == len(STEPS)
    for number, (line, title) in enumerate(zip(steps, STEPS, strict=True), 1):
        assert line.startswith(f"{number}. {title}")
    names = [line.split()[0] for line in terminal.out if line.startswith("  ")]
    assert names.count("ok") == len(STEPS)
    assert names.count("Opened") == 3 and names.count("Closed") == 3
    assert names.count("Rejected") == names.count("AwaitingAuth") == names.count("Ended") == 1
    for user in USERS.values():
        assert sum(f"for {user}: message" in line for line in terminal.out) >= 3
    assert "\x1b" not in terminal.text
    assert not any(token in terminal.text for token in USERS)


@pytest.mark.parametrize(
    ("scripts", "lacks", "also", "step"),
    [
        ((), {"token-of-anna"}, set[str](), 1),
        ((reject(503),), set[str](), set[str](), 1),
        ((), {"token-of-ben"}, set[str](), 2),
        ((), set[str](), {"a-token-that-expired"}, 3),
        ((), {"token-of-clara"}, set[str](), 4),
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
