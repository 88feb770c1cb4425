"""What importing the library costs everybody who does."""

from __future__ import annotations

import subprocess
import sys

import rxsocket

DEARER = ("websockets", "picows", "python_socks", "importlib.metadata", "email", "http.client")


def test_what_only_some_need_is_imported_when_they_do() -> None:
    """No transport is, nor what reads a rare header or looks up a version."""
    program = f"import rxsocket, sys; print([name for name in {DEARER} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_star_hides_no_module_of_python() -> None:
    """``json`` is ours where it is asked for by name."""
    names: dict[str, object] = {}
    exec("from rxsocket import *", names)
    assert "Socket" in names and not sys.stdlib_module_names & set(names)
    assert callable(rxsocket.json)
