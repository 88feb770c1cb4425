"""Each page of the guide has tests that run its examples, and the README leads to it."""

from __future__ import annotations

import pytest
from pages import HOW_TO, Page

TESTS = HOW_TO.parents[1] / "tests" / "how_to"
README = (HOW_TO.parents[1] / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path.stem for path in HOW_TO.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_each_heading_with_an_example_is_named_by_the_test_of_its_page(name: str) -> None:
    tests = (TESTS / f"test_{name}.py").read_text(encoding="utf-8")
    assert [heading for heading in Page(name).headings() if f'"{heading}"' not in tests] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_readme_leads_to_it(name: str) -> None:
    assert f"(notebooks/how_to/{name}.md)" in README, (
        "add a row to the last table of README.md: 'Pages that answer one question each'"
    )


def test_the_readme_is_a_front_page() -> None:
    """What is longer goes to a page of notebooks/guide."""
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize("name", sorted(path.stem[5:] for path in TESTS.glob("test_*.py")))
def test_each_test_has_its_page(name: str) -> None:
    assert name in PAGES
