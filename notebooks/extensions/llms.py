"""``llms.txt``: the pages of the site with what each is about, for programs that read."""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

PARTS = {
    "": "Start here",
    "guide": "Guide",
    "how_to": "How to",
    "reference": "Reference",
}


def write(app: Sphinx, error: Exception | None) -> None:
    """Write it beside the pages, whose sources are there as text, too."""
    if error is not None or app.builder.name != "html":
        return
    written = ["# rxsocket", "", f"> {_summary(app)}", ""]
    for part, title in PARTS.items():
        names = [name for name in sorted(app.env.found_docs) if _part(name) == part]
        written += [f"## {title}", ""]
        written += [_line(app, name) for name in names if name != "index"]
        written.append("")
    Path(app.outdir, "llms.txt").write_text("\n".join(written), encoding="utf-8")


def _part(name: str) -> str:
    return name.rpartition("/")[0]


def _line(app: Sphinx, name: str) -> str:
    title = app.env.titles[name].astext()
    source = app.env.doc2path(name, base=False)
    about = _first_sentence(app, name)
    return f"- [{title}](_sources/{source}.txt)" + (f": {about}" if about else "")


def _first_sentence(app: Sphinx, name: str) -> str:
    for paragraph in app.env.get_doctree(name).findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        return re.split(r"(?<=[.:?])\s", text)[0].rstrip(":")
    return ""


def _summary(app: Sphinx) -> str:
    return _first_sentence(app, "index")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write it when the pages are built."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
