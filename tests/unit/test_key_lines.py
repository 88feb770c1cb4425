"""Where the keys of a TOML text are: what was found is what ``tomllib`` reads."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket.cli.collect.positions import KeyPath, line_of, lines_of_keys

TEXT = '''\
# a comment with = and [brackets]
url = "wss://example.com/feed"  # and another
"quoted key" = 'its = "not a key'
long = """
looks = "like a key"
[and.a.table]
"quotes" in it \\""" and on"""
other = \'\'\'
a = 1''\'\'\'
list = [
  "a", # first
  {b = 1, c = [2, 3]},
  """
d""",
]
when = 1979-05-27 07:32:00
site."google.com".on = true

[limits]
batch = 200
[a . 'b']
c.d = {e = {f = "}"}}
[[many]]
x = 1
[[many]]
x = 2
[many.inner]
y = 3
'''


def paths(value: Any, at: KeyPath = ()) -> set[KeyPath]:
    """The path of everything that is in a value."""
    found: set[KeyPath] = set()
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found |= {(*at, key)} | paths(item, (*at, key))
    return found


def test_each_key_is_found() -> None:
    lines = lines_of_keys(TEXT)
    assert set(lines) == paths(tomllib.loads(TEXT))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("url",), 2),
        (("quoted key",), 3),
        (("other",), 8),
        (("list", 0), 11),
        (("list", 1, "c", 1), 12),
        (("list", 2), 13),
        (("site", "google.com", "on"), 17),
        (("limits",), 19),
        (("limits", "batch"), 20),
        (("limits", "missing"), 19),
        (("a", "b", "c", "d", "e", "f"), 22),
        (("many", 1, "x"), 26),
        (("many", 1, "inner", "y"), 28),
        (("missing",), 1),
    ],
)
def test_the_line_of_a_key(path: KeyPath, line: int) -> None:
    """Of one that is missing, that of its table."""
    assert line_of(path, lines_of_keys(TEXT)) == line


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=4)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def written(name: str) -> str:
    """A text of TOML."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(inline, value)) + " # ]\n]"
    if isinstance(value, bool):
        return str(value).lower()
    return written(value) if isinstance(value, str) else str(value)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=3))
def test_each_key_of_any_text_is_found(tables: dict[str, dict[str, Any]]) -> None:
    """Its line is the one that it is written on."""
    lines: list[str] = []
    expected: dict[KeyPath, int] = {}
    for name, table in tables.items():
        expected[(name,)] = len(lines) + 1
        lines.append(f"[{written(name)}] # =")
        for key, value in table.items():
            expected[(name, key)] = len(lines) + 1
            lines += f"{written(key)} = {inline(value)}".split("\n")
    text = "\n".join(lines)
    found = lines_of_keys(text)
    assert set(found) == paths(tomllib.loads(text))
    assert {path: found[path] for path in expected} == expected
