"""The contract as a page: ``tests/CONTRACT.md`` with a heading, and so an anchor, for each rule."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

CONTRACT = Path(__file__).resolve().parents[2] / "tests" / "CONTRACT.md"
RULE = re.compile(r"^\*\*C(\d+) ([^*]+?)(\.?)\*\*", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w`(#-])\(?\bC(\d+)\b(?!`)")


def page(text: str) -> str:
    """The text of the contract as a page of the site."""
    known = {number for number, _, _ in RULE.findall(text)}

    def link(found: re.Match[str]) -> str:
        number = found[1]
        return re.sub(rf"C{number}\b", f"[C{number}](#rule-c{number})", found[0])

    def heading(found: re.Match[str]) -> str:
        number, title, stop = found.groups()
        start = "" if stop else f"**{title}** "
        return f"(rule-c{number})=\n### \0{number} {title}\n\n{start}"

    text = RULE.sub(heading, text)
    text = NUMBER.sub(lambda found: link(found) if found[1] in known else found[0], text)
    text = re.sub(
        r"^(virtual: .*(?:\n.+)*)",
        r"```{container} tests\nTests: \1\n```",
        text,
        flags=re.MULTILINE,
    )
    return text.replace("\0", "C")


def setup(app: Sphinx) -> dict[str, bool]:
    """Read the contract where the page ``contract`` is read."""

    def read(app: Sphinx, name: str, source: list[str]) -> None:
        if name == "contract":
            app.env.note_dependency(CONTRACT)
            source[0] = page(CONTRACT.read_text(encoding="utf-8"))

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
