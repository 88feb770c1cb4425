"""Card and timeline in a real kernel: live, bounded, resting when hidden, and without secrets."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from extras import needs
from kernels import Kernel, executed

pytestmark = [pytest.mark.slow, needs("anywidget", "ipykernel")]

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"

SETUP = """
import json, os, threading, time
from rxsocket import Socket
from rxsocket.notebook import marbles, timeline
from rxsocket.testing import server

first, second = os.environ["CANARY_1"], os.environ["CANARY_2"]
peer = server(tokens=[first, second]).__enter__()
socket = Socket(peer.url, auth={"token": first})
held = socket.messages.subscribe(lambda message: None)

def state(name, within=10):
    end = time.monotonic() + within
    while socket.state.value.value != name and time.monotonic() < end:
        time.sleep(0.01)
    assert socket.state.value.value == name, socket.explain()

state("open")
"""

FLOOD = """
going = True
def flood():
    while going:
        for n in range(20):
            peer.push(json.dumps({"n": n, "echo": first}))
        time.sleep(0.01)
feeder = threading.Thread(target=flood)
feeder.start()
"""


def updates(said: list[dict[str, Any]], model: str) -> list[str]:
    """What a model was given to show."""
    states = [
        message["content"]["data"].get("state", {})
        for message in said
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == model
    ]
    return [state["html"] for state in states if "html" in state]


@pytest.fixture(scope="module")
def canaries() -> list[str]:
    return [f"k+/{secrets.token_hex(12)}=&%?<\"'>" for _ in range(2)]


@pytest.fixture(scope="module")
def kernel(canaries: list[str]) -> Iterator[Kernel]:
    """A kernel; for the module, because its client keeps a loop of its own for good (C26)."""
    started = Kernel(canaries)
    try:
        started.run(SETUP)
        yield started
    finally:
        started.stop()


def assert_hidden(text: str, canaries: list[str]) -> None:
    """Neither value is in a text, in no encoding."""
    for canary in canaries:
        core = canary[3:27]
        assert core not in text
        assert quote(canary, safe="") not in text


def test_live_pictures_in_a_kernel(kernel: Kernel, canaries: list[str]) -> None:
    """Under 2,000 messages a second each picture has 4 updates a second, also under a busy cell."""
    kernel.run("socket.set_auth({'token': first}).result(5); state('open')")
    card, bundle = kernel.shows("socket")
    assert set(bundle) == {"text/plain", "text/html", WIDGET}
    line, bundle = kernel.shows("timeline(socket)")
    assert set(bundle) == {"text/plain", "image/svg+xml", WIDGET}
    for model in (card, line):
        kernel.tell(model, kind="visible", viewer="one")
    kernel.run(FLOOD)
    kernel.listen(0.5)
    began = time.monotonic()
    said = kernel.run("time.sleep(3)")  # the kernel's own loop is blocked meanwhile
    spent = time.monotonic() - began
    for model in (card, line):
        shown = updates(said, model)
        assert 2 <= len(shown) <= 4 * spent + 1
        assert len(set(shown)) == len(shown)

    for model in (card, line):
        kernel.tell(model, kind="hidden", viewer="one")
    kernel.listen(1)
    quiet = kernel.listen(1.5)
    assert updates(quiet, card) == updates(quiet, line) == []
    kernel.tell(card, kind="visible", viewer="two")
    assert updates(kernel.listen(1), card)
    kernel.run("going = False; feeder.join()")


def test_nothing_that_leaves_the_kernel_holds_a_secret(kernel: Kernel, canaries: list[str]) -> None:
    """C28: an echo, a change, a refusal, a reason: no output or comm message has a credential."""
    line, _ = kernel.shows("timeline(socket)")
    kernel.tell(line, kind="visible", viewer="one")
    kernel.run("socket.set_auth({'token': second}).result(5); state('open')")
    kernel.run(
        "peer.push('echo ' + first + ' and ' + second); peer.push(json.dumps([first, second]))\n"
        "time.sleep(0.5)"
    )
    kernel.run("peer.close(4000, second); time.sleep(0.5); state('open')")
    _, card = kernel.shows("socket")
    _, svg = kernel.shows("timeline(socket)")
    assert "***" in card["text/html"]
    assert "***" in svg["image/svg+xml"]
    kernel.listen(1)
    kernel.run("peer.close(4401, second); state('awaiting auth'); print(socket.explain())")
    kernel.run("socket.set_auth(first + 'no').result(5)")
    kernel.shows("socket")
    kernel.listen(1)
    assert [message for message in kernel.heard if message["msg_type"] == "comm_msg"]
    for message in kernel.heard:
        assert_hidden(json.dumps(message, default=str), canaries)


def test_a_secret_that_is_asked_for(kernel: Kernel, canaries: list[str]) -> None:
    """C28: it is prompted for without echo, is used, and is in nothing that leaves the kernel."""
    code = """
from rxsocket.notebook import ask
typed = ask("token")
mine = Socket(peer.url, auth={"token": typed})
held = mine.connect()
end = time.monotonic() + 10
while mine.state.value.value != "open" and time.monotonic() < end:
    time.sleep(0.01)
print(typed, mine.state.value); mine.close().result(5)
mine
"""
    run = kernel.begin(code, allow_stdin=True)
    assert kernel.answer(canaries[0]) == {"prompt": "token: ", "password": True}
    said = kernel.until_over(run)
    assert any("OPEN" in str(message["content"]) for message in said)
    for message in said:
        assert_hidden(json.dumps(message, default=str), canaries)


def test_ten_runs_of_a_cell_are_one_model(kernel: Kernel) -> None:
    """A cell that is run again shows the same model, and the old view's goodbye does not end it."""
    models = {kernel.shows("socket")[0] for _ in range(10)}
    models |= {kernel.shows("timeline(socket)")[0] for _ in range(10)}
    assert len(models) == 2


def test_a_zoom_is_drawn_anew(kernel: Kernel) -> None:
    """What the front end zooms to is drawn, and says how many seconds it spans."""
    model, _ = kernel.shows("timeline(socket)")
    kernel.tell(model, kind="visible", viewer="one")
    kernel.listen(0.5)
    kernel.tell(model, kind="zoom", last=2.0, until=None)
    said = kernel.listen(1)
    spans = [
        message["content"]["data"]["state"]["span"]
        for message in said
        if message["msg_type"] == "comm_msg"
        and "span" in message["content"]["data"].get("state", {})
    ]
    assert spans[-1] == pytest.approx(2.0)


def test_a_saved_notebook_holds_no_secret(
    canaries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C28, C54: executed by a program, a notebook has pictures as of its end, and no values.

    No widget is in it, even if their state is to be saved: there is nobody to answer it.
    """
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    for number, text in enumerate(canaries, 1):
        monkeypatch.setenv(f"CANARY_{number}", text)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cell = nbformat.v4.new_code_cell
    book = nbformat.v4.new_notebook(
        cells=[
            cell(SETUP),
            cell("socket"),
            cell(
                "peer.push(first); socket.set_auth({'token': second}).result(5); peer.push(second)"
            ),
            cell("time.sleep(0.5); timeline(socket)"),
            cell("socket"),
            cell("marbles(socket.state)"),
            cell("socket.close().result(5)"),
        ]
    )
    manager = nbclient.NotebookClient(book, timeout=30, store_widget_state=True)
    manager.create_kernel_manager()
    manager.km.kernel_spec.argv = [
        *(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    ]
    executed(manager)
    saved = nbformat.writes(book)
    assert "image/svg+xml" in saved
    assert "widget-state+json" not in saved and "widget-view+json" not in saved
    assert "token=***" in saved
    last = [output["data"] for cell in book.cells for output in cell.outputs if "data" in output]
    assert "close() was called" in str([data.get("text/html") for data in last])
    assert_hidden(saved, canaries)
