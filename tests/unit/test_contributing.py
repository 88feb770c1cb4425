"""The page for contributors: its snippets run, and the files that it names are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "notebooks" / "contributing.md").read_text(encoding="utf-8")


def test_its_snippets_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 4
    for snippet in snippets:
        exec(snippet, names)
    assert names["logged"](names["Request"](url=names["inner"].url)) is not None
    assert "dials" in capsys.readouterr().out


def test_the_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"\b((?:[a-z_]+/)*[a-z_]+\.py)\b", PAGE))
    assert len(named) > 15
    for name in named:
        found = (ROOT / "rxsocket" / name).exists() or (ROOT / name).exists()
        assert found or list((ROOT / "rxsocket").rglob(name)), name
