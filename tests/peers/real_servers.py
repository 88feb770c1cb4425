"""nginx, haproxy and servers of npm as processes of this machine, where they are installed.

``.ci/run`` installs them: the first two from the system's packages, the others with
``npm install --prefix tests/peers``. Without one its tests are skipped, and say so.
"""

from __future__ import annotations

import shutil
import socket as sockets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ports import free_port

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"


def program(name: str) -> str:
    """Where a program is; skips the test if it is nowhere."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def process(command: list[str], port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A server, from when it listens at a port."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen(command, cwd=folder, text=True, **pipes)
    try:
        until_listening(running, port)
        yield running
    finally:
        running.terminate()
        try:
            running.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()


def until_listening(running: subprocess.Popen[str], port: int) -> None:
    """Block until something takes connections; there is no event of it."""
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError), sockets.create_connection(("127.0.0.1", port), 1):
            return
        if running.poll() is not None or time.monotonic() > deadline:
            running.kill()
            output, errors = running.communicate()
            raise AssertionError(f"{running.args!r} does not listen: {output} {errors}")
        time.sleep(0.02)


NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            if (-f {folder}/403) {{ return 403; }}
            if (-f {folder}/404) {{ return 404; }}
            if (-f {folder}/502) {{ proxy_pass http://127.0.0.1:{dead}; }}
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
    }}
}}
"""


class Nginx:
    """nginx before a server: it passes requests on, or answers by itself for a while.

    Attributes:
        url: Where to connect to.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self.url = url

    def answer(self, status: str) -> None:
        """Answer like this from now on: by a rule, or 502 because nothing listens behind it."""
        (self._folder / status).touch()

    def pass_on(self) -> None:
        """Pass requests on again."""
        for status in ("403", "404", "502"):
            (self._folder / status).unlink(missing_ok=True)


@contextmanager
def nginx(folder: Path, backend: int) -> Iterator[Nginx]:
    """Nginx in front of a port."""
    port = free_port()
    settings = folder / "nginx.conf"
    text = NGINX.format(folder=folder, port=port, backend=backend, dead=free_port())
    settings.write_text(text)
    with process([program("nginx"), "-c", str(settings)], port, folder):
        yield Nginx(folder, f"ws://127.0.0.1:{port}/feed")


HAPROXY = """
global
    maxconn 64
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    retries 0
listen feed
    bind 127.0.0.1:{port}
    server backend 127.0.0.1:{backend}
"""


@contextmanager
def haproxy(folder: Path, backend: int) -> Iterator[str]:
    """A TCP proxy that accepts, and hangs up without a byte while nothing listens behind it."""
    port = free_port()
    settings = folder / "haproxy.cfg"
    settings.write_text(HAPROXY.format(port=port, backend=backend))
    with process([program("haproxy"), "-db", "-q", "-f", str(settings)], port, folder):
        yield f"ws://127.0.0.1:{port}/feed"


def needs_node(package: str) -> None:
    """Skip the test if a package of npm is not installed, before it has opened anything."""
    program("node")
    if not (NODE_MODULES / package).exists():
        pytest.skip(f"{package} is not installed: npm install --prefix tests/peers")


@contextmanager
def node(package: str, script: str, port: int, *arguments: str) -> Iterator[str]:
    """A server of npm at a port; gives the line that it prints: the token that it takes."""
    needs_node(package)
    command = [program("node"), str(HERE / script), str(port), *arguments]
    with TemporaryDirectory() as folder, process(command, port, Path(folder)) as running:
        assert running.stdout is not None
        yield running.stdout.readline().strip()
