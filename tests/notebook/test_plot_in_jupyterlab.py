"""C56: a plot in a browser: 5,000 messages a second, held still, and what is saved of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from extras import needs
from test_in_jupyterlab import CHROMIUM, lab, opened

__all__ = ["lab"]

pytestmark = [
    needs("playwright", "jupyterlab", "anywidget", "nbformat", "numpy", "pandas"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
CELLS = [
    """
import json, threading, time
from rxsocket import Socket
from rxsocket.notebook import frame, plot
from rxsocket.testing import server

peer = server().__enter__()
socket = Socket(peer.url, codec="auto")

def feed():
    number, began = 0, time.time()
    while True:
        due = int((time.time() - began) * 5000)
        peer.push(*(
            json.dumps({"symbol": "ABCDE"[one % 5], "price": one % 5 * 10 + one % 7})
            for one in range(number, due)
        ))
        number = due
        time.sleep(0.01)

threading.Thread(target=feed, daemon=True).start()
""",
    "plot(socket.messages, y='price', by='symbol', window=10)",
    "frame(socket.messages, key='symbol')",
]


def test_a_plot_and_a_table_in_jupyterlab(lab: str, tmp_path: Path) -> None:
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "plot.ipynb")
    with opened(f"{lab}/plot.ipynb", 1400) as page:
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        cells = page.locator(".jp-CodeCell")
        picture, table = cells.nth(1), cells.nth(2)
        picture.locator(".u-legend", has_text="E").wait_for(timeout=90_000)
        table.locator("td", has_text="A").first.wait_for(timeout=60_000)
        chart = picture.locator(".rx-chart [role=img]")
        page.wait_for_function(
            "() => Number(document.querySelector('.rx-chart [role=img]').dataset.draws) > 20",
            timeout=60_000,
        )
        assert 0 < int(chart.get_attribute("data-points") or 0) <= 8000
        page.screenshot(path=str(tmp_path / "plot and table.png"))
        print(f"screenshots: {tmp_path}")

        picture.get_by_role("button", name="hold the picture still").click()
        page.wait_for_timeout(500)  # what was on its way
        held = chart.get_attribute("data-draws")
        page.wait_for_timeout(1500)
        assert chart.get_attribute("data-draws") == held
        picture.get_by_role("button", name="go on").click()
        page.wait_for_function(
            f"() => Number(document.querySelector('.rx-chart [role=img]').dataset.draws) > {held}",
            timeout=60_000,
        )
        page.wait_for_timeout(11_000)  # what is saved is at most 10 s old
        page.keyboard.press("Control+s")
        saved = _outputs_of(tmp_path / "plot.ipynb", page)
    assert all(f">{name}</text>" in saved["image/svg+xml"] for name in "ABCDE")
    assert "<td" in saved["text/html"]


def _outputs_of(path: Path, page: Any) -> dict[str, str]:
    """What is saved of the pictures, once all of it is."""
    import nbformat

    found: dict[str, str] = {}
    for _ in range(100):
        page.wait_for_timeout(200)
        for cell in nbformat.read(path, 4).cells:
            for output in cell.outputs:
                found |= {name: "".join(text) for name, text in output.get("data", {}).items()}
        if ">E</text>" in found.get("image/svg+xml", ""):
            break
    return found
