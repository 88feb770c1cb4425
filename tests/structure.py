"""The counts that show whether the package stays readable.

python3 tests/structure.py            print them
python3 tests/structure.py --methods  also each method name that several classes define
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "rxsocket"
MOST_LINES = 500
# ``socket.py`` shows the shape of a socket at one place.
LONG = {"rxsocket.socket"}


@dataclass
class Module:
    """What one file holds, as its syntax tree says."""

    name: str
    lines: int
    code: int
    imports: set[str] = field(default_factory=set)
    for_types: set[str] = field(default_factory=set)
    classes: list[ast.ClassDef] = field(default_factory=list)


def modules() -> list[Module]:
    """Each file of the package."""
    return [_module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _module(path: Path) -> Module:
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    parts = relative.parts[:-1] if path.stem == "__init__" else relative.parts
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    module = Module(".".join(parts), len(text.splitlines()), _lines_of_code(text, tree))
    module.classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    package = parts if path.stem == "__init__" else parts[:-1]
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = module.for_types if id(node) in typing_only else module.imports
        names.update(_imported(node, package))
    return module


def _imported(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("rxsocket"))
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        target = ".".join([*base, *([node.module] if node.module else [])])
        if target.startswith("rxsocket"):
            for alias in node.names:
                whole = PACKAGE.parent.joinpath(*target.split("."), alias.name)
                is_module = whole.with_suffix(".py").exists() or (whole / "__init__.py").exists()
                yield f"{target}.{alias.name}" if is_module else target


def _lines_of_code(text: str, tree: ast.Module) -> int:
    """Lines that are neither empty, nor a comment, nor a docstring."""
    texts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            texts.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(bool(line) and line[0] != "#" for number, line in lines if number not in texts)


def folder(name: str) -> str:
    """The folder of a module; a file beside the folders stands for itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "rxsocket"


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Circles of imports: each is broken at one edge to find the next."""
    left = {name: set(targets) for name, targets in graph.items()}
    found: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            found.append(circle)
            left[circle[1]].discard(circle[0])
        else:
            return found


def between_modules(package: list[Module]) -> dict[str, set[str]]:
    """Which module needs which while it is imported or run."""
    names = {module.name for module in package}
    return {module.name: (module.imports & names) - {module.name} for module in package}


def between_folders(package: list[Module]) -> dict[str, set[str]]:
    """Which folder needs which, imports for types included."""
    graph: dict[str, set[str]] = defaultdict(set)
    for module in package:
        own = folder(module.name)
        targets = map(folder, module.imports | module.for_types)
        graph[own] |= {target for target in targets if target not in (own, "rxsocket")}
    return graph


def defined_twice(package: list[Module]) -> dict[str, list[str]]:
    """Names that several classes have."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in package:
        for each in module.classes:
            places[each.name].append(module.name)
    return {name: where for name, where in places.items() if len(where) > 1}


def with_one_implementer(package: list[Module]) -> list[str]:
    """Protocols and ABCs that at most one class implements: all their methods, or by name.

    The types of functions, with nothing but ``__call__``, are left out.
    """
    every = [each for module in package for each in module.classes]
    found: list[str] = []
    for module in package:
        for each in module.classes:
            wanted = _members(each)
            if not {"Protocol", "ABC"} & set(map(_base, each.bases)) or wanted == {"__call__"}:
                continue
            implementers = [
                other
                for other in every
                if other is not each
                and (each.name in map(_base, other.bases) or wanted <= _members(other))
            ]
            if len(implementers) < 2:
                found.append(f"{module.name}.{each.name}")
    return found


def _members(node: ast.ClassDef) -> set[str]:
    """Methods and attributes that a class says it has."""
    names: set[str] = set()
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(inner.name)
        elif isinstance(inner, ast.Assign | ast.AnnAssign):
            targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def _base(node: ast.expr) -> str:
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node).split(".")[-1]


def methods(package: list[Module]) -> dict[str, list[str]]:
    """Each public method name, and the classes that define it."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in package:
        for each in module.classes:
            for node in each.body:
                is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                if is_function and not node.name.startswith("_"):
                    places[node.name].append(f"{module.name}.{each.name}")
    return places


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", action="store_true")
    arguments = parser.parse_args()
    package = modules()
    print(f"{len(package)} files, {sum(module.lines for module in package):,} lines,")
    print(f"{sum(module.code for module in package):,} of them code\n")
    sizes: dict[str, list[Module]] = defaultdict(list)
    for module in package:
        sizes[folder(module.name)].append(module)
    for name, inside in sorted(sizes.items()):
        lines = sum(module.lines for module in inside)
        if len(inside) > 1:
            print(f"  {name:12} {len(inside):3} files {lines:6,} lines")
    long = {module.name: module.lines for module in package if module.lines > MOST_LINES}
    print(f"\nlonger than {MOST_LINES} lines: {long or 'none'}")
    print(f"circles between modules: {circles(between_modules(package)) or 'none'}")
    print(f"circles between folders: {circles(between_folders(package)) or 'none'}")
    print(f"Protocols and ABCs with one implementer: {with_one_implementer(package) or 'none'}")
    print(f"class names used twice: {defined_twice(package) or 'none'}")
    several = {name: where for name, where in methods(package).items() if len(where) > 3}
    print(f"method names in more than three classes: {len(several)}")
    for name, where in sorted(several.items(), key=lambda item: -len(item[1])):
        print(f"  {name:16} {len(where):3}", *(where if arguments.methods else ()))


if __name__ == "__main__":
    main()
