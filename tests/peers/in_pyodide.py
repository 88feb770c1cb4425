"""Python in JavaScript: what Pyodide needs to run, from the registries (C57).

``.ci/run`` installs Pyodide with the servers of npm. The wheels come from the package index, once;
they are kept beside it. Without any of these, or without Node, the tests are skipped, and say so.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1]
PYODIDE = HERE / "node_modules" / "pyodide"
NEEDED = ("msgspec", "reactivex", "typing-extensions")
"""What ``import rxsocket`` needs; ``websockets`` is not among them."""


def pyodide() -> Path:
    """Where Pyodide is; skips the test if it is nowhere."""
    if not (PYODIDE / "pyodide.mjs").exists():
        pytest.skip("npm has not installed Pyodide: npm install --prefix tests/peers")
    return PYODIDE


def wheels(*packages: str) -> list[Path]:
    """Wheels for Pyodide of these packages and all that they need; skips the test without them."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("there is no pip to get wheels for Pyodide")
    lock = json.loads((pyodide() / "pyodide-lock.json").read_text())["info"]
    folder = PYODIDE.parent / ".wheels" / "-".join((lock["abi_version"], *packages))
    if not folder.exists():
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"),
            *("--platform", f"pyemscripten_{lock['abi_version']}_{lock['arch']}"),
            *("--python-version", lock["python"].rpartition(".")[0], "--implementation", "cp"),
            *("--dest", f"{folder}.part", *packages),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"the package index has no wheels for Pyodide: {done.stderr[-300:]}")
        Path(f"{folder}.part").rename(folder)
    return sorted(folder.glob("*.whl"))


def run_in_node(program: str, folder: Path, *packages: str, timeout: float = 120.0) -> str:
    """Run a program in Pyodide, in Node; return what it wrote.

    Args:
        program: What to run. It may await.
        folder: Where to write it.
        packages: What it needs.
        timeout: Seconds.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    needed = wheels(*packages)
    (folder / "program.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [node, HERE / "pyodide_run.mjs", folder / "program.py", SOURCE, *needed],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
