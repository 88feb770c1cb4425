"""Each example of the README, the guide and the pages is right for pyright, which is strict."""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import subprocess
import symtable
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import HOW_TO, Page, guide

NAMES = Path(__file__).resolve().parents[1] / "typing"
KITS = ("snippet_names", "rxsocket", "rxsocket.operators", "rxsocket.testing")
ALSO = {"ops": "from reactivex import operators as ops"}
ELSEWHERE = ("aiokafka", "my_tokens")
"""Modules that a reader has and the tests have not."""
SETTINGS = {
    "typeCheckingMode": "strict",
    "pythonVersion": "3.11",
    "extraPaths": [str(NAMES), str(NAMES.parents[1])],
    # A function in an example is as short as its reader would write it, without annotations.
    "reportMissingTypeStubs": False,
    "reportMissingParameterType": False,
    "reportMissingTypeArgument": False,
    "reportUnknownParameterType": False,
    "reportUnknownArgumentType": False,
    "reportUnknownLambdaType": False,
    "reportUnknownMemberType": False,
    "reportUnknownVariableType": False,
    # Before Python 3.13, an AsyncGenerator has two types, of which one is always None.
    "reportDeprecated": False,
    # An example shows a value by naming it, and makes what it does not use.
    "reportUnusedExpression": False,
    "reportUnusedVariable": False,
    "reportUnusedFunction": False,
    "reportUnusedClass": False,
    "reportUnusedImport": False,
}


def examples() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Each with a name that leads to it, and with the names that its page has made before."""
    pages = [*guide(), *(Page(path.stem) for path in sorted(HOW_TO.glob("*.md")))]
    for page in [*pages, Page("contributing", HOW_TO.parent)]:
        before: dict[str, str] = {}
        for heading, found in page.examples().items():
            for place, text in enumerate(found, 1):
                yield f"{page.name}.md, {heading!r}, example {place}", text, dict(before)
                before |= names_made(text)


def names_made(text: str) -> dict[str, str]:
    """What a later example needs of this one: an import, or a name of any type."""
    module = symtable.symtable(text, "example", "exec")
    made = {one.get_name(): f"{one.get_name()}: Any" for one in module.get_symbols()}
    found = {name: line for name, line in made.items() if _is_made(module.lookup(name))}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                found[(alias.asname or alias.name).partition(".")[0]] = ast.unparse(node)
    return found


def names_left_out(text: str) -> set[str]:
    """The names that an example uses and does not make."""
    module = symtable.symtable(text, "example", "exec")
    made = {one.get_name() for one in module.get_symbols() if _is_made(one)}
    return _names_used(module) - made - set(dir(builtins))


def _names_used(table: symtable.SymbolTable) -> set[str]:
    is_module = table.get_type() == "module"
    used = {
        one.get_name()
        for one in table.get_symbols()
        if one.is_referenced() and (is_module or one.is_global())
    }
    return used.union(*map(_names_used, table.get_children()))


def _is_made(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def names_of(kit: str) -> set[str]:
    """What a module has for all; of ours, all that it has or says that it has."""
    module = importlib.import_module(kit)
    return set(getattr(module, "__all__", (*dir(module), *module.__annotations__)))


def program(text: str, before: dict[str, str]) -> str:
    """An example with the imports that it leaves to its reader."""
    imports: list[str] = []
    for name in sorted(names_left_out(text)):
        kit = next((kit for kit in KITS if name in names_of(kit)), None)
        if name in ALSO:
            imports.append(ALSO[name])
        elif kit is None and name in before:
            imports.append(before[name])
        elif kit is None:
            imports.append(f"import {name}")
        else:
            imports.append(f"from {kit} import {name}")
    future = "from __future__ import annotations\n"
    typing = "from typing import Any\n"
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(text, "example", "exec", flags=flags)
    if code.co_flags & 0x80:  # it awaits at its top, as a cell of a notebook may
        text = "async def main() -> None:\n" + textwrap.indent(text, "    ")
    return future + typing + "\n".join(imports) + "\n# ---\n" + text.replace(future, "")


@pytest.mark.slow
def test_each_example_is_right_for_pyright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run for all of them."""
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(SETTINGS))
    monkeypatch.syspath_prepend(str(NAMES))
    named: dict[str, str] = {}
    for number, (name, text, before) in enumerate(examples()):
        path = tmp_path / f"example_{number}.py"
        path.write_text(program(text, before), encoding="utf-8")
        named[str(path)] = name
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "-p", str(tmp_path)], capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    told = [
        f"{named[one['file']]}: {_line(one)!r}: {one['message']} ({one.get('rule')})"
        for one in found
        if one["severity"] == "error" and not any(name in one["message"] for name in ELSEWHERE)
    ]
    assert len(named) > 80
    assert not told, "\n".join(told)


def _line(diagnostic: dict[str, object]) -> str:
    lines = Path(str(diagnostic["file"])).read_text(encoding="utf-8").splitlines()
    return lines[diagnostic["range"]["start"]["line"]].strip()  # type: ignore[index]
