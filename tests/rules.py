"""The rules of the contract, and how a public docstring names one: ``rule C21, while not open``.

Who reads ``help()`` has no ``tests/CONTRACT.md``, so a number alone would say nothing.

python tests/rules.py    put the names beside the numbers in the docstrings of what is public
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
HEADING = re.compile(r"^\*\*C(\d+) ([^*]+?)\.?\*\*", re.MULTILINE)
CITED = re.compile(r"(?<![\w`])(?:rules? )?C\d+\b(?:(?:, |; | and )C\d+\b)*")
ITEM = re.compile(r"\s*(?:[-*] |\*{0,2}\w+(?: \(.*?\))?: |>>> |\.\.\. |::|\|)")


@cache
def names() -> dict[str, str]:
    """The name of each rule by its number, as it goes into a sentence."""
    text = (ROOT / "tests" / "CONTRACT.md").read_text(encoding="utf-8")
    return {
        number: title if title[1].isupper() else title[0].lower() + title[1:]
        for number, title in HEADING.findall(text)
    }


def public_modules() -> Iterator[str]:
    """The package, and each module of it that has names of its own for all."""
    yield "rxsocket"
    for found in pkgutil.iter_modules(sys.modules["rxsocket"].__path__, "rxsocket."):
        is_room = found.ispkg or found.name == "rxsocket.sse"
        if is_room and found.name != "rxsocket.cli" and _exported(found.name):
            yield found.name


def _exported(module: str) -> Sequence[str]:
    return getattr(importlib.import_module(module), "__all__", ())


def public_docstrings() -> dict[Path, set[tuple[int, int]]]:
    """The first and the last line of the docstrings of what is public, in each file."""
    importlib.import_module("rxsocket")
    wanted: dict[Path, set[str]] = defaultdict(set)
    for module in map(importlib.import_module, public_modules()):
        wanted[Path(str(module.__file__))].add("")
        for name in module.__all__:
            thing = getattr(module, name)
            of = thing.__mro__ if inspect.isclass(thing) else (thing,)
            for one in of:
                if getattr(one, "__module__", "").startswith("rxsocket"):
                    path = sys.modules[one.__module__].__file__
                    wanted[Path(str(path))].add(getattr(one, "__qualname__", name))
    return {path: set(_lines(path, qualnames)) for path, qualnames in wanted.items()}


def _lines(path: Path, qualnames: set[str]) -> Iterator[tuple[int, int]]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    if "" in qualnames:
        yield from _own(module)
    for node in module.body:
        name = getattr(node, "name", None)
        if name in qualnames:
            yield from _own(node)
            for part in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
                if not getattr(part, "name", "").startswith("_"):
                    yield from _own(part)
    yield from _of_values(module, qualnames)
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name in qualnames:
            yield from _of_values(node, None)


def _own(node: ast.AST) -> Iterator[tuple[int, int]]:
    body = getattr(node, "body", [])
    if body and _is_text(body[0]):
        yield _span(body[0])


def _of_values(
    node: ast.Module | ast.ClassDef, wanted: set[str] | None
) -> Iterator[tuple[int, int]]:
    """Texts below what is assigned: of members of an enum, and of aliases."""
    for before, text in zip(node.body, node.body[1:], strict=False):
        targets = [before.target] if isinstance(before, ast.AnnAssign) else []
        targets = before.targets if isinstance(before, ast.Assign) else targets
        shown = [one.id for one in targets if isinstance(one, ast.Name)]
        if _is_text(text) and shown and (wanted is None or wanted & set(shown)):
            yield _span(text)


def _span(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.end_lineno or node.lineno


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def unnamed(text: str) -> list[str]:
    """What a docstring cites otherwise than by number and name."""
    flat = " ".join(text.split())
    return [
        number
        for number in re.findall(r"(?<![\w`])C(\d+)\b", flat)
        if number in names() and f"C{number}, {names()[number]}" not in flat
    ]


def named(text: str) -> str:
    """A text in which each rule has its name."""

    def cite(found: re.Match[str]) -> str:
        rest = found.string[found.end() :]
        numbers = re.findall(r"\d+", found[0])
        if any(number not in names() for number in numbers):
            return found[0]
        if " ".join(rest.split()).startswith(f", {names()[numbers[-1]]}"):
            return found[0]
        word = "rule" if len(numbers) == 1 else "rules"
        return f"{word} " + "; ".join(f"C{number}, {names()[number]}" for number in numbers)

    return CITED.sub(cite, text)


def rewritten(source: str, spans: set[tuple[int, int]]) -> str:
    """The source of a module, with the docstrings on these lines mended."""
    lines = source.splitlines()
    for start, end in sorted(spans, reverse=True):
        lines[start - 1 : end] = _mended(lines[start - 1 : end])
    return "\n".join(lines) + "\n"


def _mended(block: list[str]) -> list[str]:
    whole = "\n".join(block)
    if not unnamed(whole):
        return block
    indent = block[0][: len(block[0]) - len(block[0].lstrip())]
    if len(block) == 1:  # the quotes go to a line of their own, if it gets long
        text = named(block[0])
        if len(text) <= WIDTH:
            return [text]
        return [*_filled(text.removesuffix('"""'), indent), f'{indent}"""']
    result: list[str] = []
    place = 0
    while place < len(block):
        line, more = block[place], 1
        while line.strip() and place + more < len(block) and _continues(block[place + more], line):
            more += 1
        paragraph = block[place : place + more]
        flat = " ".join([paragraph[0], *(one.strip() for one in paragraph[1:])])
        changed = named(flat)
        if changed == flat or '"""' in flat[len(indent) + 3 :]:
            result += paragraph
        else:
            below = paragraph[1] if more > 1 else None
            own = line[: len(line) - len(line.lstrip())]
            hanging = below[: len(below) - len(below.lstrip())] if below else own
            if below is None and ITEM.match(line):
                hanging = own + "    "
            result += _filled(changed, hanging)
        place += more
    return result


def _continues(line: str, first: str) -> bool:
    """Whether a line goes on with what the first one of a paragraph began."""
    depth = len(line) - len(line.lstrip())
    above = len(first) - len(first.lstrip())
    is_item = bool(ITEM.match(line))
    if not line.strip() or '"""' in line or (is_item and depth <= above):
        return False
    return depth == (above + 4 if ITEM.match(first) else above)


def _filled(text: str, hanging: str) -> list[str]:
    """A paragraph in lines; what is cited in brackets stays together."""
    own = text[: len(text) - len(text.lstrip())]
    cited = re.compile(r"\(rules? [^()]{1,60}\)")
    whole = cited.sub(lambda found: found[0].replace(" ", "\0"), text.strip())
    lines = textwrap.wrap(
        whole,
        WIDTH,
        initial_indent=own,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def main() -> int:
    """Mend all of them, and say where."""
    for path, spans in public_docstrings().items():
        source = path.read_text(encoding="utf-8")
        if (mended := rewritten(source, spans)) != source:
            path.write_text(mended, encoding="utf-8")
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
