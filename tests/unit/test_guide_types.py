"""The examples of the guide that say what type something has are checked as part of it."""

from __future__ import annotations

import ast
from pathlib import Path

from pages import GUIDE, Page

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_about_topics_is_type_checked() -> None:
    """It is a function of ``tests/typing``, word for word."""
    example = ast.parse(Page("channels", GUIDE).example("Topics")).body
    checked = ast.parse((ROOT / "tests/typing/api_asked_for.py").read_text(encoding="utf-8")).body
    (function,) = (
        node
        for node in checked
        if isinstance(node, ast.FunctionDef) and node.name == "topics_of_the_guide"
    )
    assert [ast.dump(node) for node in function.body] == [ast.dump(example[-1])]
