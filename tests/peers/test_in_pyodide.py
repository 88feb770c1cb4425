"""Sockets where Python runs in JavaScript: Pyodide in Node (C57)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rxsocket.testing import accept, server

from .in_pyodide import HERE, NEEDED, run_in_node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BEGINNING = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/src")
"""
IMPORTED = """
import rxsocket
files = [(name.partition(".")[0], getattr(module, "__file__", None) or "")
         for name, module in sys.modules.items()]
print({name for name, file in files if "site-packages" in file and file.endswith(".so")})
print("websockets" in sys.modules, rxsocket.Socket("wss://a.test/")._engine.options.transport_name)
"""
STORY = """
import asyncio
from rxsocket import Socket

socket = Socket(URL, auth={"token": "initial"})
messages = []
socket.messages.subscribe(messages.append)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


await until(lambda: "hello" in messages)
await socket.set_auth({"token": "updated"})
await until(lambda: messages.count("hello") == 2)
await socket.send("from node")
await until(lambda: "from node" in messages)
await socket.close(4001, "done")
print(messages)
"""


def test_what_importing_it_needs(tmp_path: Path) -> None:
    """C57: no compiled package but msgspec, and no websockets; nothing of threads is touched."""
    said = run_in_node(BEGINNING + IMPORTED, tmp_path, *NEEDED)
    assert said == "{'msgspec'}\nFalse browser\n"


def test_a_socket_of_node(tmp_path: Path) -> None:
    """C57: the WebSocket may be that of Node, too."""
    with server(tokens={"initial", "updated"}) as feed:
        feed.default = accept().send("hello").echo()
        said = run_in_node(f"{BEGINNING}URL = {feed.url!r}\n{STORY}", tmp_path, *NEEDED)
        assert said == "['hello', 'hello', 'from node']\n"
        assert [one.credential for one in feed.handshakes] == ["initial", "updated"]
        feed.wait_for(lambda here: here.closes[-1][1:] == (4001, "done"))


def test_the_core_of_the_contract(tmp_path: Path) -> None:
    """C57: the rules hold there as they do here, in virtual time."""
    program = (HERE / "contract_in_pyodide.py").read_text(encoding="utf-8")
    packages = (*NEEDED, "websockets", "pytest", "hypothesis")
    said = run_in_node(program, tmp_path, *packages, timeout=350.0)
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None and int(passed[1]) > 1000, said[-2000:]
