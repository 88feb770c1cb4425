"""Each public name is on a page of the reference, ``notebooks/reference``."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import rxsocket

REFERENCE = Path(__file__).parents[2] / "notebooks" / "reference"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md")}
TEXT = "\n".join(PAGES.values())
SHOWN = set(re.findall(r"^\.\. auto(?:class|function|data):: (\S+)$", TEXT, re.M))
MODULES = set(re.findall(r"^\.\. automodule:: (\S+)$", TEXT, re.M))
OLD_NAMES = {"messagepack"}
"""Which stay, and are those of others."""


def test_each_name_of_the_package_is_in_the_reference() -> None:
    """On the page of what one wants to do with it."""
    shown = {name.rpartition(".")[2] for name in SHOWN}
    assert sorted(set(rxsocket.__all__) - shown - OLD_NAMES) == [], (
        "add each to a page of notebooks/reference, under the heading of what it is for"
    )


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_what_is_shown_is_there_and_public(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)
    assert attribute in rxsocket.__all__


def test_each_public_module_is_in_the_reference() -> None:
    """Those beside the package itself: what has names of its own that are for all."""
    missing: list[str] = []
    for found in pkgutil.iter_modules(rxsocket.__path__, "rxsocket."):
        if not found.ispkg and found.name != "rxsocket.sse":
            continue  # the package exports what there is in it
        names = set(getattr(importlib.import_module(found.name), "__all__", ()))
        if names - set(rxsocket.__all__) and found.name not in {*MODULES, "rxsocket.cli"}:
            missing.append(found.name)
    assert missing == [], "add a page to notebooks/reference, and to its index"


def test_the_index_leads_to_each_page() -> None:
    listed = set(PAGES["index"].split("\n\n")[-1].split())
    assert listed - {"```"} == PAGES.keys() - {"index"}
