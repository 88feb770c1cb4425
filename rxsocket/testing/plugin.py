"""The pytest plugin, under a name in the package: ``-p rxsocket.testing.plugin``.

What pytest loads by itself, where rxsocket is installed, is ``_rxsocket_pytestplugin``: importing
that one does not import the package.
"""

from __future__ import annotations

from _rxsocket_pytestplugin import (
    fake_socket,
    pytest_configure,
    pytest_fixture_setup,
    pytest_runtest_setup,
    pytest_runtest_teardown,
    virtual_clock,
    websocket_server,
)

__all__ = [
    "fake_socket",
    "pytest_configure",
    "pytest_fixture_setup",
    "pytest_runtest_setup",
    "pytest_runtest_teardown",
    "virtual_clock",
    "websocket_server",
]
