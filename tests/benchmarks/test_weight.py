"""What an idle socket is made of: Python's collector visits each object again and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WEIGHT = Path(__file__).with_name("weight.py")
MOST = 110
"""Objects more than a bare connection is; 87 were counted when this was written."""


def test_an_idle_socket_is_few_objects() -> None:
    """Beside a bare connection with its keepalive, a socket with a subscriber is little more."""
    command = [sys.executable, str(WEIGHT), "20"]  # no plugin of pytest watches it there
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    bare, socket = (float(line.split()[-1]) for line in done.stdout.splitlines())
    assert bare < socket < bare + MOST
