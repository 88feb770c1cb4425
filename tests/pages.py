"""The pages of the guide, ``notebooks/how_to/*.md``, and the examples in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOW_TO", "Page"]

HOW_TO = Path(__file__).resolve().parents[1] / "notebooks" / "how_to"


@dataclass(frozen=True)
class Page:
    """A page, which answers one question; ``tests/how_to/test_<name>.py`` runs its examples."""

    name: str

    @property
    def text(self) -> str:
        return (HOW_TO / f"{self.name}.md").read_text(encoding="utf-8")

    def example(self, heading: str, place: int = 1, language: str = "python") -> str:
        """One example, by the heading above it and its place there."""
        return self._examples(language)[heading][place - 1]

    def headings(self, language: str = "python") -> list[str]:
        """The headings that have an example."""
        return [heading for heading, found in self._examples(language).items() if found]

    def _examples(self, language: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for section in re.split(r"^#{1,3} (?=\S)", self._prose_headings(), flags=re.MULTILINE)[1:]:
            heading, _, text = section.partition("\n")
            found[heading] = [
                example.replace("\0", "#")
                for example in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
            ]
        return found

    def _prose_headings(self) -> str:
        """The page, in which a comment of an example is no heading."""
        return re.sub(
            r"```.*?```", lambda block: block[0].replace("#", "\0"), self.text, flags=re.DOTALL
        )
