"""The user guide: the notebooks run, are quick, and are saved as they are read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from deadlines import stretched, within
from extras import needs
from kernels import executed

ROOT = Path(__file__).parents[2]
GUIDE = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST = 15.0
"""Seconds that a notebook may take."""
TOKEN = re.compile(r'"([\w.-]+-token)"')
"""What the notebooks call the values of their credentials."""

pytestmark = needs("nbformat", "nbclient", "ipykernel")
by_name = pytest.mark.parametrize("path", GUIDE, ids=[path.stem for path in GUIDE])


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def code_of(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def said(book: Any) -> str:
    """Everything that the cells put out, in every form."""
    return "\n".join(str(output) for cell in code_of(book) for output in cell.outputs)


def shows(cell: Any) -> bool:
    """Whether the last line of a cell is something to be shown."""
    last = cell.source.splitlines()[-1]
    return re.fullmatch(r"[a-z]+(\.value|\[.*\])?", last) is not None or "print(" in cell.source


def credentials(book: Any) -> set[str]:
    return {value for cell in code_of(book) for value in TOKEN.findall(cell.source)}


def test_the_guide_has_six_parts() -> None:
    """They are numbered in the order in which they are to be read."""
    assert [path.stem[:3] for path in GUIDE] == [f"0{number}_" for number in range(1, 7)]


@by_name
def test_each_part_links_the_one_before_and_the_one_after(path: Path) -> None:
    """At its top, and the next one at its end, too."""
    place = GUIDE.index(path)
    beside = [part.name for part in GUIDE[max(0, place - 1) : place + 2] if part != path]
    texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    assert re.findall(r"\]\((\d\w+\.ipynb)\)", texts[0]) == beside
    assert place == len(GUIDE) - 1 or f"]({beside[-1]})" in texts[-1]


@by_name
def test_a_server_that_a_notebook_brings_can_be_skipped(path: Path) -> None:
    """Its cell is folded, and the text before it says that it can be passed over."""
    cells = read(path).cells
    for before, cell in pairwise(cells):
        if cell.cell_type == "code" and re.search(r"= server\(", cell.source):
            assert cell.metadata.jupyter.source_hidden
            assert "hide-input" in cell.metadata.tags
            assert "Run it and read on" in before.source


def test_the_guide_shows_everything_there_is_to_look_with() -> None:
    """Each of them is used somewhere, and the card is the last line of a cell."""
    sources = [cell.source for path in GUIDE for cell in code_of(read(path))]
    for name in ("peek", "inspect", "schema", "frame", "plot", "rates", "timeline", "marbles"):
        assert any(f"{name}(" in source for source in sources), name
    assert any(source.splitlines()[-1] == "socket" for source in sources)


@by_name
def test_a_saved_notebook_can_be_read_without_running_it(path: Path) -> None:
    """Its cells ran once, in order, without an error, and what shows something has it saved."""
    import nbformat

    book = read(path)
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    cells = code_of(book)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [cell.source for cell in cells if shows(cell) and not cell.outputs]
    assert "error" not in {output.output_type for cell in cells for output in cell.outputs}
    assert sum("image/svg+xml" in str(cell.outputs) for cell in cells) >= 1, "no picture"
    pictures = [output for cell in cells for output in cell.outputs if "data" in output]
    svgs = [output for output in pictures if "image/svg+xml" in output.data]
    assert all(output.metadata["image/svg+xml"]["alt"] for output in svgs)
    assert path.stat().st_size < 100_000


@by_name
def test_a_saved_notebook_holds_no_secret_and_no_place_of_a_machine(path: Path) -> None:
    """No output has a value of a credential (C28), or a folder of whoever saved it."""
    book = read(path)
    text = said(book)
    assert not [value for value in credentials(book) if value in text]
    assert not re.search(r"/(home|root|tmp|Users)/|ipykernel_\d", text)


def test_a_token_is_looked_for_where_there_are_some() -> None:
    """The notebooks about credentials have values that could show."""
    assert len(credentials(read(GUIDE[0]))) == 2
    assert len(credentials(read(ROOT / "notebooks" / "03_credentials.ipynb"))) >= 4


@pytest.mark.slow
@pytest.mark.timeout(240)
@by_name
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of its own, on loopback alone, no cell raises, and no token shows."""
    import nbclient
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = read(path)
    guard = nbformat.v4.new_code_cell(LOOPBACK)
    book.cells.insert(0, guard)
    client = nbclient.NotebookClient(
        book,
        timeout=int(stretched(4 * MOST)),
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    with within(MOST):
        executed(client)
    text = said(book)
    assert not [value for value in credentials(book) if value in text]
    assert len(text) > 1000, "it shows nothing"


LOOPBACK = """
import sys

def loopback(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        assert arguments[1][0] in ("127.0.0.1", "::1", "localhost"), arguments[1]

sys.addaudithook(loopback)
"""
