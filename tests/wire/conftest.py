"""Every test on real connections runs on both transports; a socket's default is exchanged for it.

By default what is not about the wire is left out on ``picows``; ``--full`` runs everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType

import pytest
from browser_page import open_page
from internals import use_transport, websockets_transport

from .secret_surfaces import Canary, Surfaces, everything_logged

# What looks at what moves the bytes: wire, options, pausing, secrets. The rest is the code above.
CORE = (
    "test_answers",
    "test_links",
    "test_proxies",
    "test_wire_c01_c04_shape",
    "test_wire_c13_changes_without_a_gap",
    "test_wire_c17_large_messages",
    "test_wire_c33_addresses",
    "test_wire_c45_stats",
    "test_wire_messages",
    "test_wire_options",
)
# What a page can do, too: its socket speaks through "websockets" here (C57). A test of what no page
# is told, such as why a connection did not open, is ``only("websockets", "picows")``.
ON_A_PAGE = (
    "test_wire_c01_c04_shape",
    "test_wire_c19_c22_conversations",
    "test_wire_c27_slow_consumers",
    "test_wire_c34_renewed_when_told",
    "test_wire_c35_gate",
    "test_wire_c38_resuming",
    "test_wire_codecs",
)
UVLOOP = [pytest.param("uvloop", marks=pytest.mark.slow)] if find_spec("uvloop") else []
TRANSPORTS = ("websockets", "picows") if find_spec("picows") else ("websockets",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("only")
    names = (*TRANSPORTS, *_also(metafunc)) if marker is None else marker.args
    names = [name for name in names if name != "picows" or name in TRANSPORTS]
    metafunc.parametrize("transport", names, indirect=True)


def _also(metafunc: pytest.Metafunc) -> Iterator[str]:
    if _name(metafunc.module) in ON_A_PAGE:
        yield "browser"


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


@pytest.fixture(autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the transport that a socket has unless it is told another one."""
    name: str = request.param
    if name == "browser":
        open_page(monkeypatch, websockets_transport)
    else:
        use_transport(monkeypatch, name)
    return name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent.name == "wire":
            name, module = item.callspec.params.get("transport"), _name(item.module)
            is_ours = item.get_closest_marker("only") is not None
            if (name == "browser" and not is_ours) or (name == "picows" and module not in CORE):
                item.add_marker(pytest.mark.slow)


@pytest.fixture(params=["asyncio", *UVLOOP])
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on asyncio's own loop, and with the background thread on uvloop (C24)."""
    name: str = request.param
    if name == "uvloop":
        import uvloop

        monkeypatch.setattr(asyncio, "new_event_loop", uvloop.new_event_loop)
    return name


@pytest.fixture
def canary() -> Canary:
    """A fresh secret, to be found in any of its encodings (C28)."""
    return Canary()


@pytest.fixture
def surfaces(canary: Canary, capfd: pytest.CaptureFixture[str]) -> Iterator[Surfaces]:
    """What is shown, with every logger at its finest; searched for the canary in the end."""
    shown = Surfaces(canary)
    with everything_logged(shown):
        yield shown
    out, err = capfd.readouterr()
    shown.text("stdout", out)
    shown.text("stderr", err)
    shown.check()
