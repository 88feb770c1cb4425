"""How the tests are built: those of behaviour use what users do (see ``tests/internals.py``)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
OF_BEHAVIOUR = [
    path for folder in ("contract", "stateful", "wire") for path in (TESTS / folder).glob("*.py")
]
PUBLIC = {
    "rxsocket",
    "rxsocket.notebook",
    "rxsocket.operators",
    "rxsocket.recording",
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
