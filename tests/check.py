"""All checks and tests, in an environment of their own. Needs only Python 3.11 or newer, with pip.

python3 tests/check.py            lint, types and the default tests, in under 2 minutes
python3 tests/check.py --full     also what is slow, the lowest versions, and the built wheel
python3 tests/check.py -- ARGS    pass ARGS on to pytest
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WINDOWS = os.name == "nt"
CORE_TESTS = ("tests/contract", "tests/stateful", "tests/testing", "tests/unit")


def main() -> int:
    """Run the steps one after the other, all of them, and say which failed."""
    arguments = _arguments()
    tools = environment(".venv", ["-e", ".[dev]"])
    full = ["--full"] if arguments.full else []
    steps: list[tuple[str, list[str | Path]]] = [
        ("lint", [tools / "ruff", "check", "."]),
        ("format", [tools / "ruff", "format", "--check", "."]),
        ("mypy", [tools / "mypy"]),
        ("pyright", [tools / "pyright", "--pythonpath", tools / "python"]),
        ("tests", [tools / "python", "-m", "pytest", "-n", "2", *full, *arguments.pytest]),
    ]
    failed = [name for name, command in steps if not step(name, command)]
    if arguments.full:
        failed += [name for name in ("lowest versions", "wheel") if not _EXTRA[name]()]
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return 1 if failed else 0


def environment(folder: str, packages: list[str]) -> Path:
    """Make a virtual environment, unless it is there as wanted; returns where its programs are."""
    place = ROOT / folder
    programs = place / ("Scripts" if WINDOWS else "bin")
    wanted = _fingerprint(packages)
    stamp = place / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        install = [programs / "python", "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(install, cwd=ROOT, check=True)
        stamp.write_text(wanted)
    return programs


def step(name: str, command: list[str | Path]) -> bool:
    """Run one step, show its output and its time, and tell whether it went well."""
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)
    passed = done.returncode == 0
    word = "passed" if passed else "FAILED"
    print(f"== {name} {word} in {time.monotonic() - start:.1f} s", flush=True)
    return passed


def lowest_versions() -> bool:
    """Repeat the core of the suite on the lowest versions that pyproject.toml allows."""
    text = (ROOT / "pyproject.toml").read_text()
    (declared,) = re.findall(r"^dependencies = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    floors = [f"{name}=={floor}" for name, floor in re.findall(r'"([\w-]+)>=([\d.]+)', declared)]
    tests = ["hypothesis", "pytest", "pytest-randomly", "pytest-timeout", "pytest-xdist"]
    tools = environment(".venv-lowest", ["-e", ".", *floors, *tests])
    return step(
        f"tests on {', '.join(floors)}",
        [tools / "python", "-m", "pytest", "-n", "2", *CORE_TESTS],
    )


def wheel() -> bool:
    """Build the wheel, and use it as somebody does who has just installed it."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", ROOT / ".venv-wheel"], check=True)
    programs = ROOT / ".venv-wheel" / ("Scripts" if WINDOWS else "bin")
    pip = [programs / "python", "-m", "pip"]
    built = step("wheel: build", [*pip, "wheel", "--quiet", "--no-deps", "-w", "dist", "."])
    wheels = sorted((ROOT / "dist").glob("rxsocket-*.whl"))
    return (
        built
        and step("wheel: install", [*pip, "install", "--quiet", f"{wheels[-1]}[cli]"])
        and step("wheel: demo", [programs / "rxsocket", "demo"])
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="also what is slow")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    return parser.parse_args()


def _fingerprint(packages: list[str]) -> str:
    text = f"{sys.version} {packages} {(ROOT / 'pyproject.toml').read_text()}"
    return hashlib.sha256(text.encode()).hexdigest()


_EXTRA = {"lowest versions": lowest_versions, "wheel": wheel}

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - somebody's python3 may well be older
        sys.exit("rxsocket needs Python 3.11 or newer: run this with a newer python3")
    sys.exit(main())
