"""The README and the pages of ``notebooks``, and the examples in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GUIDE", "HOW_TO", "Page", "guide"]

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "notebooks" / "guide"
HOW_TO = ROOT / "notebooks" / "how_to"


@dataclass(frozen=True)
class Page:
    """A page. ``tests/how_to/test_<name>.py`` runs the examples of one that answers a question."""

    name: str
    folder: Path = HOW_TO

    @property
    def text(self) -> str:
        return (self.folder / f"{self.name}.md").read_text(encoding="utf-8")

    def example(self, heading: str, place: int = 1, language: str = "python") -> str:
        """One example, by the heading above it and its place there."""
        return self.examples(language)[heading][place - 1]

    def headings(self, language: str = "python") -> list[str]:
        """The headings that have an example."""
        return [heading for heading, found in self.examples(language).items() if found]

    def examples(self, language: str = "python") -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for section in re.split(r"^#{1,3} (?=\S)", self._prose_headings(), flags=re.MULTILINE)[1:]:
            heading, _, text = section.partition("\n")
            found[heading] = [
                example.replace("\0", "#")
                for example in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
            ]
        return found

    def section(self, heading: str) -> str:
        """What is under a heading, up to the next one."""
        parts = re.split(r"^#{1,3} (?=\S)", self._prose_headings(), flags=re.MULTILINE)[1:]
        of = {heading: text for heading, _, text in (part.partition("\n") for part in parts)}
        return of[heading].replace("\0", "#")

    def _prose_headings(self) -> str:
        """The page, in which a comment of an example is no heading."""
        return re.sub(
            r"```.*?```", lambda block: block[0].replace("#", "\0"), self.text, flags=re.DOTALL
        )


def guide() -> list[Page]:
    """The README, and the pages of the guide."""
    return [Page("README", ROOT), *(Page(path.stem, GUIDE) for path in sorted(GUIDE.glob("*.md")))]
