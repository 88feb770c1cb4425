"""A real kernel for tests, without a front end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from queue import Empty
from typing import Any

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(client: Any) -> None:
    """Execute a notebook, on a loop that is closed afterwards.

    Kernels that start side by side may choose the same port; one of them dies, and starts again.
    """
    for left in (2, 1, 0):
        try:
            asyncio.run(client.async_execute())
            return
        except RuntimeError as error:
            if not left or "Kernel died before" not in str(error):
                raise


class Kernel:
    """A real IPython kernel, and everything that it said."""

    def __init__(self, canaries: list[str]) -> None:
        from jupyter_client.manager import KernelManager

        self.heard: list[dict[str, Any]] = []
        self._manager: Any = KernelManager()
        self._manager.kernel_spec.argv = [
            *(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
        ]
        names = {f"CANARY_{number}": text for number, text in enumerate(canaries, 1)}
        # A kernel in development mode says how long its own callbacks take.
        environment = {**os.environ, **names, "PYTHONDEVMODE": "", "PYTHONPATH": str(ROOT)}
        self._manager.start_kernel(env=environment)
        self._client: Any = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=30)

    def begin(self, code: str, cell: str | None = None, *, allow_stdin: bool = True) -> str:
        """Begin to run a cell, which a front end may have named; return which run it is.

        A program that runs a notebook takes no input.
        """
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": allow_stdin}
        content["stop_on_error"] = False
        metadata = {} if cell is None else {"cellId": cell}
        request = self._client.session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(request)
        return str(request["header"]["msg_id"])

    def answer(self, text: str) -> dict[str, Any]:
        """Answer what a cell asks for; returns the question."""
        question: dict[str, Any] = self._client.get_stdin_msg(timeout=30)["content"]
        self._client.input(text)
        return question

    def interrupt(self) -> None:
        """Interrupt what runs."""
        self._manager.interrupt_kernel()

    def run(self, code: str, cell: str | None = None) -> list[dict[str, Any]]:
        """Run a cell; what was said until it was over."""
        return self.until_over(self.begin(code, cell))

    def until_over(self, cell: str) -> list[dict[str, Any]]:
        """What is said until a run is over."""
        said: list[dict[str, Any]] = []
        while True:
            message = self._take(90)
            said.append(message)
            content = message["content"]
            if message["msg_type"] == "error":
                raise AssertionError("\n".join(content["traceback"]))
            over = content.get("execution_state") == "idle"
            if over and message["parent_header"].get("msg_id") == cell:
                return said

    def listen(self, seconds: float) -> list[dict[str, Any]]:
        """What is said within so many seconds."""
        end = time.monotonic() + seconds
        said: list[dict[str, Any]] = []
        while (left := end - time.monotonic()) > 0:
            try:
                said.append(self._take(left))
            except Empty:
                break
        return said

    def shows(self, code: str) -> tuple[str, dict[str, Any]]:
        """Run a cell that ends in a picture: its model, and the bundle that is saved."""
        bundle = next(
            message["content"]["data"]
            for message in self.run(code)
            if message["msg_type"] == "display_data"
        )
        return bundle[WIDGET]["model_id"], bundle

    def tell(self, model: str, **content: Any) -> None:
        """Be the front end of a model."""
        data = {"method": "custom", "content": content}
        message = self._client.session.msg("comm_msg", {"comm_id": model, "data": data})
        self._client.shell_channel.send(message)

    def _take(self, timeout: float) -> dict[str, Any]:
        message: dict[str, Any] = self._client.get_iopub_msg(timeout=timeout)
        self.heard.append(message)
        return message

    def restart(self) -> None:
        """Restart it, as the button of a front end does."""
        self._manager.restart_kernel(now=False)
        self._client.wait_for_ready(timeout=30)

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
