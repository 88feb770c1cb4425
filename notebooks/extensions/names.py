"""What docstrings and annotations name, as links: rules of the contract, and public names."""

from __future__ import annotations

import re
from typing import Any

from docutils.nodes import Element, TextElement
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

RULE = re.compile(r"(?<![\w`])C(\d{1,2})\b(?!`)")
OF_AN_ANNOTATION = ("class", "obj", "data")


def link_rules(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Make each rule that a docstring names a link to the contract."""
    lines[:] = [RULE.sub(r":ref:`C\1 <rule-c\1>`", line) for line in lines]


def find_public(
    app: Sphinx, env: BuildEnvironment, node: Element, text: TextElement
) -> Element | TextElement | None:
    """Find a name of an annotation under the name that is public; others are plain text.

    An annotation names the module in which a class is made, a reader the one that exports it.
    """
    if node.get("refdomain") != "py":
        return None
    target, last = node["reftarget"], node["reftarget"].rpartition(".")[2]
    objects = env.domains.python_domain.objects
    found = sorted((name for name in objects if name.endswith(f".{last}")), key=len)
    if found and not target.startswith(("reactivex", "collections", "typing", "asyncio")):
        entry = objects[found[0]]
        return make_refnode(
            app.builder, node["refdoc"], entry.docname, entry.node_id, [text], found[0]
        )
    return text if node["reftype"] in OF_AN_ANNOTATION else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both."""
    app.connect("autodoc-process-docstring", link_rules)
    app.connect("missing-reference", find_public)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
