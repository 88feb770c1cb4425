"""A Jupyter Server as a process of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from deadlines import stretched
from ports import free_port

TOKEN = "t0p/s3cret"


class JupyterServer:
    """A Jupyter Server in a folder of its own.

    Attributes:
        url: Its address.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        folders = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
        env = {f"JUPYTER_{name}": str(self._folder / name.lower()) for name in folders}
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
        command += [f"--port={self._port}", f"--ServerApp.root_dir={self._folder}"]
        env |= {"JUPYTER_TOKEN": TOKEN, "PYTHONDEVMODE": "", "IPYTHONDIR": str(self._folder)}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **env}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + stretched(60.0)
        while True:
            try:
                self.ask("GET", "/api")
                return
            except URLError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def ask(self, method: str, path: str) -> Any:
        """Ask its REST interface."""
        headers = {"Authorization": f"token {TOKEN}"}
        data = b"{}" if method == "POST" else None
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def start_kernel(self) -> str:
        """Start a kernel; returns the address of its channels."""
        id = self.ask("POST", "/api/kernels")["id"]
        return f"{self.url}/api/kernels/{id}/channels"
