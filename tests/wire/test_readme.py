"""The README's examples run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.only("websockets")  # programs of their own
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def block(heading: str) -> str:
    """The first Python example of a section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]


def test_the_ten_lines_are_a_plain_script() -> None:
    """It connects, changes the credential, prints what happened, and ends by itself."""
    done = subprocess.run(
        [sys.executable, "-c", block("Ten lines")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line != "hello"] == [
        "connected with token",
        "disconnected",
        "connected with token",
        "InEffect(epoch=2)",
        "disconnected",
    ]
    assert "hello" in lines


@pytest.mark.parametrize(
    ("heading", "printed"),
    [
        (
            "Sending",
            ["Sent(epoch=1)", "['hello', '1', '2', '3', 'one message in fragments']"],
        ),
        ("Topics", ["room 1: hello", '{"topic":"time"}']),
        (
            "Channels",
            [
                """['{"op":"subscribe","channel":"trades"}', """
                """'{"op":"unsubscribe","channel":"trades"}']""",
            ],
        ),
        ("Requests", ["sum"]),
    ],
)
def test_what_is_said_is_shown(heading: str, printed: list[str]) -> None:
    """The examples of sending, topics, channels and requests print what they say."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block(heading)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == printed


def test_the_users_test_passes() -> None:
    """The example of a user's own test holds what it says."""
    names: dict[str, Any] = {}
    exec(block("Testing your own code"), names)
    names["test_recovers_from_a_refused_token"]()
