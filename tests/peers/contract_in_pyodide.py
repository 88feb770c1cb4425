"""The core of the contract, run by pytest inside of Pyodide; see ``test_in_pyodide``."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
os.chdir("/src")
sys.path[:0] = ["/src", "/src/tests", "/src/tests/contract"]

import pytest  # noqa: E402

NOT_THERE = ("can't start new thread",)
NOT_OF_A_PAGE: tuple[str, ...] = ()
"""What tests the rooms beside the core, or needs processes, or more of the stack than there is."""


class WithoutThreads:
    """A test that starts a thread is for elsewhere."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        report = yield
        raised = call.excinfo
        if raised is not None and any(text in str(raised.value) for text in NOT_THERE):
            report.outcome, report.longrepr = "skipped", (str(item.path), 0, "not in a page")
        return report


def core() -> list[str]:
    """The rules from C1 to C38, and that of the browser."""
    files = sorted(Path("tests/contract").glob("test_c[0-3]*.py"))
    chosen = [path for path in files if path.stem[5:8] < "c39"]
    return [str(path) for path in chosen if path.stem[5:] not in NOT_OF_A_PAGE]


status = int(
    pytest.main(
        [
            *("-c", "/dev/null", "--rootdir", "/src", "-q", "--tb=short", "-W", "ignore"),
            *("-p", "no:faulthandler", "-p", "no:cacheprovider", "-p", "rxsocket.testing.plugin"),
            *("-o", "markers=slow\nonly", "tests/contract/test_c57_in_the_browser.py"),
            *core(),
        ],
        plugins=[WithoutThreads()],
    )
)
