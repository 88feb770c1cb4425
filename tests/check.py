"""All checks and tests, in an environment of their own. Needs only Python 3.11 or newer, with pip.

python3 tests/check.py            lint, types and the default tests, in under 2 minutes
python3 tests/check.py --full     also what is slow, development mode, each Python, the lowest
                                  versions, the built wheel, and the site
python3 tests/check.py --docs     only the site of the documentation: build it, say where it is
python3 tests/check.py -- ARGS    pass ARGS on to pytest
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - before anything that an older one lacks
    sys.exit("rxsocket needs Python 3.11 or newer: run this with a newer python3")

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WINDOWS = os.name == "nt"
PYTEST = ("-m", "pytest", "-rsR", "--dist", "worksteal")
# More processes than two processors need: they wait for a server or a timer, too. But each collects
# all the tests, which takes seconds of a processor. What is slow wants a calmer machine.
SIDE_BY_SIDE = ("-n", "6")
SIDE_BY_SIDE_FULL = ("-n", "3")
# In some thousands of tests that last for hours, a busy machine makes one or another fail, which
# says nothing about the rest. So what runs with --full, and what is repeated there, is tried again,
# at once and at the end alone, and shown. The default run is short, and strict: nothing is tried
# again there but what measures.
REPEATED = (*SIDE_BY_SIDE_FULL, "--reruns", "2")
ALONE = ("-n", "0", "--last-failed", "--last-failed-no-failures", "none", "--maxfail", "1")
# Otherwise each process of the suite, and each command that a test starts, compiles everything
# again; the step "collect" is there to have it compiled once.
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
DEV = ["-e", ".[dev]"]
CORE = ("tests/contract", "tests/unit", "tests/wire")
# What needs more than the library and pytest: the command, checkers, a Jupyter kernel, psutil.
NOT_ON_LOWEST = (
    "tests/cli",
    "tests/how_to",
    "tests/typing",
    "tests/notebook/test_live.py",
    "tests/faults/test_fleet_processes.py",
    "tests/faults/test_fleet_stored.py",
    "tests/faults/test_soak.py",
    "tests/wire/test_wire_c24_environments.py",
)


def main() -> int:
    """Run the steps one after the other, all of them, and say which failed."""
    arguments = _arguments()
    if arguments.docs:
        return said(site())
    results: dict[str, bool | None] = {**checks(arguments)}
    if arguments.full:
        results |= development_mode(arguments) | other_pythons() | lowest_versions()
        results |= distributions() | site()
    return said(results)


def said(results: Mapping[str, bool | None]) -> int:
    """Say which steps failed, or could not run; the exit code."""
    missing = [name for name, passed in results.items() if passed is None]
    failed = [name for name, passed in results.items() if passed is False]
    for word, names in (("not run, not found", missing), ("failed", failed)):
        if names:
            print(f"\n{word}: {', '.join(names)}")
    passed = len(results) - len(missing) - len(failed)
    print(f"\n{passed} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0


def checks(arguments: argparse.Namespace) -> dict[str, bool]:
    """Lint, types and tests."""
    tools = programs(".venv")
    if not environment(".venv", DEV):
        return {"install": False}
    results = side_by_side(
        {
            "lint": [tools / "ruff", "check", "."],
            "format": [tools / "ruff", "format", "--check", "."],
            "mypy": [tools / "mypy"],
            "pyright": [tools / "pyright", "--pythonpath", tools / "python"],
            "collect": [tools / "python", "-m", "pytest", "--collect-only", "-qqq"],
        }
    )
    if arguments.full:
        return results | repeated("tests", tools, ["--full", *arguments.pytest])
    command = [tools / "python", *PYTEST, *SIDE_BY_SIDE, *arguments.pytest]
    return results | {"tests": step("tests", command)}


def programs(folder: str) -> Path:
    """Where a virtual environment has its programs."""
    return ROOT / folder / ("Scripts" if WINDOWS else "bin")


def environment(folder: str, packages: list[str], python: str = sys.executable) -> bool:
    """Make a virtual environment with these packages, unless it is there."""
    place = ROOT / folder
    stamp = place / "installed"
    wanted = _fingerprint(python, packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    pip = [programs(folder) / "python", "-m", "pip", "install", "--quiet"]
    made = step(f"make {folder}", [python, "-m", "venv", "--clear", place])
    if not made or not step(f"install into {folder}", [*pip, *packages]):
        return False
    stamp.write_text(wanted)
    return True


def step(name: str, command: list[str | Path], **variables: str) -> bool:
    """Run one step, show its output and its time, and tell whether it went well."""
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    env = ENVIRONMENT | variables
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False)
    passed = done.returncode == 0
    word = "passed" if passed else "FAILED"
    print(f"== {name} {word} in {time.monotonic() - start:.1f} s", flush=True)
    return passed


def repeated(
    name: str, tools: Path, arguments: Iterable[str | Path], **variables: str
) -> dict[str, bool]:
    """Run tests, and what failed beside the others once more, alone."""
    cache = f"cache_dir=.pytest_cache/{name.replace(' ', '_')}"
    command = [tools / "python", *PYTEST, *REPEATED, "-o", cache, *arguments]
    passed = step(name, command, **variables)
    return {name: passed or step(f"what failed of {name}, alone", [*command, *ALONE], **variables)}


def side_by_side(commands: dict[str, list[str | Path]]) -> dict[str, bool]:
    """Run some steps at the same time; their output comes when all are over."""
    start = time.monotonic()
    running = {
        name: subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, command in commands.items()
    }
    results: dict[str, bool] = {}
    for name, process in running.items():
        output, _ = process.communicate()
        results[name] = process.returncode == 0
        print(f"\n== {name}\n{output}== {name} {'passed' if results[name] else 'FAILED'}")
    names = ", ".join(commands)
    print(f"== {names} together in {time.monotonic() - start:.1f} s", flush=True)
    return results


def development_mode(arguments: argparse.Namespace) -> dict[str, bool]:
    """Repeat the tests as ``python -X dev`` runs them, but for what measures or is slow.

    Everything takes several times as long there.
    """
    name = "tests in development mode"
    measuring = ["--ignore=tests/benchmarks", "--ignore=tests/faults/test_soak.py"]
    how = ["--timeout=240", *measuring, *arguments.pytest]
    return repeated(name, programs(".venv"), how, PYTHONDEVMODE="1")


def other_pythons() -> dict[str, bool | None]:
    """Repeat mypy and the core of the suite on the other Pythons that pyproject.toml promises.

    Returns:
        How each step went; ``None`` for a Python that is not here.
    """
    text = (ROOT / "pyproject.toml").read_text()
    promised = re.findall(r"Programming Language :: Python :: (3\.\d+)", text)
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    results: dict[str, bool | None] = {}
    for version in promised:
        if version == this:
            continue
        folder, name, python = f".venv-{version}", f"Python {version}", interpreter(version)
        if python is None:
            results[name] = None
        elif not environment(folder, DEV, python):
            results[name] = False
        else:
            tools = programs(folder)
            types, tests = f"mypy on {name}", f"tests on {name}"
            results |= {types: step(types, [tools / "mypy"])} | repeated(tests, tools, CORE)
    return results


def interpreter(version: str) -> str | None:
    """A Python of this version: one on the path, or one of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for path in filter(None, found):
        # One of pyenv that is on the path may be there in name only.
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return str(path)
    return None


def lowest_versions() -> dict[str, bool]:
    """Repeat the core of the suite on the lowest versions that pyproject.toml allows."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = [re.sub(r"^([\w-]+)>=([\d.]+).*$", r"\1==\2", line) for line in declared]
    plugins = ["pytest-randomly", "pytest-rerunfailures", "pytest-timeout", "pytest-xdist"]
    tests = ["hypothesis", "pytest", *plugins, "trustme"]
    name = f"tests on {', '.join(floors)}"
    if not environment(".venv-lowest", ["-e", ".", *floors, *tests]):
        return {name: False}
    ignored = [f"--ignore={place}" for place in NOT_ON_LOWEST]
    return repeated(name, programs(".venv-lowest"), ignored)


def distributions() -> dict[str, bool]:
    """Build the sdist, the wheel from it, and use the wheel as somebody who just installed it."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    shutil.rmtree(ROOT / ".venv-wheel", ignore_errors=True)
    build = [programs(".venv-build") / "python", "-m", "build", "--outdir", "dist", "."]
    if not environment(".venv-build", ["build"]) or not step("build", build):
        return {"build": False}
    (wheel,) = (ROOT / "dist").glob("*.whl")
    if not environment(".venv-wheel", [f"{wheel}[cli]"]):
        return {"build": True, "wheel": False}
    installed = programs(".venv-wheel")
    importing = "import rxsocket, pathlib; print(rxsocket.__file__);"
    importing += "assert (pathlib.Path(rxsocket.__file__).parent / 'py.typed').exists()"
    return {
        "build": True,
        "import": step("import", [installed / "python", "-I", "-c", importing]),
        "help": step("help", [installed / "rxsocket", "--help"]),
        "demo": step("demo", [installed / "rxsocket", "demo"]),
    }


def site() -> dict[str, bool]:
    """Build the site of the documentation; a warning is an error, and so is a link to nowhere."""
    python, built = programs(".venv-docs") / "python", ROOT / ".site" / "html"
    if not environment(".venv-docs", ["-e", ".[docs]"]):
        return {"site": False}
    shutil.rmtree(ROOT / ".site", ignore_errors=True)
    how = ["-b", "html", "-W", "--keep-going", "-q", "-d", ".site/doctrees"]
    results = {"site": step("site", [python, "-m", "sphinx", *how, "notebooks", built])}
    if results["site"]:
        results["links"] = step("links", [python, "tests/built_links.py", built])
        print(f"\nthe site: {(built / 'index.html').as_uri()}")
    return results


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--full", action="store_true", help="also what is slow")
    parser.add_argument("--docs", action="store_true", help="only the site")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    return parser.parse_args()


def _fingerprint(python: str, packages: list[str]) -> str:
    text = f"{python} {sys.version} {ROOT} {packages} {(ROOT / 'pyproject.toml').read_text()}"
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
