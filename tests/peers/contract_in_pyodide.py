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
NOT_OF_A_PAGE = ("c20_receipts", "c23_base_exceptions")
"""They end the interpreter: one goes deeper than its stack, the other ends programs."""
ELSEWHERE = (
    "test_a_change_while_the_credential_is_resolved",  # by a thread
    "test_a_late_result_goes_nowhere",  # of a thread
    "test_a_waiter_that_is_overtaken_is_cancelled_at_once",  # while a thread is busy
    "test_it_may_run_on_another_loop",
    "test_a_unix_socket_is_dialled_only_if_it_is_named",
)
"""What is about threads, loops and sockets that there are not."""


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
            *("-k", " and ".join(f"not {name}" for name in ELSEWHERE)),
            *("-o", "markers=slow\nonly", "tests/contract/test_c57_in_the_browser.py"),
            *core(),
        ],
        plugins=[WithoutThreads()],
    )
)
