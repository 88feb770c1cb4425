"""What ``help()`` shows is written for somebody who has nothing but the library."""

from __future__ import annotations

import importlib
import inspect
import pydoc
from enum import Enum
from pathlib import Path

import pytest
import reactivex
import rules

import rxsocket
from rxsocket import Receipt, Stream
from rxsocket.operators import Drops

PUBLIC = [
    getattr(importlib.import_module(module), name)
    for module in rules.public_modules()
    for name in importlib.import_module(module).__all__
]
ENUMS = [one for one in PUBLIC if inspect.isclass(one) and issubclass(one, Enum)]


def shown(thing: object) -> list[str]:
    """The lines of ``help(thing)``."""
    return pydoc.render_doc(thing, renderer=pydoc.plaintext).splitlines()


def test_each_rule_is_cited_with_its_name() -> None:
    """A number alone says nothing to who has no ``tests/CONTRACT.md``."""
    found: list[str] = []
    for path, spans in rules.public_docstrings().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        for start, end in spans:
            numbers = rules.unnamed("\n".join(lines[start - 1 : end]))
            found += [f"{path.name}:{start}: C{number}" for number in numbers]
    assert found == [], "run: python tests/rules.py"


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_each_member_of_an_enum_says_what_it_means(enum: type[Enum]) -> None:
    text = inspect.getdoc(enum) or ""
    assert [name for name in enum.__members__ if f"{name}: " not in text] == []


@pytest.mark.parametrize("stream", [Stream, Receipt, Drops])
def test_the_operators_of_rxpy_are_not_listed(stream: type[object]) -> None:
    """They are there, and in ``help(reactivex.Observable)``."""
    lines = shown(stream)
    assert len(lines) < 700 < len(shown(reactivex.Observable))
    assert not any("reactivex.observable.mixins" in line and "inherited" in line for line in lines)
    assert hasattr(stream, "map") and "map" not in dir(stream)


def test_an_instance_lists_them() -> None:
    assert {"map", "value"} <= set(dir(Drops()))


def test_help_of_the_package_begins_with_an_example_and_a_map() -> None:
    """Within the first page, and each name in the map is there."""
    first = shown(rxsocket)[:60]
    text = "\n".join(first)
    assert "socket.messages.subscribe(print)" in text and "rxsocket.testing" in text


def test_help_of_the_package_is_no_book() -> None:
    assert len(shown(rxsocket)) < 12_000  # RxPY's operators made it 38,000
    assert Path(str(rxsocket.__file__)).name == "__init__.py"
