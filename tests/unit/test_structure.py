"""How package and tests are built (``python3 tests/structure.py`` prints the counts)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import structure

TESTS = Path(__file__).resolve().parent.parent
OF_BEHAVIOUR = [
    path for folder in ("contract", "stateful", "wire") for path in (TESTS / folder).glob("*.py")
]
PUBLIC = {
    "rxsocket",
    "rxsocket.credentials",
    "rxsocket.fleet",
    "rxsocket.metrics",
    "rxsocket.notebook",
    "rxsocket.oauth",
    "rxsocket.operators",
    "rxsocket.protocols",
    "rxsocket.recording",
    "rxsocket.schema",
    "rxsocket.sinks",
    "rxsocket.sse",
    "rxsocket.testing",
}
INSIDE = {"_engine", "_publisher", "_get_channels", "_requests"}


def _reached(tree: ast.Module) -> Iterator[str]:
    """What of the library's inside a module imports, names or touches."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if node.value.replace(".", "").isidentifier() else []
        elif isinstance(node, ast.Attribute) and node.attr in INSIDE:
            yield node.attr
            continue
        else:
            continue
        yield from (name for name in names if name.startswith("rxsocket.") and name not in PUBLIC)


@pytest.mark.parametrize(
    "path", OF_BEHAVIOUR, ids=lambda path: str(path.relative_to(TESTS).with_suffix(""))
)
def test_what_is_private_comes_from_one_place(path: Path) -> None:
    """A test of behaviour takes what is not public from ``internals``."""
    assert list(_reached(ast.parse(path.read_text(encoding="utf-8")))) == []


RULES = re.split(r"^\*\*C(\d+) ", (TESTS / "CONTRACT.md").read_text("utf-8"), flags=re.MULTILINE)
HELD_BY = re.compile(r"^virtual: (.*) · wire: (.*) · fault: (.*)$", re.MULTILINE)
FOLDERS = (("contract",), ("wire", "cli"), ("faults",))
"""Of virtual time, of the wire, to which commands speak, too, and of faults."""


@pytest.mark.parametrize(
    ("number", "text"), list(zip(RULES[1::2], RULES[2::2], strict=True)), ids=lambda part: part[:3]
)
def test_a_rule_says_which_files_hold_it(number: str, text: str) -> None:
    """What is named exists and cites the rule; what has the rule in its name is named."""
    (held_by,) = HELD_BY.findall(text)
    for folders, names in zip(FOLDERS, held_by, strict=True):
        files = {path.stem: path for folder in folders for path in (TESTS / folder).glob("*.py")}
        named = set(re.findall(r"`(\w+)`", names))
        for name in named:
            cited = files[name].read_text("utf-8")
            assert re.search(rf"\bC{number}\b", cited), f"{name} does not cite C{number}"
        own = {name for name in files if fnmatch(name, f"test_*c{int(number):02}_*")}
        assert own <= named, f"C{number} does not name {own - named}"
        assert bool(named) == (names != "none")


def test_each_rule_has_a_number_of_its_own() -> None:
    numbers = [int(number) for number in RULES[1::2]]
    assert len(set(numbers)) == len(numbers)


@pytest.fixture(scope="module")
def package() -> list[structure.Module]:
    """Read once, and not by each process that only collects."""
    return structure.modules()


def test_imports_go_one_way(package: list[structure.Module]) -> None:
    assert structure.circles(structure.between_modules(package)) == []
    assert structure.circles(structure.between_folders(package)) == []


def test_no_file_is_too_long_to_read(package: list[structure.Module]) -> None:
    long = {module.name for module in package if module.lines > structure.MOST_LINES}
    assert long <= structure.LONG


# An outcome is called what happened, be it to a credential, a message or a record.
OUTCOMES = {"Dropped", "Stored"}


def test_a_class_name_means_one_class(package: list[structure.Module]) -> None:
    assert structure.defined_twice(package).keys() <= OUTCOMES
