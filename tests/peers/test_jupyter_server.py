"""C48 against the real Jupyter Server, with kernels of IPython."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from extras import needs
from wire.wire_helpers import Inbox, Watch, quick

from rxsocket import (
    AwaitingAuth,
    Backoff,
    ConnectionLost,
    InEffect,
    Opened,
    Refused,
    SocketError,
    State,
)
from rxsocket.protocols import Kernel, KernelDied, KernelError, jupyter
from rxsocket.testing import faults
from rxsocket.transports.websockets import websockets_transport

from .jupyter_process import TOKEN, JupyterServer

pytestmark = [
    needs("jupyter_server", "ipykernel"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
LONG = """
import time
for number in range(6):
    print(number, flush=True)
    time.sleep(0.5)
"done"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    server = JupyterServer(tmp_path_factory.mktemp("jupyter"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def address(server: JupyterServer) -> str:
    """That of one kernel for several tests; each leaves it idle."""
    return server.start_kernel()


@pytest.fixture
def client() -> Iterator[Callable[..., Kernel]]:
    """Make a client; it is closed at the end."""
    made: list[Kernel] = []

    def make(address: str, **options: Any) -> Kernel:
        options = {"auth": TOKEN, "backoff": quick(), **options}
        made.append(jupyter(address, **options))
        return made[-1]

    yield make
    for one in made:
        one.socket.close().result(10)


def without_v1(request: Any) -> Any:
    """A transport that offers no subprotocol, so that the server chooses the default one."""
    options = replace(request.options, subprotocols=())
    return websockets_transport(replace(request, options=options))


@pytest.mark.parametrize("transport", ["websockets", without_v1], ids=["v1", "default"])
def test_both_protocols(address: str, client: Callable[..., Kernel], transport: Any) -> None:
    kernel = client(address, transport=transport)
    opened = Inbox()
    kernel.socket.on_open(opened)
    with kernel.socket.connect():
        result = kernel.evaluate("print('é'); 6 * 7").run()
        assert (result.text, result.stdout) == ("42", "é\n")
        assert (opened.values[0].subprotocol is None) == (transport is without_v1)
        with pytest.raises(KernelError, match="division by zero") as raised:
            kernel.evaluate("1 / 0").run()
        assert raised.value.name == "ZeroDivisionError" and raised.value.traceback
        info = kernel.kernel_info(timeout=60).run()
        assert info["language_info"]["name"] == "python"
        assert "import" in kernel.complete("impo", timeout=60).run()["matches"]
        assert kernel.inspect("print", timeout=60).run()["found"]
        asked = kernel.evaluate(
            "input('who? ')", on_input=lambda prompt, is_password: f"{prompt}{is_password}"
        )
        assert asked.run().text == "'who? False'"
        buffers = (
            "from ipykernel.comm import Comm\n"
            "comm = Comm('t'); comm.send({'a': float('nan')}, buffers=[b'12', b''])"
        )
        messages = Inbox()
        kernel.execute(buffers).subscribe(messages)
        found = messages.until(lambda values: [one for one in values if one.type == "comm_msg"])
        (sent,) = [one for one in found if one.type == "comm_msg"]
        assert [bytes(one) for one in sent.buffers] == [b"12", b""]


def test_a_cell_outlives_a_cut(address: str, client: Callable[..., Kernel]) -> None:
    """It runs for 3 s; what the kernel says meanwhile is replayed, and nothing is missing."""
    network = faults()
    kernel = client(address, transport=network, backoff=Backoff(first=0.8, base=0.8, cap=0.8))
    watch, done = Watch(kernel.socket), Inbox()
    kernel.evaluate(LONG).subscribe(done, done)
    started = Inbox()
    kernel.iopub.subscribe(started)
    started.until(lambda values: [one for one in values if one.type == "stream"], 60.0)
    network.drop()
    (result,) = done.wait(1, 60.0)
    assert (result.text, result.stdout) == ("'done'", "".join(f"{n}\n" for n in range(6)))
    assert len(watch.of(Opened)) == 2


def test_a_cell_outlives_a_refused_credential(address: str, client: Callable[..., Kernel]) -> None:
    """C9: the same somebody, whose token is wrong for a while."""
    kernel = client(address, identity=lambda _: "me")
    watch, done = Watch(kernel.socket), Inbox()
    watch.wait(Opened)
    kernel.evaluate(LONG).subscribe(done, done)
    assert isinstance(kernel.socket.set_auth("wrong").result(60), Refused)
    watch.wait(AwaitingAuth)
    assert kernel.socket.state.value is State.AWAITING_AUTH
    assert isinstance(kernel.socket.set_auth(TOKEN).result(60), InEffect)
    (result,) = done.wait(1, 60.0)
    assert (result.text, result.stdout.split()) == ("'done'", [*"012345"])
    assert TOKEN not in repr(watch.events) + str(kernel.socket.explain())


def test_an_answer_that_the_server_does_not_keep(
    address: str, client: Callable[..., Kernel]
) -> None:
    """It keeps what a kernel says for the last client that leaves: here another one stays."""
    network = faults()
    waiting = Backoff(first=2.0, base=2.0, cap=2.0)
    kernel, other = client(address, transport=network, backoff=waiting), client(address)
    Watch(other.socket).wait(Opened)
    watch, done = Watch(kernel.socket), Inbox()
    watch.wait(Opened)
    kernel.evaluate("import time; time.sleep(0.5)").subscribe(done, done)
    kernel.iopub.subscribe(started := Inbox())
    started.until(lambda values: [one for one in values if one.type == "execute_input"], 60.0)
    network.drop()
    (error,) = done.wait(1, 60.0)
    assert isinstance(error, ConnectionLost)
    assert "was lost with the connection" in str(error)


def test_interrupted_and_died(server: JupyterServer, client: Callable[..., Kernel]) -> None:
    kernel = client(server.start_kernel())
    with kernel.socket.connect():
        done, started = Inbox(), Inbox()
        kernel.iopub.subscribe(started)
        kernel.evaluate("import time; print('a', flush=True); time.sleep(60)").subscribe(done, done)
        started.until(lambda values: [one for one in values if one.type == "stream"], 60.0)
        assert kernel.interrupt(timeout=60).run()["status"] == "ok"
        assert done.wait(1, 60.0)[0].name == "KeyboardInterrupt"
        with pytest.raises(KernelDied, match="the server starts it again"):
            kernel.evaluate("import os; os._exit(1)").run()
        assert kernel.evaluate("1 + 1").run().text == "2"


def test_a_server_that_restarts(tmp_path: Path, client: Callable[..., Kernel]) -> None:
    """Its kernels are gone: it says so, and ends."""
    server = JupyterServer(tmp_path)
    server.start()
    kernel = client(server.start_kernel())
    with kernel.socket.connect():
        assert kernel.evaluate("1").run().text == "1"
        done = Inbox()
        kernel.evaluate("import time; time.sleep(60)").subscribe(done, done)
        server.stop()
        server.start()
        (error,) = done.wait(1, 120.0)
        assert isinstance(error, SocketError)
        assert kernel.socket.state.value is State.CLOSED
    server.stop()
